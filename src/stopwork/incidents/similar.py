"""Similar actions: how much a past call is like a bad one, and why.

Only calls of one workflow and tool are compared. Beyond that a call may be like another by its gate, by the shape of its arguments (their
names and kinds of value), by the values that both were given, by where it came from and by what it changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from stopwork.kernel.phrases import count_of
from stopwork.ledger.records import Call
from stopwork.ledger.words import IncidentType, ReasonKind

#: The kinds of incident after which every similar action has to be looked at.
REVIEWED: Final = frozenset({IncidentType.APPROVAL_BYPASS, IncidentType.PROMPT_INJECTION})
_GATE, _SHAPE, _SOURCE, _VALUES, _DESTINATION = 8, 4, 4, 2, 2


class Similar(Struct, frozen=True, kw_only=True):
    """A past call that is like a bad one: ``like`` is that one, ``score`` how much, and ``why`` in words."""

    call: Call
    like: str
    score: int
    why: tuple[str, ...]


def similar(bad: Iterable[Call], candidates: Iterable[Call]) -> tuple[Similar, ...]:
    """Answer the candidates that are like one of the bad calls, the most similar first, then the newest; no call is like itself."""
    known = list(bad)
    own = {call.id for call in known}
    found = []
    for call in candidates:
        if call.id in own:
            continue
        compared = [_compared(each, call) for each in known if _same_tool(each, call)]
        if compared:
            found.append(max(compared, key=lambda each: each.score))
    return tuple(
        sorted(found, key=lambda each: (-each.score, -each.call.requested_at.timestamp(), each.call.id))
    )


def _same_tool(bad: Call, call: Call) -> bool:
    return (bad.workflow, bad.tool) == (call.workflow, call.tool)


def _compared(bad: Call, call: Call) -> Similar:
    score, why = 1, [f"same tool, {call.tool}"]
    gates = _gates(bad) & _gates(call)
    if gates:
        score += _GATE
        passed = "" if call.approval else ", passed without an approval" if call.permitted_at else ""
        why.append(f"same gate{passed}")
    if shape(bad.args) == shape(call.args):
        score += _SHAPE
        why.append("same arguments by name and kind")
    same = [name for name, value in bad.args.items() if name in call.args and call.args[name] == value]
    if same:
        score += _VALUES * len(same) // max(1, len(bad.args))
        why.append(f"same value of {count_of(len(same), 'argument')}: {', '.join(sorted(same)[:3])}")
    if bad.source is not None and bad.source == call.source:
        score += _SOURCE
        why.append(f"same source, {call.source}")
    if set(bad.destinations or ()) & set(call.destinations or ()):
        score += _DESTINATION
        why.append(f"same destination, {call.destination}")
    return Similar(call=call, like=bad.id, score=score, why=tuple(why))


def shape(value: Any) -> Any:
    """Answer the names and the kinds of value of arguments, without the values."""
    match value:
        case dict():
            return tuple(sorted((name, shape(each)) for name, each in value.items()))
        case list() | tuple():
            return ("list", *sorted({str(shape(each)) for each in value}))
        case bool() | None:
            return type(value).__name__
        case int() | float():
            return "number"
    return "text"


def _gates(call: Call) -> set[str]:
    return {reason.source or reason.text for reason in call.reasons if reason.kind is ReasonKind.GATE}
