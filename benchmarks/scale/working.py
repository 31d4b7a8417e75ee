"""Working: what permits and detectors take beside ten million calls, and beside none, in turns on the same machine."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.scale.filling import BUSIEST
from benchmarks.scale.pattern import declare
from stopwork.detect.registry import DETECTORS
from stopwork.ledger.records import Principal
from stopwork.ledger.words import Outcome, PrincipalKind
from stopwork.operations import outcomes, permits, runs
from stopwork.operations.installation import Installation
from stopwork.worker.detection import DUTY, Detection
from stopwork.worker.duty import advance

ROUNDS: Final = 7
CALLS: Final = 400
_AGENT: Final = Principal(kind=PrincipalKind.AGENT, id=BUSIEST)


class Round(Struct, frozen=True):
    """So many calls a second, each permitted and ended, and so many journal entries a second that detectors followed."""

    calls_per_s: float
    entries_per_s: float


class Working(Struct, frozen=True, kw_only=True):
    """The medians beside ten million calls, and beside none."""

    full: Round
    empty: Round


def measured(full: Path, full_database: str | None, empty: Path, empty_database: str | None) -> Working:
    """Work on both in turns."""
    with (
        Installation.open(full, database=full_database) as one,
        Installation.open(empty, database=empty_database) as other,
    ):
        declare(other, BUSIEST)
        agents = (_Agent(one), _Agent(other))
        rounds: list[list[Round]] = [[], []]
        for number in range(ROUNDS + 1):
            for agent, own in zip(agents, rounds, strict=True):
                done = agent.round()
                if number:  # the first is for warming up
                    own.append(done)
        return Working(full=_median(rounds[0]), empty=_median(rounds[1]))


class _Agent:
    """An agent that reads and writes, and the detectors behind it, from where the journal ends now."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        store = installation.store
        store.write(lambda tx: advance(tx, DUTY, position=tx.last_seq(), state=b""))
        self._detection = Detection(installation, DETECTORS)
        self._detection.follow()
        self._count = 0

    def round(self) -> Round:
        store, manifests = self._installation.store, self._installation.manifests
        started = time.perf_counter()
        begin = partial(runs.start, manifests=manifests, workflow=BUSIEST, trigger="manual")
        self._count += 1
        run = store.write(partial(begin, trigger_id=f"work-{time.time_ns()}"), actor=_AGENT).run
        asked = [
            store.submit(
                partial(permits.ask, manifests=manifests, run=run, tool="crm.search", args={"page": number}),
                actor=_AGENT,
            )
            for number in range(CALLS)
        ]
        wait(asked)
        wait(
            [
                store.submit(
                    partial(
                        outcomes.finish,
                        manifests=manifests,
                        call=each.result().call,
                        outcome=Outcome.SUCCEEDED,
                    ),
                    actor=_AGENT,
                )
                for each in asked
            ]
        )
        took_s = time.perf_counter() - started
        before = time.perf_counter()
        self._detection.follow()
        return Round(CALLS / took_s, (2 * CALLS + 1) / (time.perf_counter() - before))


def _median(rounds: list[Round]) -> Round:
    return Round(
        statistics.median(each.calls_per_s for each in rounds),
        statistics.median(each.entries_per_s for each in rounds),
    )
