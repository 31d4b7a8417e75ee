"""Which items of one system are begun together, and which of them may be done at the same time.

A *batch* is what one crash may leave in doubt and what a pause waits for. Within it, the items of one *stage* are independent: they
are of one kind of change, no object is another's, none names another, and none puts back a value that another holds in the
same field (two rows that swapped a unique code). Everything else keeps the plan's order. What a tool does beyond its object is not
known, so an item that calls one is a batch of its own.

What is out of reach is *postponed*, for longer each time: an item alone where others of its system can be reached, and then only so often;
otherwise the whole lane, until it is reached again or somebody cancels the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from stopwork.incidents.images import texts
from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.records import Item, Record, Rest
from stopwork.ledger.words import ImageState, Remedy

#: How long nothing is done for, at first and at the most.
_REST: Final = timedelta(seconds=1)
_LONGEST_REST: Final = timedelta(minutes=1)
#: How often one object may be out of reach while others of its system are not: four minutes.
MAX_LOOKS: Final = 10
#: How often a change is made that a system cannot take: half a minute.
MAX_CHANGES: Final = 6


class Staged(Record):
    """An item, and the stage of its batch in which it is done."""

    item: Item
    stage: int


class _Way(StrEnum):
    """The kinds of change that a plan makes one after the other."""

    BACK_AGAIN = "back again"
    CHANGED_BACK = "changed back"
    REMOVED = "removed"


def next_batch(
    items: Iterable[Item], waits: Callable[[Item], bool], *, limit: int, staged: bool = True
) -> tuple[Staged, ...]:
    """Answer what is begun together of a lane's open items, which come in the plan's order: at most ``limit``.

    What ``waits`` for another item is left for a later batch. Whoever makes one change at a time needs no stages.
    """
    batch: list[Item] = []
    for item in items:
        if waits(item):
            continue
        alone = item.undo_tool is not None
        if not (alone and batch):
            batch.append(item)
        if alone or len(batch) == limit:
            break
    return tuple(_staged(batch) if staged else (Staged(item=item, stage=1) for item in batch))


def rest(tries: int) -> timedelta:
    """Answer for how long something is left alone that could not be reached for so many times in a row."""
    return min(_REST * (1 << min(tries - 1, 16)), _LONGEST_REST)


def tries_of_lane(before: Rest | None, now: datetime) -> int:
    """Answer how often in a row a system is out of reach that is so ``now``; after a while in which it was not, that begins anew."""
    in_a_row = before is not None and now < before.until + 2 * rest(before.tries)
    return before.tries + 1 if before is not None and in_a_row else 1


def _staged(batch: Sequence[Item]) -> Iterator[Staged]:
    latest: dict[Any, int] = {}
    way, floor, newest = None, 1, 1
    for item in batch:
        if way not in (None, _way(item)):
            floor = newest + 1
        way = _way(item)
        marks = _marks(item)
        stage = max([floor, *(latest.get(against, 0) + 1 for _, against in marks)])
        for mark, _ in marks:
            latest[mark] = max(stage, latest.get(mark, 0))
        newest = max(newest, stage)
        yield Staged(item=item, stage=stage)


def _marks(item: Item) -> list[tuple[Any, Any]]:
    """Answer what an item leaves for later ones to see, each beside what makes this one wait for an earlier one."""
    kind, own = item.object.type, item.object.id
    named = {own, *texts(item.expected.content), *texts(item.target.content)}
    marks: list[tuple[Any, Any]] = [(("is", own), ("names", own))]
    marks += [(("names", each), ("is", each)) for each in named]
    for field, (held, put) in item.changes.items():
        taken, given = ((kind, field, canonical_bytes(value)) for value in (held, put))
        marks += [(("takes", taken), ("gives", taken)), (("gives", given), ("takes", given))]
    return marks


def _way(item: Item) -> _Way:
    if item.target.state is ImageState.ABSENT:
        return _Way.REMOVED
    if item.expected.state is ImageState.ABSENT or item.remedy is Remedy.RECREATE:
        return _Way.BACK_AGAIN
    return _Way.CHANGED_BACK
