"""What a hold covers, and what it answers for a call that it covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from msgspec.structs import replace

from stopwork.control import items
from stopwork.ledger.records import Hold, Reason, Record, Scope
from stopwork.ledger.words import EffectKind, HoldMode, ReasonKind, ScopeKind, Verdict

CLASS_PREFIX: Final = "class:"
"""A source scope named ``class:external`` covers every source of that trust, also one declared later."""


class Subject(Protocol):
    """What a scope is compared with; a :class:`~stopwork.ledger.records.Call` is one, and so is a call about to be made."""

    @property
    def workflow(self) -> str: ...
    @property
    def trigger(self) -> str: ...
    @property
    def tool(self) -> str: ...
    @property
    def effect(self) -> EffectKind: ...
    @property
    def permission(self) -> str | None: ...
    @property
    def source(self) -> str | None: ...
    @property
    def source_class(self) -> str | None: ...
    @property
    def destinations(self) -> tuple[str, ...] | None: ...
    @property
    def args(self) -> dict[str, Any]: ...


class Retrieval(Record):
    """What a run has read, or is about to, as a hold sees it: ``args`` is whatever says which items."""

    workflow: str
    trigger: str
    source: str | None
    source_class: str | None
    args: dict[str, Any]
    tool: str = ""
    effect: EffectKind = EffectKind.READ
    permission: str | None = None
    destinations: tuple[str, ...] | None = ()


# For each mode: the verdict on a call that only reads, and on one that changes something.
_ANSWERS: Final = {
    HoldMode.BLOCK: (Verdict.DENY, Verdict.DENY),
    HoldMode.READ_ONLY: (Verdict.ALLOW, Verdict.DENY),
    HoldMode.DRAFT_ONLY: (Verdict.ALLOW, Verdict.DRAFT),
    HoldMode.APPROVAL_REQUIRED: (Verdict.WAIT, Verdict.WAIT),
}

_MEANING: Final = {
    HoldMode.BLOCK: "nothing it covers may run",
    HoldMode.READ_ONLY: "only reading is allowed",
    HoldMode.DRAFT_ONLY: "changes are only drafted",
    HoldMode.APPROVAL_REQUIRED: "every call needs approval",
}


def covers(scope: Scope, subject: Subject) -> bool:
    """Answer whether the scope covers this call. Destinations that cannot be read may be any."""
    if scope.workflow is not None and scope.workflow != subject.workflow:
        return False
    match scope.kind:
        case ScopeKind.EVERYTHING:
            return True
        case ScopeKind.WORKFLOW:
            return scope.name == subject.workflow
        case ScopeKind.TRIGGER:
            return scope.name == subject.trigger
        case ScopeKind.TOOL:
            return scope.name == subject.tool
        case ScopeKind.PERMISSION:
            return scope.name == subject.permission
        case ScopeKind.SOURCE:
            of_class = subject.source_class is not None and scope.name == CLASS_PREFIX + subject.source_class
            if not of_class and scope.name != subject.source:
                return False
            return scope.item is None or items.names(subject.args, scope.item)
        case ScopeKind.DESTINATION:
            # Addresses are often spelled in other letters than they were held in.
            named = scope.name.casefold()
            return subject.destinations is None or named in map(str.casefold, subject.destinations)


def whole(hold: Hold) -> Hold:
    """Answer the hold as it is for whoever cannot tell which items a call names: on all of the source."""
    return hold if hold.scope.item is None else replace(hold, scope=replace(hold.scope, item=None))


def answer(mode: HoldMode, effect: EffectKind) -> Verdict:
    """Answer the verdict that a hold of this mode gives a call with this effect."""
    reading, changing = _ANSWERS[mode]
    return reading if effect is EffectKind.READ else changing


def reasons(holds: Iterable[Hold], subject: Subject) -> Iterator[Reason]:
    """Answer one reason for every active hold that covers the call and restricts it."""
    for hold in holds:
        if not hold.active or not covers(hold.scope, subject):
            continue
        verdict = answer(hold.mode, subject.effect)
        if verdict is not Verdict.ALLOW:
            text = describe(hold)
            if hold.scope.kind is ScopeKind.DESTINATION and subject.destinations is None:
                text += "; where this call would go cannot be read"
            yield Reason(kind=ReasonKind.HOLD, verdict=verdict, text=text, source=hold.id)


def keeps_from_starting(holds: Iterable[Hold], workflow: str, trigger: str) -> Hold | None:
    """Answer the active hold, if any, that keeps a run of this workflow from starting by this trigger.

    Only a block of everything, of the workflow or of the trigger does. A run may start under a milder hold; its calls
    are then answered one by one.
    """
    for hold in holds:
        scope = hold.scope
        names = {ScopeKind.EVERYTHING: scope.name, ScopeKind.WORKFLOW: workflow, ScopeKind.TRIGGER: trigger}
        if (
            hold.active
            and hold.mode is HoldMode.BLOCK
            and names.get(scope.kind) == scope.name
            and scope.workflow in (None, workflow)
        ):
            return hold
    return None


def describe(hold: Hold) -> str:
    """Answer the hold in words: which, on what, by whom, why."""
    return f"held by {hold.id} on {hold.scope}: {_MEANING[hold.mode]} {hold.set_by_and_why}"
