"""What a new plan takes up of the earlier ones of its incident.

What was put right, or was decided to stay, is not asked again. What could not be put right comes back, and as long as the same
thing stands in its way it is proposed to stay as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from stopwork.incidents.attempt import Clash, step
from stopwork.ledger.records import Image, Item, ObjectRef
from stopwork.ledger.words import ItemState, Remedy

_STUCK: Final = frozenset({ItemState.CONFLICT, ItemState.FAILED})
_SETTLED: Final = frozenset({ItemState.VERIFIED, ItemState.ACCEPTED})
_NOTHING_DONE: Final = frozenset({ItemState.PROPOSED, ItemState.APPROVED, ItemState.CANCELLED})


def in_force(plans: Sequence[Sequence[Item]]) -> tuple[Item, ...]:
    """Answer, of the items of several plans from the oldest to the newest, those that tell how each object stands.

    A later plan's item stands for the earlier ones about the same, but what is only planned hides nothing that is settled.
    """
    found: dict[str, Item] = {}
    about: dict[ObjectRef, list[Item]] = {}
    for items in plans:
        earlier = {ref: tuple(known) for ref, known in about.items()}
        for item in items:
            same = [old for old in earlier.get(item.object, ()) if _about_the_same(old, item)]
            if any(_stands(old, item) for old in same):
                continue
            for old in same:
                if found.pop(old.id, None) is not None:
                    about[item.object].remove(old)
            found[item.id] = item
            about.setdefault(item.object, []).append(item)
    return tuple(found.values())


def _stands(old: Item, new: Item) -> bool:
    """Answer whether what is settled stays so beside a later item that has not come to anything, or not yet.

    A repair that is to be taken back stands as long as it is not: also where somebody signed that it stays, or is in the way.
    """
    left = _NOTHING_DONE | {ItemState.ACCEPTED, ItemState.CONFLICT} if new.takes_back else _NOTHING_DONE
    return old.state in _SETTLED and new.state in left


def put_back(items: Iterable[Item]) -> tuple[Item, ...]:
    """Answer the items whose repair was read back and stands."""
    return tuple(item for item in items if item.state is ItemState.VERIFIED and not item.takes_back)


def taken_back(items: Iterable[Item]) -> tuple[Item, ...]:
    """Answer the items by which a repair was undone: their objects hold what the agent left, and somebody has to decide again."""
    return tuple(item for item in items if item.state is ItemState.VERIFIED and item.takes_back)


def exceptions(items: Sequence[Item]) -> tuple[Item, ...]:
    """Answer the items that somebody signed to stay as they are; where nothing had to be done there is nothing to sign."""
    return tuple(
        item for item in items if item.state is ItemState.ACCEPTED and item.remedy is not Remedy.ACCEPT
    )


def stuck(earlier: Sequence[Item]) -> tuple[ObjectRef, ...]:
    """Answer the objects that could not be put right: a new plan is made in view of what they hold now."""
    return tuple(item.object for item in earlier if item.state in _STUCK)


def still_open(
    proposed: Sequence[Item],
    earlier: Sequence[Item],
    now: Mapping[ObjectRef, Image],
    *,
    everything: bool = False,
) -> list[Item]:
    """Answer which of the proposed items are to be decided still, given the items in force and what the stuck objects hold now.

    With ``everything`` what is settled is to be decided again. An item that has to wait for one that is settled goes by the earlier
    item which settled it: what stays as it is by signature holds back whatever has to come after it.
    """
    items = []
    settled: dict[str, str] = {}
    for item in proposed:
        before = next((old for old in earlier if _about_the_same(old, item)), None)
        if before is None:
            items.append(item)
        elif everything or not _settled(before, item):
            items.append(_again(item, before, now.get(item.object)))
        else:
            settled[item.id] = before.id
    return [
        replace(item, order=order, after=tuple(settled.get(first, first) for first in item.after))
        for order, item in enumerate(items, start=1)
    ]


def _about_the_same(one: Item, other: Item) -> bool:
    return one.object == other.object and not set(one.calls).isdisjoint(other.calls)


def _settled(before: Item, item: Item) -> bool:
    """Answer whether the earlier item has decided about these very effects; one that was taken back since has not.

    What was put right in another way than is proposed now, by an edit, is settled like the rest.
    """
    if before.takes_back or set(before.effects) != set(item.effects):
        return False
    as_decided = before.target == item.target or bool(before.edits)
    return before.state is ItemState.ACCEPTED or (before.state is ItemState.VERIFIED and as_decided)


def _again(item: Item, before: Item, now: Image | None) -> Item:
    if before.state not in _STUCK:
        return item
    todo = step(item, now) if now is not None else None
    keep = todo.why if isinstance(todo, Clash) else item.keep
    if item.remedy is Remedy.RESEND and before.attempted_at is not None:
        keep = "it may have been sent already"
    return replace(item, earlier=before.id, note=before.note, found=now, keep=keep)
