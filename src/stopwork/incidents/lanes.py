"""Which items of one system are begun together, and which of them may be done at the same time.

A *batch* is what one crash may leave in doubt and what a pause waits for. Within it, the items of one *stage* are independent: they
are of one kind of change, no object is another's, none names another, and none puts back a value that another holds in the
same field (two rows that swapped a unique code). Everything else keeps the plan's order. What a tool does beyond its object is not
known, so an item that calls one is a batch of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from stopwork.incidents.images import texts
from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.records import Item, Record
from stopwork.ledger.words import ImageState, Remedy


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
