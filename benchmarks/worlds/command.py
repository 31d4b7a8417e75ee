"""What the command lines of the benches have in common."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from benchmarks import results

R = TypeVar("R")


def options(bench: str, doc: str | None) -> argparse.ArgumentParser:
    """Answer a parser that knows how many processes are used, in which order, and whether the section is written."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{bench}", description=doc)
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count(),
        metavar="N",
        help="processes; one for each core if not given",
    )
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="run in another order")
    parser.add_argument("--write", action="store_true", help="write the section in benchmarks/RESULTS.md")
    return parser


def gathered(name: str, tried: Iterable[R], *, told_every: int = 50) -> list[R]:
    """Answer all results, and say on the way how many there are."""
    found: list[R] = []
    for result in tried:
        found.append(result)
        if len(found) % told_every == 0:
            print(f"\r{name}: {len(found)} runs", end="", file=sys.stderr, flush=True)
    print(f"\r{name}: {len(found)} runs", file=sys.stderr)
    return found


def reported(
    bench: str, section: Callable[..., str], found: list[R], *, started: float, jobs: int, write: bool
) -> None:
    """Print the section, and put it into RESULTS.md where that is asked for."""
    text = section(
        found,
        duration_s=time.perf_counter() - started,
        command=shlex.join(["python", "-m", f"benchmarks.{bench}", *sys.argv[1:]]),
        jobs=jobs,
    )
    print(text)
    if write:
        results.write(bench, text)
