"""How an audit says what is missing: one thing of one record or of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def of_runs(runs: Sequence[str], one: str, many: str = "") -> tuple[str, ...]:
    """Say one thing of one run or of many; which ones stands in the findings."""
    if not runs:
        return ()
    return (f"Run {runs[0]} {one}." if len(runs) == 1 else f"{len(runs)} runs {many or one}.",)


def each_of(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Say one thing once for each name, and how often it holds."""
    counted = Counter(names).items()
    return tuple(text.format(name, f" ({number} times)" if number > 1 else "") for name, number in counted)
