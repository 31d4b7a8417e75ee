"""What is played: tasks alone, tasks in each other's way, tasks whose writes are made twice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import Final

from msgspec import Struct
from tau2.data_model.tasks import Task

from benchmarks.tau2.domains import Domain
from benchmarks.worlds.ground import Variant

SEED: Final = 4


class Arm(StrEnum):
    """What is done in a world, and what of it was not wanted."""

    ONCE = "one task"
    ANSWERS_LOST = "one task, the answer to each write lost"
    ROGUE_AFTER = "two tasks, the second unwanted"
    ROGUE_BEFORE = "two tasks, the first unwanted"
    TWICE = "each write twice"

    @property
    def rogue(self) -> bool:
        """Whether two tasks meet."""
        return self in (Arm.ROGUE_AFTER, Arm.ROGUE_BEFORE)


class Play(Struct, frozen=True, kw_only=True):
    """One arm with its tasks: of two, the first is the wanted one, whichever is done first."""

    arm: Arm
    variant: Variant
    tasks: tuple[Task, ...]

    def __str__(self) -> str:
        return " and ".join(task.id for task in self.tasks)


#: Which arms are played under which manifest: what it is worth to declare objects, or to scan, is seen in the plainest two.
_ARMS: Final = {
    Variant.DECLARED: tuple(Arm),
    Variant.SCAN_ONLY: (Arm.ONCE, Arm.ROGUE_AFTER),
    Variant.NO_SCAN: (Arm.ONCE, Arm.ROGUE_AFTER),
}


def plays(domain: Domain, *, pairs: int, sample: int | None) -> Iterator[Play]:
    """Yield every play of a domain: each task alone, all neighbours, and in the main arm so many pairs more, the same every time.

    With ``sample`` only so many of each arm and manifest are yielded, drawn the same way.
    """
    tasks = domain.tasks
    drawn = random.Random(SEED)
    neighbours = list(pairwise([*tasks, tasks[0]]))
    # Each task with any that is not the next one: the last one's next is the first.
    more = [(task, tasks[at - skip]) for at, task in enumerate(tasks) for skip in range(1, len(tasks) - 1)]
    for variant, arms in _ARMS.items():
        for arm in arms:
            chosen = neighbours if arm.rogue else [(task,) for task in tasks]
            if (variant, arm) == (Variant.DECLARED, Arm.ROGUE_AFTER):
                chosen = [*neighbours, *drawn.sample(more, pairs)]
            if sample is not None and sample < len(chosen):
                chosen = drawn.sample(chosen, sample)
            yield from (Play(arm=arm, variant=variant, tasks=each) for each in chosen)
