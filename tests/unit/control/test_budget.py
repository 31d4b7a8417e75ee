"""Contract of the budget: each limit refuses the call that would exceed it, and no other."""

from __future__ import annotations

import pytest

from stopwork.control import budget
from stopwork.control.budget import Usage
from stopwork.ledger.words import EffectKind, ReasonKind, Verdict
from stopwork.manifest.model import Budget, Limited, Unpriced

READ, WRITE = EffectKind.READ, EffectKind.CREATE
CAPPED = Limited(run_writes=3, day_writes=5)

CASES: dict[str, tuple[Usage, Budget, Limited | None, EffectKind, list[str]]] = {
    "no limits": (Usage(run_usd=1e6, run_calls=10**6), Budget(), None, WRITE, []),
    "dollars left": (Usage(run_usd=2.49), Budget(run_usd=2.50), None, READ, []),
    "no dollars left": (Usage(run_usd=2.50), Budget(run_usd=2.50), None, READ, ["budget.run_usd"]),
    "no dollars left today": (Usage(day_usd=20), Budget(day_usd=20), None, READ, ["budget.day_usd"]),
    "no tokens left": (Usage(run_tokens=10), Budget(run_tokens=10), None, READ, ["budget.run_tokens"]),
    "the last call": (Usage(run_calls=1), Budget(run_calls=2), None, READ, []),
    "one call too many": (Usage(run_calls=2), Budget(run_calls=2), None, READ, ["budget.run_calls"]),
    "one call too many today": (Usage(day_calls=2), Budget(day_calls=2), None, READ, ["budget.day_calls"]),
    "reads are no writes": (Usage(run_writes=2), Budget(run_writes=2), None, READ, []),
    "one write too many": (Usage(run_writes=2), Budget(run_writes=2), None, WRITE, ["budget.run_writes"]),
    "the caps of the limited stage": (
        Usage(run_writes=3, day_writes=5),
        Budget(),
        CAPPED,
        WRITE,
        ["stages.limited.run_writes", "stages.limited.day_writes"],
    ),
    "those caps leave reads alone": (Usage(run_writes=3), Budget(), CAPPED, READ, []),
    "a price nobody knows": (Usage(run_unpriced=1), Budget(run_usd=1), None, READ, ["budget.run_usd"]),
    "a price nobody knows, today": (Usage(day_unpriced=1), Budget(day_usd=1), None, READ, ["budget.day_usd"]),
    "a price nobody knows, accepted": (
        Usage(run_unpriced=1),
        Budget(run_usd=1, unpriced=Unpriced.ALLOW),
        None,
        READ,
        [],
    ),
    "a price nobody knows, without a dollar limit": (Usage(run_unpriced=1), Budget(), None, READ, []),
    "several at once": (
        Usage(run_usd=5, run_calls=9),
        Budget(run_usd=1, run_calls=9),
        None,
        READ,
        ["budget.run_usd", "budget.run_calls"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_limits(name: str) -> None:
    usage, limits, limited, effect, sources = CASES[name]
    found = list(budget.reasons(usage, limits, limited, effect))
    assert [reason.source for reason in found] == sources
    assert all((reason.kind, reason.verdict) == (ReasonKind.BUDGET, Verdict.DENY) for reason in found)


def test_the_reason_names_the_figure_and_the_limit() -> None:
    [reason] = budget.reasons(Usage(run_usd=2.75), Budget(run_usd=2.5), None, READ)
    assert "USD 2.75" in reason.text
    assert "USD 2.50" in reason.text
