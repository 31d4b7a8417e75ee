"""What runs spend: money, tokens, calls, and what else is paid by use, and how much of each is usual.

What is usual is told by the last runs, in a way that wild ones among them do not change: by their median, by how far runs commonly lie from it, and by
what has come more than now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from stopwork.kernel.phrases import count_of, lasting, money
from stopwork.ledger.records import Record
from stopwork.manifest.alerts import RUNTIME
from stopwork.manifest.parts import Unit

HISTORY_RUNS: Final = 30
"""Four weeks of a daily workflow: what is heavy on one weekday alone has then come four times."""
LEAST_HISTORY_RUNS: Final = 5
HABIT_RUNS: Final = 3
"""What so many of the last runs spent is a habit, however far it lies from the rest."""
SPREADS: Final = 6.0
"""So many times further from the median than runs commonly lie is out of proportion."""
NORMAL_SPREAD: Final = 1.4826
"""The standard deviation of what is normally distributed, in median distances from its median."""

# Below these amounts "four times the usual" is noise; calls and writes follow the amount of work and are left
# to budgets.
NOTICEABLE_USD: Final = 0.10
NOTICEABLE_TOKENS: Final = 10_000.0
NOTICEABLE: Final[Mapping[str, float]] = {
    "usd": NOTICEABLE_USD,
    "tokens": NOTICEABLE_TOKENS,
    Unit.RETRIEVAL: 100.0,
    Unit.BROWSER: 20.0,
    Unit.ENRICHMENT: 50.0,
    Unit.API: 200.0,
    RUNTIME: 1_800.0,
}
PAID: Final = ("usd", "tokens")
"""What is paid for whatever comes of it; the other units follow the amount of work more closely."""

_IN_WORDS: Final[Mapping[str, str]] = {
    "tokens": "token",
    "calls": "call",
    "writes": "write",
    Unit.RETRIEVAL: "retrieval",
    Unit.BROWSER: "browser run",
    Unit.ENRICHMENT: "enrichment",
    Unit.API: "API call",
}


class Spend(Record):
    """What was spent so far; ``told`` names the limits about which a finding was made already.

    ``units`` are what calls count as by their manifest, retrievals, and the time that runs took.
    """

    usd: float = 0.0
    tokens: float = 0.0
    calls: float = 0.0
    writes: float = 0.0
    unpriced: int = 0
    told: tuple[str, ...] = ()
    units: dict[str, float] = {}

    def plus(self, more: Spend) -> Spend:
        return Spend(
            usd=self.usd + more.usd,
            tokens=self.tokens + more.tokens,
            calls=self.calls + more.calls,
            writes=self.writes + more.writes,
            unpriced=self.unpriced + more.unpriced,
            told=self.told,
            units=_sum(self.units, more.units) if more.units else self.units,
        )

    def of(self, unit: str) -> float:
        """Answer how much of a unit was spent."""
        known = self.units.get(unit)
        return getattr(self, unit, 0.0) if known is None else known


def _sum(units: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    return {**units, **{unit: units.get(unit, 0.0) + amount for unit, amount in more.items()}}


class Usual(Record):
    """What a run of a workflow usually spends of one unit, and beyond how much that is neither its spread nor its habit."""

    median: float
    bound: float


def usual_of(unit: str, past: Sequence[Spend]) -> Usual | None:
    """Answer what is usual of a unit by these runs; ``None`` where too few of them tell of it."""
    if unit in PAID:
        spent = [each.of(unit) for each in past]
    else:
        # A unit that was declared just now has no history, and neither has the time of a run that waited for people.
        spent = [each.units[unit] for each in past if unit in each.units]
    if len(spent) < LEAST_HISTORY_RUNS:
        return None
    spent.sort()
    middle = median(spent)
    spread = NORMAL_SPREAD * median([abs(value - middle) for value in spent])
    return Usual(median=middle, bound=max(middle + SPREADS * spread, spent[-HABIT_RUNS]))


def amount(unit: str, value: float) -> str:
    """Answer an amount in words."""
    if unit == "usd":
        return money(value)
    return lasting(value) if unit == RUNTIME else count_of(round(value), _IN_WORDS[unit])
