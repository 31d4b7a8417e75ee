"""``python -m benchmarks.agentdojo.injection``: what is found of prompt injection, at which price, and what a gate keeps from happening."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from multiprocessing import get_context

from benchmarks import results
from benchmarks.worlds import command


def main() -> None:
    """Run the bench, print the section and, with ``--write``, put it into RESULTS.md."""
    parser = command.options("agentdojo.injection", __doc__)
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        again = [sys.executable, "-m", "benchmarks.agentdojo.injection", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})

    # Not before: the suites build sets while they are imported.
    from benchmarks.agentdojo.injection import report
    from benchmarks.agentdojo.injection.field import Found, jobs, played

    started = time.perf_counter()
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="stopwork-bench-") as folder:
        every = list(jobs(folder))
        with get_context("spawn").Pool(given.jobs) as pool:
            for each in pool.imap_unordered(played, every):
                found.append(each)
                print(f"{each.job}: {len(each.trials) + len(each.gated)}", file=sys.stderr, flush=True)
    # In the order in which they were asked for, whoever came first.
    found.sort(key=lambda each: every.index(each.job))
    text = report.section(
        [(each.job.template, trial) for each in found for trial in each.trials],
        [(each.job.template, gated) for each in found for gated in each.gated],
        duration_s=time.perf_counter() - started,
        command=shlex.join(["python", "-m", "benchmarks.agentdojo.injection", *sys.argv[1:]]),
    )
    print(text)
    if given.write:
        results.write("agentdojo injection", text)


if __name__ == "__main__":
    main()
