"""``python -m benchmarks.agentdojo``: every pair of the two suites through the guard, and the tables."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.worlds import command

SUITES = ("workspace", "banking")


def main() -> None:
    """Run the bench, print the section and, with ``--write``, put it into RESULTS.md."""
    parser = command.options("agentdojo", __doc__)
    parser.add_argument("--suite", action="append", choices=SUITES, help="only this suite")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs of each suite")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The suites put participants through a set: only with a fixed seed do two runs of the bench see the same worlds.
        again = [sys.executable, "-m", "benchmarks.agentdojo", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})

    # Not before: the suites build sets while they are imported.
    from benchmarks.agentdojo import report
    from benchmarks.agentdojo.field import played
    from benchmarks.agentdojo.score import Result

    started = time.perf_counter()
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as folder:
        for suite in given.suite or SUITES:
            tried = played(suite, Path(folder), jobs=given.jobs, limit=given.limit, shuffle=given.shuffle)
            found += command.gathered(suite, tried, told_every=100)
    command.reported("agentdojo", report.section, found, started=started, jobs=given.jobs, write=given.write)


if __name__ == "__main__":
    main()
