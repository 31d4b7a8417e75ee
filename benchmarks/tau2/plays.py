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
FEW_PAIRS: Final = 40


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

    @property
    def all_calls(self) -> bool:
        """Whether also the calls are made that only read: once is enough to see that they change nothing."""
        return (self.variant, self.arm) == (Variant.DECLARED, Arm.ONCE)

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

    With ``sample`` only so many of each arm and manifest are yielded, drawn the same way; beside the main manifest never more than
    a few of the pairs.
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
            most = len(chosen) if sample is None else sample
            if arm.rogue and variant is not Variant.DECLARED:
                most = min(most, FEW_PAIRS)
            if most < len(chosen):
                chosen = drawn.sample(chosen, most)
            yield from (Play(arm=arm, variant=variant, tasks=each) for each in chosen)
