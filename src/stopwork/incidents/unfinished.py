"""What calls may have changed whose end nobody saw.

A call that began and has no known outcome may have changed every object that it named. What those held before is on record. What
it left there is *unknown*, never nothing, until people settle the call (:mod:`stopwork.operations.settling`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from stopwork.incidents.images import operation_of
from stopwork.ledger.records import Call, Effect, Image, ObjectRef
from stopwork.ledger.words import EffectKind, Operation, Outcome

#: The source of an effect that is known only from the attempt: what was there before, and nothing since.
ATTEMPT: Final = "attempt"
#: The source of an effect that was recorded when a person settled its call.
SETTLED: Final = "settled"
#: The sources of effects on objects that the manifest names for their call.
NAMED: Final = frozenset({"declared", ATTEMPT, SETTLED})


def unfinished(call: Call) -> bool:
    """Answer whether the call began to change something and nobody has seen or said how that ended."""
    return call.attempted_at is not None and call.outcome in (None, Outcome.UNKNOWN)


def settled_unseen(call: Call) -> bool:
    """Answer whether a person has said that the call succeeded."""
    return call.attempted_at is not None and call.reconciled and call.outcome is Outcome.SUCCEEDED


def possible_effects(
    call: Call, named: ObjectRef | None, recorded: Collection[ObjectRef]
) -> tuple[Effect, ...]:
    """Answer the objects that the call may have changed, beside those whose change is recorded.

    ``named`` is the object that its arguments name, where they do; it counts even if nobody read it before the call.
    """
    if not (unfinished(call) or settled_unseen(call)):
        return ()
    before = {each.object: each.image for each in call.before}
    if named is not None:
        before.setdefault(named, image_before(call))
    why = "nobody looked when the call was settled" if call.reconciled else "nobody saw how the call ended"
    return tuple(
        _possible(call, ref, image, Image.unknown(why))
        for ref, image in before.items()
        if ref not in recorded
    )


def image_before(call: Call) -> Image:
    """Answer what is known of an object that was not read before the call."""
    if call.effect is EffectKind.CREATE:
        return Image.absent()
    return Image.unknown("it was not read before the call")


def effect_of(
    call: Call, ref: ObjectRef, operation: Operation, before: Image, after: Image, source: str
) -> Effect:
    """Answer an effect that nobody has seen: what is known of the call says that there is one."""
    return Effect(
        id=f"{call.id}:{ref}",
        call=call.id,
        run=call.run,
        workflow=call.workflow,
        tool=call.tool,
        object=ref,
        operation=operation,
        before=before,
        after=after,
        at=call.attempted_at or call.requested_at,
        source=source,
        object_key=str(ref),
    )


def _possible(call: Call, ref: ObjectRef, before: Image, after: Image) -> Effect:
    operation = operation_of(before, after, call.effect) or Operation.MODIFIED
    return effect_of(call, ref, operation, before, after, ATTEMPT)
