"""What enforcement would have done while a workflow was only observed: read before its manifest is switched to ``enforce``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from stopwork.control.verdicts import STRICTNESS
from stopwork.ledger import records as r
from stopwork.ledger import words as w

#: How many calls of one kind are shown as examples, those that look right first.
MOST_EXAMPLES: Final = 3


class Example(Struct, frozen=True, kw_only=True):
    """One call that enforcement would have answered otherwise, and the reason that would have decided."""

    call: str
    run: str
    args: dict[str, Any]
    at: datetime
    text: str
    good: bool


class Divergence(Struct, frozen=True, kw_only=True):
    """Calls of one tool that enforcement would have answered in one way, for one kind of reason."""

    tool: str
    would: w.Verdict
    kind: w.ReasonKind
    calls: int
    good: int
    examples: tuple[Example, ...]


class EnforcementReport(Struct, frozen=True, kw_only=True):
    """What enforcement would have done with ``calls`` calls from ``since`` on; each counts once.

    It would have ``stopped`` some and ``asked`` about others first. ``good_stopped`` are those that it would have stopped although they
    succeeded and nothing but the manifest speaks against them: what to look at before it is switched on.
    """

    workflow: str
    since: datetime
    calls: int
    stopped: int
    asked: int
    good_stopped: int
    divergences: tuple[Divergence, ...]


def observed(
    workflow: str, calls: Sequence[r.Call], signals: Iterable[r.Signal], *, since: datetime
) -> EnforcementReport:
    """Answer what would have been different, stopped calls before asked ones and the most frequent first.

    A call that nobody may judge yet, because it failed or its end is unknown, is not called good.
    """
    doubted = _doubted(signals)
    grouped: dict[tuple[str, w.Verdict, w.ReasonKind], list[Example]] = {}
    for call in calls:
        if (reason := _deciding(call)) is not None:
            found = grouped.setdefault((call.tool, call.would, reason.kind), [])
            found.append(_example(call, reason, doubted))
    divergences = sorted(
        (
            Divergence(
                tool=tool,
                would=would,
                kind=kind,
                calls=len(examples),
                good=sum(each.good for each in examples),
                examples=tuple(sorted(examples, key=lambda each: not each.good)[:MOST_EXAMPLES]),
            )
            for (tool, would, kind), examples in grouped.items()
        ),
        key=lambda each: (-STRICTNESS[each.would], -each.calls, each.tool),
    )
    stopped = [each for each in divergences if each.would is not w.Verdict.WAIT]
    return EnforcementReport(
        workflow=workflow,
        since=since,
        calls=len(calls),
        stopped=sum(each.calls for each in stopped),
        asked=sum(each.calls for each in divergences if each.would is w.Verdict.WAIT),
        good_stopped=sum(each.good for each in stopped),
        divergences=tuple(divergences),
    )


def _deciding(call: r.Call) -> r.Reason | None:
    """Answer the first of the strictest reasons, where enforcement would have answered otherwise."""
    if call.would is call.verdict:
        return None
    return next((reason for reason in call.reasons if reason.verdict is call.would), None)


def _doubted(signals: Iterable[r.Signal]) -> frozenset[str]:
    """Answer the calls and runs that a signal is about, other than one that repeats what the manifest says."""
    return frozenset(
        about
        for signal in signals
        if signal.kind is not w.SignalKind.POLICY_VIOLATION and (about := signal.call or signal.run)
    )


def _example(call: r.Call, reason: r.Reason, doubted: Collection[str]) -> Example:
    return Example(
        call=call.id,
        run=call.run,
        args=call.args,
        at=call.requested_at,
        text=reason.text,
        good=call.outcome is w.Outcome.SUCCEEDED and call.id not in doubted and call.run not in doubted,
    )
