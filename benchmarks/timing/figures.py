"""A figure: something measured beside its yardstick, round by round, so that a slow moment of the machine hits both."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

WARM_UP: Final = 5


class Round(Struct, frozen=True):
    """What one round measured, both in the figure's unit."""

    own: float
    yardstick: float = math.nan


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the results. ``aim`` is "≤ 6", "≥ 0.55" or "0", and empty where none is set: it bounds the ratio. What was measured itself
    it bounds where there is no yardstick, where it has the unit ("≤ 1000 ms"), and where it is "0".
    """

    name: str
    unit: str
    yardstick: str = ""
    rounds: tuple[Round, ...]
    aim: str = ""

    @property
    def own(self) -> float:
        return statistics.median(each.own for each in self.rounds)

    @property
    def beside(self) -> float:
        return statistics.median(each.yardstick for each in self.rounds)

    @property
    def ratio(self) -> float:
        return statistics.median(self._ratios())

    @property
    def missed(self) -> bool:
        """Whether there is an aim and it was not reached."""
        if not self.aim:
            return False
        bound = self.aim.removesuffix(f" {self.unit}")
        of_ratio = self.yardstick and self.aim not in ("0", f"{bound} {self.unit}")
        measured = self.ratio if of_ratio else self.own
        relation, _, number = bound.rpartition(" ")
        return measured < float(number) if relation == "≥" else measured > float(number)

    @property
    def noise(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a round."""
        return min(self._ratios()), max(self._ratios())

    def _ratios(self) -> list[float]:
        return [each.own / each.yardstick if each.yardstick else math.inf for each in self.rounds]


def percentile(samples: Iterable[float], share: float) -> float:
    """Answer the sample below which ``share`` of all samples lie (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def timed_ms(work: Callable[[], object]) -> float:
    """Answer how many milliseconds the work took."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def paired(own: Sequence[float], yardstick: Sequence[float]) -> tuple[Round, ...]:
    """Join what each round measured of the two."""
    return tuple(Round(mine, its) for mine, its in zip(own, yardstick, strict=True))


def median_ms(work: Callable[[], object], times: int) -> float:
    """Answer the median of so many runs of the work, after a few that do not count."""
    for _ in range(WARM_UP):
        work()
    return statistics.median(timed_ms(work) for _ in range(times))
