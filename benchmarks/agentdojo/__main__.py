"""``python -m benchmarks.agentdojo``: every pair of the two suites through the guard, and the tables."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from pathlib import Path

SUITES = ("workspace", "banking")


def main() -> None:
    """Run the bench, print the section and, with ``--write``, put it into RESULTS.md."""
    options = _options()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The suites put participants through a set: only with a fixed seed do two runs of the bench see the same worlds.
        again = [sys.executable, "-m", "benchmarks.agentdojo", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})

    # Not before: the suites build sets while they are imported.
    from benchmarks import results
    from benchmarks.agentdojo import report
    from benchmarks.agentdojo.field import played

    started = time.perf_counter()
    found = []
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as folder:
        for suite in options.suite or SUITES:
            tried = played(
                suite, Path(folder), jobs=options.jobs, limit=options.limit, shuffle=options.shuffle
            )
            for number, result in enumerate(tried, start=1):
                found.append(result)
                if number % 100 == 0:
                    print(f"\r{suite}: {number} runs", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
    text = report.section(
        found,
        duration_s=time.perf_counter() - started,
        command=shlex.join(["python", "-m", "benchmarks.agentdojo", *sys.argv[1:]]),
        jobs=options.jobs,
    )
    print(text)
    if options.write:
        results.write(report.SECTION, text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agentdojo", description=__doc__)
    parser.add_argument("--suite", action="append", choices=SUITES, help="only this suite")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs of each suite")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="run the pairs in another order")
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes; one for each core if not given",
    )
    parser.add_argument("--write", action="store_true", help="write the section in benchmarks/RESULTS.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
