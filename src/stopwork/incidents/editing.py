"""Changing an item before it is approved: what is put there, a tool's arguments, the remedy, the turn. And taking that back.

An edited item is an item like any other: what must be there before it runs stays what the calls left, and it is read back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from stopwork.incidents import preview
from stopwork.incidents.images import DETACHED, Nothing, changed_fields, field_path, value_at, with_fields
from stopwork.incidents.remedies import as_way, with_way
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Image, Item, ItemEdit, Record, Way
from stopwork.ledger.words import ImageState, ItemState, Remedy, Reversibility


class Change(Record):
    """What a person wants otherwise; what is left out stays as it is. ``turn`` is the place in the order."""

    remedy: Remedy | None = None
    fields: dict[str, Any] = {}
    args: dict[str, Any] = {}
    turn: int | None = None


def edited(
    item: Item, change: Change, *, restores: Collection[str], person: str, at: datetime, reason: str
) -> Item:
    """Answer the item as the person wants it; ``Invalid`` for what is not possible, with what would be.

    ``restores`` are the systems that can put content back. Another turn is noted here, and given by :func:`moved`.
    """
    require_proposed(item)
    chosen = _with_remedy(item, change.remedy, restores)
    if change.fields:
        chosen = _with_fields(chosen, change.fields)
    if change.args:
        chosen = _with_args(chosen, change.args)
    other_turn = change.turn is not None and change.turn != item.order
    if as_way(chosen) == as_way(item) and not other_turn:
        raise Invalid("this changes nothing", hint="Say what should be otherwise.", item=item.id)
    sets_fields = chosen.undo_tool is None and not chosen.remedy.by_people
    if sets_fields and not chosen.changes and chosen.expected.state is ImageState.PRESENT:
        raise Invalid(
            "no field would be set to anything else than it holds",
            hint="Say what it should hold, or accept the object as it is.",
            field="set",
            item=item.id,
        )
    edit = ItemEdit(
        person=person,
        at=at,
        reason=reason,
        before=as_way(item),
        ways=item.ways,
        turn=item.order if other_turn else None,
    )
    return replace(chosen, edits=(*item.edits, edit))


def unedited(item: Item) -> Item:
    """Answer the item as it was before the last edit, but for its turn."""
    require_proposed(item)
    if not item.edits:
        raise Conflict(f"{item.id} was not edited", hint="There is nothing to take back.", item=item.id)
    last = item.edits[-1]
    return replace(with_way(item, last.before), ways=last.ways, edits=item.edits[:-1])


def moved(items: Sequence[Item], item: str, turn: int) -> list[Item]:
    """Answer the items that change when one gets another turn; ``Conflict`` where another one has to come first."""
    before = sorted(items, key=lambda each: each.order)
    one = next(each for each in before if each.id == item)
    require_proposed(one)
    if not 1 <= turn <= len(before):
        raise Invalid(
            f"the plan has no turn {turn}", hint=f"One of 1 to {len(before)}.", field="order", found=turn
        )
    after = [each for each in before if each.id != item]
    after.insert(turn - 1, one)
    place = {each.id: number for number, each in enumerate(after, start=1)}
    for each in after:
        for first in each.after:
            if place.get(first, 0) > place[each.id]:
                earlier = next(other for other in before if other.id == first)
                raise Conflict(
                    f"{earlier.object} has to be put right before {each.object}",
                    hint=f"Give {each.id} a turn after that of {first}.",
                    item=each.id,
                    field="order",
                )
    return [replace(each, order=place[each.id]) for each in after if each.order != place[each.id]]


def require_proposed(item: Item) -> None:
    """Raise ``Conflict`` when the item is decided: what was approved is not changed any more."""
    if item.state is not ItemState.PROPOSED:
        raise Conflict(f"{item.id} is {item.state}", hint="Make a new plan.", item=item.id)


# --- one change ------------------------------------------------------------------------------------


def _with_remedy(item: Item, remedy: Remedy | None, restores: Collection[str]) -> Item:
    if remedy is None or remedy is item.remedy:
        return item
    possible = {way.remedy: way for way in item.ways}
    left_there = isinstance(item.expected.content, dict) and item.expected.state is ImageState.PRESENT
    if left_there and item.object.system in restores:
        possible.setdefault(Remedy.CORRECT, _as_left(item))
    possible.setdefault(Remedy.TELL, _by_hand(item))
    if remedy not in possible:
        raise Invalid(
            f"{remedy} is not possible for {item.object}",
            hint=f"One of: {', '.join(sorted(possible))}.",
            field="remedy",
            item=item.id,
        )
    return with_way(item, possible[remedy])


def _as_left(item: Item) -> Way:
    return Way(remedy=Remedy.CORRECT, reversibility=Reversibility.PARTLY, preview="", target=item.expected)


def _by_hand(item: Item) -> Way:
    return replace(
        as_way(item),
        remedy=Remedy.TELL,
        reversibility=Reversibility.NOT,
        preview=f"{item.object} is put right by people",
        undo_tool=None,
        undo_args={},
    )


def _with_fields(item: Item, fields: Mapping[str, Any]) -> Item:
    if item.undo_tool is not None or item.remedy.by_people or item.target.state is not ImageState.PRESENT:
        possible = [each.remedy for each in item.ways if each.target.state is ImageState.PRESENT]
        raise Invalid(
            f"to {item.remedy} {item.object} sets no fields",
            hint=f"Choose another remedy with it: {listed({*possible, Remedy.CORRECT})}.",
            field="set",
            item=item.id,
        )
    for name, value in fields.items():
        _require_same_kind(item, name, value)
    target = Image.present(with_fields(item.target.content, fields))
    if target == item.target:
        return item
    changes = {name: change.shown() for name, change in changed_fields(item.expected, target).items()}
    return replace(
        item,
        target=target,
        changes=changes,
        preview=preview.setting(item.object, item.remedy, changes, item.copy_of),
    )


def _with_args(item: Item, args: Mapping[str, Any]) -> Item:
    if item.undo_tool is None:
        raise Invalid(
            f"to {item.remedy} {item.object} calls no tool",
            hint="Set fields instead.",
            field="args",
            item=item.id,
        )
    wanted = {**item.undo_args, **args}
    if wanted == item.undo_args:
        return item
    words = preview.call(item.undo_tool, wanted)
    return replace(item, undo_args=wanted, preview=f"call {words} to {item.remedy} {item.object}")


def _require_same_kind(item: Item, name: str, value: Any) -> None:
    """Raise ``Invalid`` where the object would not be what it is any more: another kind of value, or a field inside of none."""
    path = field_path(name)
    held = [value_at(image.content, path) for image in (item.target, item.expected) if path]
    if not path or all(each is DETACHED for each in held):
        raise Invalid(
            f"{item.object} has no place for {name!r}", hint="Name a field as the plan shows it.", field="set"
        )
    known = next((each for each in held if each is not None and not isinstance(each, Nothing)), None)
    if known is not None and value is not None and _kind(known) != _kind(value):
        raise Invalid(
            f"{name} of {item.object} holds {_kind(known)}, not {_kind(value)}",
            hint=f"Give {_kind(known)}.",
            field="set",
            expected=_kind(known),
            found=_kind(value),
        )


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"
