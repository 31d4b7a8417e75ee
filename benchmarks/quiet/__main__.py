"""``python -m benchmarks.quiet`` (`make bench-quiet`): false alarms of a quiet month, and what is noticed of eleven incidents in it."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import results
from benchmarks.quiet import month
from benchmarks.quiet.company import Company
from benchmarks.quiet.mishaps import MISHAPS, NOTICED_WITHIN, Mishap, plan_mishaps, skipped
from stopwork.ledger.records import Incident, Signal

SECTION: Final = "quiet"
SEEDS: Final = (1, 2)
AIM: Final = 1
#: What is measured is what is found, and not how fast a disk is.
_IN_MEMORY: Final = Path("/dev/shm")


_WHAT: Final = (
    "Five workflows for 31 days on the clock of the simulation, through the operations of a server, as they would be on a first day: no rule "
    "is tuned for it. Schedules over two changes to summer time, retries, people's edits told by feeds, approvals, a holiday, a new model with "
    "its change record, busy Mondays, three times the invoices at the end of the month. Nobody lifts a hold or closes an incident. The "
    "detectors look every half minute, and feeds tell every ten: a server's are faster."
)


class Told(NamedTuple):
    """What one month came to."""

    seed: int
    calls: int
    signals: list[Signal]
    incidents: list[Incident]


def main() -> None:
    """Live through the months, print what they came to and, with ``--write``, put it into RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quiet", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the section in benchmarks/RESULTS.md")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--show", action="store_true", help="print every signal")
    options = parser.parse_args()
    started = time.perf_counter()
    quiet = [_live(seed, with_mishaps=False, show=options.show) for seed in options.seeds]
    eventful = [_live(seed, with_mishaps=True, show=options.show) for seed in options.seeds]
    text = _section(quiet, eventful, time.perf_counter() - started)
    print(text)
    if options.write:
        results.write(SECTION, text)


def _live(seed: int, *, with_mishaps: bool, show: bool) -> Told:
    folder = _IN_MEMORY if _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="stopwork-quiet-", dir=folder) as path:
        company = Company(Path(path) / "data", month.BEGIN, seed)
        try:
            month.furnish(company)
            month.plan(company, skipped() if with_mishaps else month.Skipped())
            if with_mishaps:
                plan_mishaps(company)
            company.live_until(month.BEGIN + timedelta(days=month.DAYS))
            told = Told(seed, company.calls, company.signals(), company.incidents())
            if show:
                print(*(_line(signal) for signal in told.signals), "", sep="\n", flush=True)
            return told
        finally:
            company.close()


def _section(quiet: list[Told], eventful: list[Told], duration_s: float) -> str:
    most = max(len(told.incidents) for told in quiet)
    lines = [
        "## A quiet month",
        "",
        f"{results.machine()}.",
        f"`python -m benchmarks.quiet --write`: {len(quiet) + len(eventful)} months in {duration_s:.0f} s.",
        "",
        _WHAT,
        "",
        f"**Incidents opened in a month in which nothing happened**: at most {most} (aim: at most {AIM}).",
        "",
        *results.table(
            ("seed", "calls", "signals logged", "incidents opened", "by"),
            [
                (
                    str(told.seed),
                    f"{told.calls:,}",
                    _counted(told.signals),
                    str(len(told.incidents)),
                    _opened_by(told),
                )
                for told in quiet
            ],
        ),
        "",
        "**Eleven incidents in the same month**, one of each type: noticed by what, and after how long.",
        "",
        *results.table(
            ("incident", "workflow", *(f"seed {told.seed}" for told in eventful)),
            [
                (mishap.type.value, mishap.workflow, *(_noticed(mishap, told) for told in eventful))
                for mishap in MISHAPS
            ],
        ),
        "",
    ]
    return "\n".join(lines)


def _counted(signals: list[Signal]) -> str:
    counts = Counter(signal.detector for signal in signals)
    return ", ".join(f"{number} {name}" for name, number in counts.most_common()) or "none"


def _opened_by(told: Told) -> str:
    return ", ".join(sorted(_detector_of(incident, told) for incident in told.incidents)) or "none"


def _detector_of(incident: Incident, told: Told) -> str:
    first = next((signal for signal in told.signals if signal.incident == incident.id), None)
    return first.detector if first else incident.type.value


def _noticed(mishap: Mishap, told: Told) -> str:
    """Answer how a mishap came to an incident: of its type, of another, or not at all."""
    until = mishap.at + NOTICED_WITHIN
    about = [
        each
        for each in told.incidents
        if each.workflow == mishap.workflow and mishap.at <= each.opened_at <= until
    ]
    right = next((each for each in about if each.type is mishap.type), None)
    joined = next(
        (
            signal
            for signal in told.signals
            if signal.workflow == mishap.workflow
            and signal.type is mishap.type
            and mishap.at <= signal.raised_at <= until
            and signal.incident
        ),
        None,
    )
    if right is not None:
        return f"{_detector_of(right, told)}, {(right.opened_at - mishap.at).total_seconds():,.0f} s"
    if joined is not None:
        return f"{joined.detector}, in {joined.incident}"
    if about:
        return f"as {about[0].type.value}"
    logged = any(
        signal.workflow == mishap.workflow
        and signal.type is mishap.type
        and mishap.at <= signal.raised_at <= until
        for signal in told.signals
    )
    return "a signal only" if logged else "**missed**"


def _line(signal: Signal) -> str:
    fate = signal.incident or "logged"
    return f"{signal.raised_at:%m-%d %H:%M} {signal.workflow:<10} {signal.detector:<18} {fate:<20} {signal.summary[:150]}"


if __name__ == "__main__":
    main()
