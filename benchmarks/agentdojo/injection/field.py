"""All that is asked of the agents, as jobs for several processes: no job knows of another."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.agentdojo.injection.gated import Gate, Gated
from benchmarks.agentdojo.injection.weighed import CLEAN, IGNORED, KNOWN, TEMPLATES, Trial, Worlds, trials

SUITES: Final = ("workspace", "banking")


class Job(NamedTuple):
    """An arm of a suite: weighed, or carried through the guard, with the template in its environments, and ``told`` its task or not."""

    guarded: bool
    suite: str
    arm: str
    template: str | None
    told: bool
    folder: str


class Found(NamedTuple):
    """What came of a job."""

    job: Job
    trials: tuple[Trial, ...] = ()
    gated: tuple[Gated, ...] = ()


def jobs(folder: str) -> Iterator[Job]:
    """Yield every job, those that take an installation first."""
    for suite in SUITES:
        yield Job(True, suite, KNOWN[0], KNOWN[0], True, folder)
        yield Job(True, suite, CLEAN, None, True, folder)
    for suite in SUITES:
        yield Job(False, suite, CLEAN, None, True, folder)
        yield Job(False, suite, CLEAN, None, False, folder)
        for template in TEMPLATES:
            yield Job(False, suite, template, template, True, folder)
            yield Job(False, suite, IGNORED, template, True, folder)
        for template in KNOWN:
            yield Job(False, suite, template, template, False, folder)
        yield Job(False, suite, IGNORED, KNOWN[0], False, folder)


def played(job: Job) -> Found:
    """Answer what comes of a job, in this process."""
    if not job.guarded:
        found = trials(_worlds(job.suite), job.arm, template=job.template, told=job.told)
        return Found(job, trials=tuple(found))
    with tempfile.TemporaryDirectory(dir=job.folder) as own:
        return Found(job, gated=tuple(Gate(job.suite, Path(own)).trials(job.arm, job.template)))


@cache
def _worlds(suite: str) -> Worlds:
    """Answer this process's own environments of a suite; made once."""
    return Worlds(suite)
