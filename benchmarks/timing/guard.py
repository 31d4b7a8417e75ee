"""A guarded call with the control plane in the agent's own process, with and without its background duties."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.timing.figures import Figure, median_ms, paired
from benchmarks.timing.workflow import READ, WORKFLOW, WRITE, arguments, open_installation
from benchmarks.timing.yardsticks import COMMIT, BareDatabase
from stopwork import Stopwork
from stopwork.sdk.embedded import LocalDesk

ROUNDS: Final = 9
CALLS: Final = 60


def measure(folder: Path, bare: BareDatabase) -> list[Figure]:
    """Answer what a guarded read and a guarded write cost beside a commit, and a write with detectors beside one without."""
    with open_installation(folder / "alone") as alone, open_installation(folder / "whole") as whole:
        desk = LocalDesk(whole)
        desk.crew.start()
        try:
            lone, full = Stopwork.at(LocalDesk(alone)), Stopwork.at(desk)
            with lone.run(WORKFLOW):
                read, write = _tools(lone)
            with full.run(WORKFLOW):
                write_watched = _tools(full)[1]
            rows = [_round(bare, lone, full, read, write, write_watched) for _ in range(ROUNDS)]
        finally:
            desk.crew.stop()
    commits, reads, writes, watched = zip(*rows, strict=True)
    return [
        Figure(
            name="guarded read, embedded: permit, outcome",
            unit="ms",
            yardstick=COMMIT,
            rounds=paired(reads, commits),
        ),
        Figure(
            name="guarded write, embedded: permit, attempt, outcome",
            unit="ms",
            yardstick=COMMIT,
            rounds=paired(writes, commits),
        ),
        Figure(
            name="guarded write, with detectors and sealer at work",
            unit="ms",
            yardstick="without them",
            rounds=paired(watched, writes),
        ),
    ]


def _round(
    bare: BareDatabase,
    lone: Stopwork,
    full: Stopwork,
    read: Callable[[], object],
    write: Callable[[], object],
    watched: Callable[[], object],
) -> tuple[float, float, float, float]:
    commit = bare.commit_ms()
    with lone.run(WORKFLOW):
        alone = median_ms(read, CALLS), median_ms(write, CALLS)
    with full.run(WORKFLOW):
        return commit, *alone, median_ms(watched, CALLS)


def _tools(guard: Stopwork) -> tuple[Callable[[], object], Callable[[], object]]:
    numbers = count()
    read = guard.tool(READ)(lambda: "a customer")
    write = guard.tool(WRITE)(_nothing)
    return read, lambda: write(**arguments(next(numbers)))


def _nothing(id: str, amount: float, note: str) -> None:  # noqa: A002 - the tool's own word
    """A tool that takes no time."""
