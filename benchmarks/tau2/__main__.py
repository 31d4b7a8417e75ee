"""``python -m benchmarks.tau2``: the tasks of the two domains through the guard, and the tables."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.tau2 import report
from benchmarks.tau2.domains import DOMAINS
from benchmarks.tau2.field import Choice, played
from benchmarks.tau2.score import Result
from benchmarks.worlds import command


def main() -> None:
    """Run the bench, print the section and, with ``--write``, put it into RESULTS.md."""
    parser = command.options("tau2", __doc__)
    parser.add_argument("--domain", action="append", choices=DOMAINS, help="only this domain")
    parser.add_argument(
        "--split", default="base", help="which of the package's sets of tasks; `full` has 2,285 of telecom"
    )
    parser.add_argument("--pairs", type=int, default=100, metavar="N", help="pairs besides all neighbours")
    parser.add_argument("--sample", type=int, metavar="N", help="only N plays of each arm and manifest")
    given = parser.parse_args()
    started = time.perf_counter()
    found: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as folder:
        for domain in given.domain or DOMAINS:
            choice = Choice(domain=domain, split=given.split, pairs=given.pairs, sample=given.sample)
            tried = played(choice, Path(folder), jobs=given.jobs, shuffle=given.shuffle)
            found += command.gathered(domain, tried)
    command.reported("tau2", report.section, found, started=started, jobs=given.jobs, write=given.write)


if __name__ == "__main__":
    main()
