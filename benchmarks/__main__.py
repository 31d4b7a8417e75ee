"""``python -m benchmarks`` (`make bench`): the hot paths on this machine, each beside a yardstick of the same run."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import results
from benchmarks.timing import (
    bundle,
    capture,
    detection,
    flood,
    guard,
    judging,
    pause,
    permits,
    points,
    reads,
    report,
    sealing,
    starts,
    undo,
)
from benchmarks.timing.figures import Figure
from benchmarks.timing.server import running
from benchmarks.timing.yardsticks import BareDatabase
from tests.support.postgres import PostgresServer


def main() -> None:
    """Measure everything, print the table and, with ``--write``, put it into RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the section in benchmarks/RESULTS.md")
    parser.add_argument(
        "--only",
        action="append",
        choices=_MEASURED,
        metavar="NAME",
        help=f"one of {', '.join(_MEASURED)}; may be repeated",
    )
    options = parser.parse_args()
    if options.write and len(options.only or ()) > 1:
        parser.error("what is written is the whole table of one run, or what is measured under one name")
    name = "".join(options.only or ())
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as path:
        folder = Path(path)
        with BareDatabase(folder) as bare:
            figures = [
                figure for each in options.only or _MEASURED for figure in _MEASURED[each](folder, bare)
            ]
        duration_s = time.perf_counter() - started
        text = report.section(
            figures, disk=folder, duration_s=duration_s, only=name, counted=_COUNTED.get(name, "")
        )
    print(text)
    if options.write:
        results.write(f"{report.SECTION} of {name}" if name else report.SECTION, text)


def _permits(folder: Path, bare: BareDatabase) -> Iterator[Figure]:
    with running(folder / "permits") as server:
        yield from asyncio.run(permits.measure(server, bare))


def _postgres(folder: Path, bare: BareDatabase) -> Iterator[Figure]:
    with (
        PostgresServer.started(durable=True) as database,
        running(folder / "postgres", database.empty_database()) as server,
    ):
        yield from asyncio.run(permits.measure_rate(server, bare))


def _pause(folder: Path, bare: BareDatabase) -> Iterator[Figure]:
    with running(folder / "pause") as server:
        yield from asyncio.run(pause.measure(server, bare))


def _starts(folder: Path, _bare: BareDatabase) -> Iterator[Figure]:
    with running(folder / "starts") as server:
        yield from starts.measure(server)
        yield from starts.measure_reads(server)


def _points(folder: Path, _bare: BareDatabase) -> Iterator[Figure]:
    with running(folder / "points") as server:
        yield from points.measure(server)


def _reads(folder: Path, _bare: BareDatabase) -> Iterator[Figure]:
    with running(folder / "reads") as server:
        yield from reads.measure(server)


def _capture(folder: Path, _bare: BareDatabase) -> Iterator[Figure]:
    with PostgresServer.started(durable=True) as database:
        yield from capture.measure(folder, database)


def _undo(folder: Path, _bare: BareDatabase) -> Iterator[Figure]:
    with PostgresServer.started(durable=True) as database:
        yield from undo.measure(folder, database)


def _flood(folder: Path, bare: BareDatabase) -> Iterator[Figure]:
    with running(folder / "flood") as server:
        yield from asyncio.run(flood.measure(server, bare))


def _detection(folder: Path, bare: BareDatabase) -> Iterator[Figure]:
    served = folder / "detection"
    with running(served) as server:
        asyncio.run(detection.provoke(server))
    yield from detection.measure(served, bare)
    yield from detection.measure_at_rate(folder / "detection at a rate", bare)
    yield from detection.measure_burst(folder / "burst of findings", bare)


#: What can be measured by itself, in the order of the table.
_MEASURED: Final[dict[str, Callable[[Path, BareDatabase], Iterator[Figure]]]] = {
    "permits": _permits,
    "postgres": _postgres,
    "pause": _pause,
    "starts": _starts,
    "points": _points,
    "reads": _reads,
    "detection": _detection,
    "flood": _flood,
    "judging": lambda folder, bare: iter(judging.measure(folder, bare)),
    "guard": lambda folder, bare: iter(guard.measure(folder, bare)),
    "capture": _capture,
    "undo": _undo,
    "bundle": lambda folder, bare: iter(bundle.measure(folder, bare)),
    "sealing": lambda folder, bare: iter(sealing.measure(folder, bare)),
}

#: What the figures count, where that takes more words than their names have.
_COUNTED: Final = {"capture": capture.COUNTED, "detection": detection.COUNTED, "judging": judging.COUNTED}


if __name__ == "__main__":
    main()
