"""One attempt at one recovery item: what to do in view of what is there now, and whether it worked.

Whoever runs a plan does this for each approved item, in order, each line durable before the next::

    now  = system.read(item.object)
    todo = step(item, now)              # Clash → conflict, AlreadyDone → verified, ByHand → a person
    record the attempt with ``now``     # from here on a crash leaves the item in doubt
    system.replace(item.object, todo.expected, todo.target)   # or system.invoke(todo.tool, todo.args)
    verify(item, system.read(item.object))                    # True → verified, False → failed

An item found in doubt after a crash needs nothing special: :func:`step` answers ``AlreadyDone`` when the attempt took effect,
``Replace`` when it did not and may be tried again, and ``Clash`` when neither can be told, which is for a person. A tool that may have
been called is never called again: that its object looks as before does not say that nothing was done.
An object is put back as a whole or not at all: one field in conflict leaves every field alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stopwork.incidents.images import changed_fields, merge_back, same_image, value_of
from stopwork.ledger.records import Image, Item, Record
from stopwork.ledger.words import ImageState, ItemState, Remedy

#: What is approved or in doubt has its turn before the items that come after it.
_MAY_BE_RIGHT: Final = (ItemState.VERIFIED, ItemState.APPROVED, ItemState.IN_DOUBT)


class Replace(Record):
    """Put ``target`` there, provided that ``expected`` is there still."""

    expected: Image
    target: Image


class Invoke(Record):
    """Call the tool that puts the object right."""

    tool: str
    args: dict[str, Any]


class AlreadyDone(Record):
    """What should be there is there."""


class Clash(Record):
    """Somebody changed these fields later (the empty field is the whole object); nothing is touched."""

    fields: tuple[str, ...]
    why: str


class ByHand(Record):
    """The software has nothing to run; the item's preview says what people do."""


Step = Replace | Invoke | AlreadyDone | Clash | ByHand


class Column(Record):
    """One field of a conflict in three columns, and whether it is what stands in the way."""

    field: str
    before: Any
    left: Any
    now: Any
    conflict: bool


def step(item: Item, now: Image) -> Step:
    """Answer what one attempt at the item does, given what is there now."""
    if item.remedy.by_people:
        return ByHand()
    if item.remedy is Remedy.RESEND:
        return _invoke(item)  # what is sent cannot be read back
    if now.state is ImageState.UNKNOWN:
        return Clash(fields=("",), why=f"it could not be read: {now.note}")
    if same_image(now, item.target):
        return AlreadyDone()
    if item.expected.state is ImageState.UNKNOWN:
        return Clash(fields=("",), why=f"it is not as it was before, and {item.expected.note}")
    if by_field(item):
        return _step_by_field(item, now)
    if same_image(now, item.expected):
        return _change(item, now, item.target)
    if item.undo_tool is not None and now.state is ImageState.ABSENT:
        return AlreadyDone()
    return _clash(item, tuple(changed_fields(item.expected, now)))


def held_back(item: Item, others: Mapping[str, Item]) -> str:
    """Answer why the item is not run although it is approved: another one has to be put right first, and was not."""
    for each in item.after:
        first = others.get(each)
        if first is not None and first.state not in _MAY_BE_RIGHT:
            return f"{first.object} has to be put right first, and it is {first.state}"
    return ""


def verify(item: Item, readback: Image, *, returned: bool = True) -> bool:
    """Answer whether the object, read again after the attempt, shows that the item is done.

    Only of what was sent nothing can be read: there it counts that the tool ``returned``.
    """
    if item.remedy is Remedy.RESEND:
        return returned
    if readback.state is ImageState.UNKNOWN:
        return False
    if by_field(item) and item.expected.state is not ImageState.UNKNOWN:
        merged = merge_back(item.target, item.expected, readback)
        return not merged.restored and not merged.conflicts
    if item.target.state is ImageState.UNKNOWN:
        return not same_image(readback, item.expected)
    return same_image(readback, item.target)


def columns(item: Item, now: Image) -> tuple[Column, ...]:
    """Answer the fields a person compares: before the agent, as the agent left it, and now."""
    seen = item.expected.state is not ImageState.UNKNOWN
    differing = changed_fields(item.expected if seen else item.target, now)
    names = changed_fields(item.target, item.expected) if seen and by_field(item) else differing
    blocking = (
        merge_back(item.target, item.expected, now).conflicts if seen and by_field(item) else tuple(differing)
    )
    return tuple(
        Column(
            field=name,
            before=value_of(item.target, name),
            left=value_of(item.expected, name),
            now=value_of(now, name),
            conflict=name in blocking,
        )
        for name in names or ("",)
    )


def by_field(item: Item) -> bool:
    """Answer whether the item changes fields of an object that is there before and after."""
    both_there = item.target.state is ImageState.PRESENT and item.expected.state is not ImageState.ABSENT
    return both_there and item.remedy is not Remedy.RECREATE


def _invoke(item: Item) -> Step:
    """A tool compares nothing, so an attempt whose end nobody saw is never made again."""
    if item.attempted_at is not None:
        return Clash(
            fields=("",), why=f"whether {item.undo_tool} was called is not known, so it is not called again"
        )
    return Invoke(tool=item.undo_tool or "", args=item.undo_args)


def _step_by_field(item: Item, now: Image) -> Step:
    merged = merge_back(item.target, item.expected, now)
    if merged.conflicts:
        return _clash(item, merged.conflicts)
    if not merged.restored:
        return AlreadyDone()
    if item.undo_tool is not None and merged.already:
        return _clash(item, merged.already)
    return _change(item, now, merged.target)


def _change(item: Item, now: Image, target: Image) -> Step:
    if item.undo_tool is not None:
        return _invoke(item)
    return Replace(expected=now, target=target)


def _clash(item: Item, fields: tuple[str, ...]) -> Clash:
    if fields == ("",):
        return Clash(fields=fields, why="it was removed or made by somebody else since")
    return Clash(fields=fields, why="it was changed by somebody else since")
