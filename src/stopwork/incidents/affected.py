"""The objects that an incident is about: one row per object that its calls changed, or may have, net over all its effects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger import words as w


class AffectedObject(Struct, frozen=True, kw_only=True):
    """One object the incident's calls changed: ``before`` the first change, ``after`` the last.

    ``seen`` is what the audit found there, where nobody saw what the last call had left. ``reversible`` is what the newest plan says of it; as
    long as there is none, whether the records and the manifest allow it.
    """

    object: r.ObjectRef
    operation: w.Operation
    before: r.Image
    after: r.Image
    runs: tuple[str, ...]
    calls: tuple[str, ...]
    effects: tuple[str, ...]
    approvals: tuple[str, ...]
    reversible: bool
    transient: bool
    seen: r.Image | None = None


_IRREVERSIBLE: Final = frozenset(
    {w.Operation.SENT, w.Operation.PAID, w.Operation.APPROVED, w.Operation.TRIGGERED}
)


def affected_objects(case: Case) -> tuple[AffectedObject, ...]:
    """Answer every object that the case's calls changed, in the order of the first change.

    An object made and removed again within the case is ``transient``: nothing of it is left, and it is still listed.
    """
    grouped: dict[str, list[r.Effect]] = {}
    for effect in sorted(case.effects, key=lambda effect: effect.at):
        grouped.setdefault(effect.object_key, []).append(effect)
    approvals = {call.id: call.approval for call in case.calls if call.approval}
    seen = {each.object: each.image for each in case.audit.seen} if case.audit else {}
    final = _final(case)
    planned = {item.object: item.reversible for item in case.items}
    return tuple(_net(effects, approvals, seen, final, planned) for effects in grouped.values())


def _final(case: Case) -> frozenset[str]:
    """Answer the calls of which the manifest says that they cannot be undone."""
    tools = ((call, case.tool(call)) for call in case.calls)
    return frozenset(call.id for call, tool in tools if tool and tool.undo and tool.undo.none)


def _net(
    effects: list[r.Effect],
    approvals: dict[str, str],
    seen: dict[r.ObjectRef, r.Image],
    final: Collection[str],
    planned: Mapping[r.ObjectRef, bool],
) -> AffectedObject:
    first, last = effects[0], effects[-1]
    born = first.before.state is w.ImageState.ABSENT
    gone = last.after.state is w.ImageState.ABSENT
    operation = last.operation
    if born and not gone and last.operation is w.Operation.MODIFIED:
        operation = w.Operation.CREATED
    return AffectedObject(
        object=first.object,
        operation=operation,
        before=first.before,
        after=last.after,
        runs=tuple(dict.fromkeys(effect.run for effect in effects)),
        calls=tuple(dict.fromkeys(effect.call for effect in effects)),
        effects=tuple(effect.id for effect in effects),
        approvals=tuple(dict.fromkeys(approvals[e.call] for e in effects if e.call in approvals)),
        reversible=planned.get(first.object, _reversible(effects, final)),
        transient=born and gone,
        seen=seen.get(first.object) if last.after.state is w.ImageState.UNKNOWN else None,
    )


def _reversible(effects: list[r.Effect], final: Collection[str]) -> bool:
    if any(effect.operation in _IRREVERSIBLE or effect.call in final for effect in effects):
        return False
    images = (effects[0].before, *(effect.after for effect in effects))
    return all(image.state is not w.ImageState.UNKNOWN for image in images)


class Narrowed(Struct, frozen=True, kw_only=True):
    """Which of the affected objects are asked for; empty asks for all."""

    system: str = ""
    type: str = ""
    operation: w.Operation | None = None
    call: str = ""
    reversible: bool | None = None

    def fits(self, found: AffectedObject) -> bool:
        """Answer whether the object is one of those."""
        return (
            self.system in ("", found.object.system)
            and self.type in ("", found.object.type)
            and self.operation in (None, found.operation)
            and (not self.call or self.call in found.calls)
            and self.reversible in (None, found.reversible)
        )


def narrowed(objects: Iterable[AffectedObject], chosen: Narrowed) -> tuple[AffectedObject, ...]:
    """Answer the objects that are asked for, in their order."""
    return tuple(each for each in objects if chosen.fits(each))


def page_of(objects: Sequence[AffectedObject], *, after: str, limit: int) -> tuple[AffectedObject, ...]:
    """Answer at most ``limit`` objects behind the one that is called ``after``; ``Invalid`` when there is none of that name."""
    if not after:
        return tuple(objects[:limit])
    start = next((number for number, each in enumerate(objects) if str(each.object) == after), None)
    if start is None:
        raise Invalid(f"the page marker {after!r} is not known", hint="Start again from the first page.")
    return tuple(objects[start + 1 : start + 1 + limit])
