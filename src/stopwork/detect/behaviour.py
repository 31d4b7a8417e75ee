"""What a run did, as a few numbers, and whether the runs after a change did something else than those before it.

A run is one observation: the calls within it depend on each other. For each tool its share of the run's calls is taken, for each numeric argument
its mean, for each word among the arguments its share. Two groups of runs are compared number by number by the rank-sum test of Mann and Whitney, which
needs no shape of a distribution and is not moved by one wild run. Where the groups do not overlap at all its exact probability is used,
otherwise the normal approximation with ties. Nothing is said by less than five runs on either side, and for each of many numbers and each
look the threshold is divided by their count: chance alone says "different" for one change in a hundred. And the difference has to matter: nine runs of ten lie beyond the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist, median
from typing import Any, Final

from stopwork.detect.arguments import is_word
from stopwork.ledger.records import Record

Counts = dict[str, float]

LEAST_RUNS: Final = 5
MOST_RUNS: Final = 20
LOOKS: Final = (5, 10, 20)
"""After so many runs it is looked whether they differ: every look is a chance to be wrong."""

BY_CHANCE: Final = 0.01
BEYOND: Final = 0.9
LEAST_SHARE: Final = 0.1
LEAST_FACTOR: Final = 1.5
MOST_NUMBERS: Final = 80
MOST_COMPARED: Final = 40

_NUMBERS: Final = (int, float)

_CALLS: Final = "calls "
_SUM: Final = "sum "
_COUNT: Final = "count "
_WORD: Final = "word "


class Shift(Record):
    """Something that is different after a change: the median of the runs before and after it."""

    what: str
    before: float
    after: float
    chance: float


def counted(counts: Mapping[str, float], tool: str, args: Mapping[str, Any]) -> Counts:
    """Answer what a run has done after one more call."""
    more: Counts = dict(counts)
    _add(more, f"{_CALLS}{tool}", 1)
    for name, value in args.items():
        if isinstance(value, str):
            if is_word(value):
                _add(more, f"{_WORD}{tool}.{name}={value}", 1)
        elif type(value) in _NUMBERS and math.isfinite(value):
            _add(more, f"{_SUM}{tool}.{name}", value)
            _add(more, f"{_COUNT}{tool}.{name}", 1)
    return more


def _add(counts: Counts, name: str, value: float) -> None:
    if (known := counts.get(name)) is not None:
        counts[name] = known + value
    elif len(counts) < MOST_NUMBERS:
        counts[name] = float(value)


def features(counts: Mapping[str, float]) -> dict[str, float]:
    """Answer what is compared of a finished run: shares and means, by what they are of."""
    calls = {name[len(_CALLS) :]: value for name, value in counts.items() if name.startswith(_CALLS)}
    total = sum(calls.values())
    found = {f"share of {tool}": value / total for tool, value in calls.items()}
    for name, value in counts.items():
        if name.startswith(_SUM) and (count := counts.get(_COUNT + name[len(_SUM) :])):
            found[f"mean of {name[len(_SUM) :]}"] = value / count
        elif name.startswith(_WORD):
            tool = max((each for each in calls if name.startswith(f"{_WORD}{each}.")), key=len, default="")
            if tool:
                found[f"share of {name[len(_WORD) :]}"] = value / calls[tool]
    return found


def shifts(before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]) -> Iterator[Shift]:
    """Answer in what the runs after a change differ from those before it; nothing where there are too few to tell."""
    if min(len(before), len(after)) < LEAST_RUNS:
        return
    often = Counter(name for run in (*before, *after) for name in run)
    names = [name for name, _ in often.most_common(MOST_COMPARED)]
    for name in names:
        one, other = _values(name, before), _values(name, after)
        if min(len(one), len(other)) < LEAST_RUNS:
            continue
        chance, beyond = rank_sum(one, other)
        if chance * len(names) * len(LOOKS) >= BY_CHANCE or max(beyond, 1 - beyond) < BEYOND:
            continue
        if _matters(name, low := median(one), high := median(other)):
            yield Shift(what=name, before=low, after=high, chance=chance)


def _values(name: str, runs: Sequence[Mapping[str, float]]) -> list[float]:
    # What was not done has a share of nothing, but no mean.
    return [run.get(name, 0.0) for run in runs if name in run or name.startswith("share")]


def _matters(name: str, before: float, after: float) -> bool:
    if name.startswith("share"):
        return abs(after - before) >= LEAST_SHARE
    small, large = sorted((abs(before), abs(after)))
    return before * after < 0 or large >= LEAST_FACTOR * small


def rank_sum(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Answer the two-sided probability that chance alone separates the groups like this, and the share of pairs in which ``other`` is larger."""
    pairs = len(one) * len(other)
    larger = sum((y > x) + 0.5 * (y == x) for x in one for y in other)
    if larger in (0.0, float(pairs)) and set(one).isdisjoint(other):
        return 2 / math.comb(len(one) + len(other), len(one)), larger / pairs
    size = len(one) + len(other)
    ties = sum(count**3 - count for count in Counter((*one, *other)).values())
    variance = pairs / 12 * (size + 1 - ties / (size * (size - 1)))
    if variance <= 0:
        return 1.0, 0.5
    distance = max(abs(larger - pairs / 2) - 0.5, 0.0) / math.sqrt(variance)
    return 2 * (1 - NormalDist().cdf(distance)), larger / pairs
