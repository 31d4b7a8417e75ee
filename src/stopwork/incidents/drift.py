"""Drift: what has become of the affected objects since the calls left them, and who changed them, where that is known.

A look at a moment: an object that could not be looked at, or of which nobody saw how the calls left it, is never called unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stopwork.incidents.affected import AffectedObject
from stopwork.incidents.images import changed_fields, same_image
from stopwork.incidents.net import images_of
from stopwork.ledger.records import Drifted, Effect, Image, Item, ObjectRef, Record
from stopwork.ledger.words import DriftState, ImageState, ItemState


class Stamp(Record):
    """Who changed an object last, and when, as its system tells it; empty where it does not."""

    by: str = ""
    at: str = ""

    def __str__(self) -> str:
        return " at ".join(filter(None, (self.by or "somebody", self.at)))


def drifted(
    objects: Iterable[AffectedObject],
    now: Mapping[ObjectRef, Image],
    *,
    later: Mapping[ObjectRef, Sequence[Effect]] = {},
    items: Iterable[Item] = (),
    stamps: Mapping[ObjectRef, Stamp] = {},
) -> tuple[Drifted, ...]:
    """Answer how each object differs from what the calls left there.

    ``later`` are the effects of other calls since, oldest first, of any workflow; ``items`` are those of the incident's recovery.
    """
    put_right = {
        item.object: item
        for item in items
        if item.done_by and (item.state is ItemState.VERIFIED or item.changed_again)
    }
    return tuple(
        _drifted(
            each,
            now.get(each.object, Image.unknown("nobody looked")),
            later.get(each.object, ()),
            put_right.get(each.object),
            stamps.get(each.object),
        )
        for each in objects
    )


def _drifted(
    found: AffectedObject, now: Image, later: Sequence[Effect], item: Item | None, stamp: Stamp | None
) -> Drifted:
    left = found.after if found.after.state is not ImageState.UNKNOWN or found.seen is None else found.seen
    if ImageState.UNKNOWN in (now.state, left.state):
        why = now.note if now.state is ImageState.UNKNOWN else f"nobody saw how it was left: {left.note}"
        return Drifted(object=found.object, state=DriftState.UNREADABLE, note=why)
    if same_image(now, left):
        return Drifted(object=found.object, state=DriftState.UNCHANGED)
    return Drifted(
        object=found.object,
        state=DriftState.GONE if now.state is ImageState.ABSENT else DriftState.CHANGED,
        by=_who(now, later, item, stamp),
        fields=tuple(name for name in changed_fields(left, now) if name),
        now=now,
    )


def _who(now: Image, later: Sequence[Effect], item: Item | None, stamp: Stamp | None) -> str:
    """Answer who left what is there now: a recorded change that left exactly this, else whom the system names."""
    if (
        item is not None
        and item.done_by is not None
        and item.found is not None
        and same_image(now, item.found)
    ):
        if item.changed_again:
            return f"the recovery ({item.id}) set it off, or somebody wrote while it ran"
        return f"the recovery ({item.id}, run by {item.done_by})"
    for effect in reversed(later):
        if same_image(now, images_of(effect)[1]):
            return f"{effect.tool} in {effect.call} of {effect.workflow}"
    if stamp is not None and (stamp.by or stamp.at):
        return str(stamp)
    known = [f"{later[-1].tool} in {later[-1].call} of {later[-1].workflow}"] if later else []
    known += [f"the recovery ({item.id})"] if item is not None else []
    return f"somebody after {known[0]}" if known else ""
