"""The undo of a recovery: what it put back is taken out again, as far as each system has a way for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from stopwork.incidents import preview
from stopwork.incidents.attempt import by_field
from stopwork.incidents.images import changed_fields, merge_back
from stopwork.incidents.reach import Lacks, lacks_nothing
from stopwork.incidents.remedies import told
from stopwork.ledger.records import Item
from stopwork.ledger.words import ImageState, ItemState, Remedy, Reversibility


def reverse_plan(
    items: Sequence[Item], *, plan: str, new_id: Callable[[str], str], lacks: Lacks = lacks_nothing
) -> list[Item]:
    """Answer the plan that undoes a recovery: what was put back is taken out again, last first.

    Only items that were attempted and verified are reversed, as far as they changed what the attempt found: what had been
    put back before was somebody else's doing.
    An inverse tool has no inverse, and a system may have no way to change an object back, as ``lacks`` says: these items are left to a person.
    """
    done = [item for item in items if item.state is ItemState.VERIFIED and item.attempted_at is not None]
    done.sort(key=lambda item: item.order, reverse=True)
    ids = {item.id: new_id("item") for item in done}
    waits: dict[str, list[str]] = {}
    for item in done:
        for first in item.after:
            waits.setdefault(first, []).append(ids[item.id])
    return [
        replace(_reversed(item, plan, ids[item.id], order, lacks), after=tuple(waits.get(item.id, ())))
        for order, item in enumerate(done, start=1)
    ]


def _reversed(item: Item, plan: str, new_id: str, order: int, lacks: Lacks) -> Item:
    earlier = item.replaced or item.expected
    # Of a field that somebody else had put back before, nothing is taken back.
    later = merge_back(item.target, item.expected, earlier).target if by_field(item) else item.target
    why = lacks(item.object, later, earlier)
    remedy = Remedy.TELL if why else _reversed_remedy(item)
    return replace(
        item,
        id=new_id,
        plan=plan,
        order=order,
        state=ItemState.PROPOSED,
        remedy=remedy,
        reversibility=Reversibility.NOT if remedy.by_people else Reversibility.FULLY,
        preview=preview.taken_back(item.preview, why),
        must_tell=told(remedy, item.must_tell) if why else item.must_tell,
        expected=later,
        target=earlier,
        changes={name: change.shown() for name, change in changed_fields(later, earlier).items()},
        approved_by=None,
        attempted_at=None,
        finished_at=None,
        done_by=None,
        replaced=None,
        found=None,
        note="",
        keep="",
        earlier=None,
        after=(),
        ways=(),
        edits=(),
        tries=0,
        again_at=None,
        takes_back=not item.takes_back,
    )


def _reversed_remedy(item: Item) -> Remedy:
    match item.remedy:
        case Remedy.DELETE:
            return Remedy.RECREATE
        case Remedy.RECREATE if item.expected.state is ImageState.ABSENT:
            return Remedy.DELETE
        case _ if item.undo_tool is not None:
            return Remedy.TELL
        case Remedy.RECREATE:
            return Remedy.RECREATE
        case _:
            return Remedy.RESTORE
