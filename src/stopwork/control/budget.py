"""What a run, and a day of runs, may still spend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stopwork.kernel.phrases import count_of, money
from stopwork.ledger.records import Reason, Record
from stopwork.ledger.words import EffectKind, ReasonKind, Verdict
from stopwork.manifest.model import Budget, Limited, Unpriced

_DOLLARS: Final = ("run_usd", "day_usd")
_TOKENS: Final = ("run_tokens", "day_tokens")
_CALLS: Final = ("run_calls", "day_calls")
_WRITES: Final = ("run_writes", "day_writes")
_SPANS: Final = {"run": "in this run", "day": "today"}


class Usage(Record):
    """What was spent before this call: by its run, and by the workflow since the day began (UTC), whenever its runs began.

    ``run_unpriced`` and ``day_unpriced`` count model calls whose price is unknown; they are in no dollar figure.
    """

    run_usd: float = 0.0
    run_tokens: int = 0
    run_calls: int = 0
    run_writes: int = 0
    run_unpriced: int = 0
    day_usd: float = 0.0
    day_tokens: int = 0
    day_calls: int = 0
    day_writes: int = 0
    day_unpriced: int = 0


def reasons(usage: Usage, budget: Budget, limited: Limited | None, effect: EffectKind) -> Iterator[Reason]:
    """Answer one refusal for every limit that leaves no room for this call.

    ``limited`` holds the tighter caps of that stage, or is ``None`` in every other stage. A call that only reads is
    not counted as a write.
    """
    for name in _DOLLARS:
        limit = getattr(budget, name)
        if limit is not None and getattr(usage, name) >= limit:
            yield _refusal(f"{money(getattr(usage, name))} spent {_span(name)} of {money(limit)}", name)
        if limit is not None and budget.unpriced is Unpriced.DENY and _unpriced(usage, name):
            uncounted = count_of(_unpriced(usage, name), "model call")
            yield _refusal(
                f"{uncounted} of unknown price {_span(name)}, so the limit of {money(limit)} cannot be kept",
                name,
            )
    for name in _TOKENS:
        limit = getattr(budget, name)
        if limit is not None and getattr(usage, name) >= limit:
            yield _refusal(f"{getattr(usage, name):,} tokens used {_span(name)} of {limit:,}", name)
    yield from _counted(usage, budget, _CALLS, "call", "budget")
    if effect is not EffectKind.READ:
        yield from _counted(usage, budget, _WRITES, "write", "budget")
        if limited is not None:
            yield from _counted(usage, limited, _WRITES, "write", "stages.limited")


def _counted(
    usage: Usage, limits: Budget | Limited, names: tuple[str, ...], noun: str, section: str
) -> Iterator[Reason]:
    for name in names:
        limit = getattr(limits, name)
        if limit is not None and getattr(usage, name) + 1 > limit:
            made = count_of(getattr(usage, name), noun)
            yield _refusal(f"{made} permitted {_span(name)} of {limit}", name, section)


def _refusal(text: str, name: str, section: str = "budget") -> Reason:
    return Reason(
        kind=ReasonKind.BUDGET,
        verdict=Verdict.DENY,
        text=f"budget used up: {text}",
        source=f"{section}.{name}",
    )


def _span(name: str) -> str:
    return _SPANS[name.partition("_")[0]]


def _unpriced(usage: Usage, name: str) -> int:
    return usage.run_unpriced if name.startswith("run") else usage.day_unpriced
