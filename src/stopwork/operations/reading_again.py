"""The last look: what a recovery put back is read once more in each system in which nothing of it is left to run.

What was verified when it was put back may not hold any more: putting back the lines of an order fires the trigger that adds them to the order,
which was right until then. Who wrote it cannot be told from what is there, so nothing is written over: it is a conflict that says so.
A recovery that was cancelled is over without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from stopwork.control.running import Looked
from stopwork.incidents.attempt import columns, verify
from stopwork.incidents.images import same_image
from stopwork.incidents.preview import in_columns
from stopwork.ledger.events import ItemsReadAgain
from stopwork.ledger.records import Image, Incident, Item, Plan, Record
from stopwork.ledger.words import ItemState, Remedy
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

_PAGE: Final = 250


class Told(Record):
    """What the last look found about one item: its state from now on, what was there, and a note."""

    item: Item
    state: ItemState
    found: Image | None
    note: str


def unread(view: View, plan: Plan, system: str, limit: int) -> tuple[Item, ...]:
    """Answer what has yet to be read once more in a system, in the plan's order, at most ``limit``."""
    return tuple(islice(_unread(view, plan, system), limit))


def is_pending(view: View, plan: Plan) -> bool:
    """Answer whether anything that the plan put back has yet to be read once more."""
    return any(unread(view, plan, system, 1) for system in plan.systems)


def judge(tx: Tx, plan: Plan, incident: Incident, system: str, looked: Sequence[Looked]) -> list[Told]:
    """Record that these objects were read once more, and answer the items of which there is something to tell.

    What is not waiting for that is left out, so a lost answer may be asked for again.
    """
    due = {item.id: item for item in unread(tx, plan, system, len(looked))}
    pairs = [(due[each.item], each) for each in looked if each.item in due]
    if not pairs:
        return []
    told = [found for item, each in pairs if (found := _told(tx, item, each)) is not None]
    last = max((item for item, _ in pairs), key=lambda item: item.order)
    read = {item.id for item, _ in pairs}
    left = unread(tx, plan, system, len(read) + 1)
    tx.record(
        ItemsReadAgain(
            incident=incident.id,
            workflow=incident.workflow,
            plan=plan.id,
            system=system,
            upto=last.id,
            done=all(item.id in read for item in left),
            changed=tuple(each.item.id for each in told if each.state is ItemState.CONFLICT),
        )
    )
    return told


def _unread(view: View, plan: Plan, system: str) -> Iterator[Item]:
    before = plan.last_looks.get(system)
    if plan.cancelled_at is not None or (before is not None and before.done):
        return
    after = before.upto if before is not None else None
    while True:
        page = view.find(
            Item, plan=plan.id, state=ItemState.VERIFIED, order="order", limit=_PAGE, after=after
        )
        # What was sent cannot be read.
        yield from (
            item for item in page if item.object.system == system and item.remedy is not Remedy.RESEND
        )
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _told(view: View, item: Item, looked: Looked) -> Told | None:
    now = looked.image
    if now is None:
        note = f"right when it was put back; at the end it could not be read once more: {looked.error}"
        return Told(item=item, state=ItemState.VERIFIED, found=item.found, note=note)
    if _holds(item, now) or _is_another_item_s(view, item, now):
        return None
    note = (
        "right when it was put back, and changed since by the recovery itself (what a later item of it set off), or by somebody "
        f"while it ran; {in_columns(columns(item, now))}"
    )
    return Told(item=item, state=ItemState.CONFLICT, found=now, note=note)


def _holds(item: Item, now: Image) -> bool:
    return verify(item, now) or (item.found is not None and same_image(item.found, now))


def _is_another_item_s(view: View, item: Item, now: Image) -> bool:
    """Answer whether this is what a later item of the plan was to leave: of one object several calls may be taken back by their inverses."""
    if item.undo_tool is None:
        return False
    others = view.each(Item, plan=item.plan, state=ItemState.VERIFIED)
    return any(
        other.object == item.object and other.order > item.order and _holds(other, now) for other in others
    )
