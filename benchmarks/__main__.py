"""``python -m benchmarks`` (`make bench`): the hot paths on this machine, each beside a yardstick of the same run."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.timing import detection, guard, pause, permits, report, sealing
from benchmarks.timing.figures import Figure
from benchmarks.timing.server import running
from benchmarks.timing.yardsticks import BareDatabase


def main() -> None:
    """Measure everything, print the table and, with ``--write``, put it into RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the section in benchmarks/RESULTS.md")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as folder:
        figures = list(_measured(Path(folder)))
        text = report.section(figures, disk=Path(folder), duration_s=time.perf_counter() - started)
    print(text)
    if options.write:
        report.write(text)


def _measured(folder: Path) -> Iterator[Figure]:
    served = folder / "served"
    with BareDatabase(folder) as bare:
        with running(served) as server:
            yield from asyncio.run(permits.measure(server, bare))
            yield from asyncio.run(pause.measure(server, bare))
            asyncio.run(detection.provoke(server))
        yield from detection.measure(served, bare)
        yield from guard.measure(folder, bare)
        yield from sealing.measure(folder, bare)


if __name__ == "__main__":
    main()
