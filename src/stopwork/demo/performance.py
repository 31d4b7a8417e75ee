"""The story with its people played: ten phases, each with the promises that it keeps or breaks."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import httpx
from msgspec import Struct

from stopwork.demo.company import Company
from stopwork.demo.narrator import Narrator
from stopwork.demo.phases import PLAYED
from stopwork.demo.phases.play import Play
from stopwork.demo.promises import PhaseResult, PhaseStatus, Promise, Promises
from stopwork.demo.results import REPORT, save_report
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.words import Phase


class Summary(Struct, frozen=True, kw_only=True):
    """How it went. Paths lead to what stays; ``database`` is empty unless it was to be kept."""

    phases: list[PhaseResult]
    incident: str
    bundle: str
    report: str
    database: str
    detected_after_s: float | None
    seconds: float
    promises: list[Promise]

    @property
    def passed(self) -> bool:
        """Whether every phase passed."""
        return all(result.status is PhaseStatus.PASSED for result in self.phases)


def perform(company: Company, narrator: Narrator, results: Path, *, database: str = "") -> Summary:
    """Play all ten phases and leave the report and the bundle in ``results``.

    A phase that fails does not keep the others from being tried; then the logs are left there too.
    """
    play = Play(company, Promises(narrator.promise), narrator.tell, results)
    began = time.monotonic()
    phases = [_phase(play, phase, narrator) for phase in PLAYED]
    if play.incident:
        narrator.say(f"\n{save_report(play.lee, play.incident, results)}")
    summary = Summary(
        phases=phases,
        incident=play.incident,
        bundle=str(play.bundle or ""),
        report=str(results / REPORT) if play.incident else "",
        database=database,
        detected_after_s=play.detected_after_s,
        seconds=round(time.monotonic() - began, 3),
        promises=play.promises.made,
    )
    if not summary.passed:
        logs = results / "logs"
        logs.mkdir(exist_ok=True)
        for log in company.world.directory.glob("*.log"):
            shutil.copy(log, logs)
        narrator.say(f"The logs are in {logs}.")
    return summary


def _phase(play: Play, phase: Phase, narrator: Narrator) -> PhaseResult:
    narrator.say()
    narrator.tell(phase.value.upper())
    play.promises.begin(phase)
    began = time.monotonic()
    broken = []
    try:
        PLAYED[phase](play)
    except StopworkError as error:
        broken.append(str(error))
    except (httpx.HTTPError, OSError, LookupError, TypeError, ValueError) as error:
        # An answer of another shape than promised breaks the phase, not the demo.
        broken.append(f"{type(error).__name__}: {error}")
    broken = [promise.text for promise in play.promises.broken(phase)] + broken
    if broken:
        narrator.tell(f"{phase.value} failed: {'; '.join(broken)}")
    return PhaseResult(
        name=phase,
        status=PhaseStatus.FAILED if broken else PhaseStatus.PASSED,
        seconds=round(time.monotonic() - began, 3),
        detail="; ".join(broken),
    )
