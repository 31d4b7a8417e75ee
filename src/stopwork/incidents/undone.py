"""How much of what each call did a recovery takes back.

A call that changed several objects may be undone in part: some are put back, others stay or are in conflict. No item says so by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Item, ObjectRef
from stopwork.ledger.words import ItemState, Remedy, Reversibility

_TO_COME: Final = frozenset({ItemState.PROPOSED, ItemState.APPROVED, ItemState.IN_DOUBT})
_WHOLLY: Final = frozenset({Reversibility.FULLY, Reversibility.BY_TOOL})


class PartlyUndone(Struct, frozen=True, kw_only=True):
    """A call of whose objects some are taken back, and others ``partly`` or not: these are ``left``. ``open`` while something is to come."""

    call: str
    back: tuple[ObjectRef, ...]
    partly: tuple[ObjectRef, ...]
    left: tuple[ObjectRef, ...]
    open: bool


def partly_undone(items: Iterable[Item]) -> tuple[PartlyUndone, ...]:
    """Answer the calls that the items in force undo in part, in the order of the items.

    What is still to be decided or done counts as it is proposed. Objects for which nothing has to be done say nothing.
    """
    by_call: dict[str, list[Item]] = {}
    for item in items:
        for call in item.calls if item.remedy is not Remedy.ACCEPT else ():
            by_call.setdefault(call, []).append(item)
    found = (_undone(call, about) for call, about in by_call.items())
    return tuple(each for each in found if each.partly or (each.back and each.left))


def in_words(found: PartlyUndone) -> str:
    """Say what of a call is taken back and what is not."""
    objects = len(found.back) + len(found.partly) + len(found.left)
    parts = [
        f"{len(found.back)} of {count_of(objects, 'object')} taken back",
        f"only in part {_named(found.partly)}" if found.partly else "",
        f"not {_named(found.left)}" if found.left else "",
    ]
    undone = "would be undone in part" if found.open else "is undone in part"
    return f"{found.call} {undone}: {', '.join(filter(None, parts))}"


def _undone(call: str, items: Iterable[Item]) -> PartlyUndone:
    shares: dict[Reversibility, list[ObjectRef]] = {each: [] for each in Reversibility}
    to_come = False
    for item in items:
        to_come = to_come or item.state in _TO_COME
        shares[_share(item)].append(item.object)
    return PartlyUndone(
        call=call,
        back=tuple(ref for share in _WHOLLY for ref in shares[share]),
        partly=tuple(shares[Reversibility.PARTLY]),
        left=tuple(shares[Reversibility.NOT]),
        open=to_come,
    )


def _share(item: Item) -> Reversibility:
    """Answer how much of an object is taken back; where its repair was undone it holds what the agent left."""
    proposed_to_stay = item.state is ItemState.PROPOSED and item.keep
    if item.takes_back or proposed_to_stay or item.state not in {*_TO_COME, ItemState.VERIFIED}:
        return Reversibility.NOT
    return item.reversibility


def _named(objects: Iterable[ObjectRef]) -> str:
    return listed(map(str, objects))
