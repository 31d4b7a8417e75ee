"""Changing a plan before it is approved: each edit is on record with who and why, and makes another digest, so nobody approves what they did not see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from stopwork.incidents.editing import Change, edited, moved, unedited
from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.events import PlanEdited
from stopwork.ledger.records import Incident, Item, Plan, Principal
from stopwork.ledger.words import ImageState, PlanState, Remedy
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import refuse_agent, require_person
from stopwork.operations.plans import digest_of_items, entries_of, items_of, require_sealed
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.systems.base import System, restoring


def edit(
    installation: Installation,
    actor: Principal,
    *,
    plan: str,
    item: str,
    digest: str,
    reason: str,
    remedy: Remedy | None = None,
    fields: Mapping[str, Any] = {},
    args: Mapping[str, Any] = {},
    order: int | None = None,
) -> Plan:
    """Change what one item does: the remedy, the fields that are set, the tool's arguments, or its turn.

    Raises ``Invalid`` for what is not possible, what its system refuses and arguments that the tool does not take; ``Conflict`` when the
    plan is not the one of ``digest``, or is approved already.
    """
    refuse_agent(actor, "edit a recovery")
    systems = installation.systems
    change = Change(remedy=remedy, fields=dict(fields), args=dict(args), turn=order)
    if change == Change():
        raise Invalid(
            "nothing is said that should be otherwise", hint="Give a remedy, fields, args or a turn."
        )

    def work(tx: Tx) -> Plan:
        items = _items(tx, plan, digest)
        one = edited(
            _one(items, item),
            change,
            restores=restoring(systems),
            person=tx.actor.id,
            at=tx.now,
            reason=reason.strip(),
        )
        _require_fitting_args(tx, installation.manifests, one)
        return _record(tx, plan, item, _moved(_with(items, [one]), item, order), reason)

    if fields:
        _require_settable(
            systems, installation.store.read(lambda view: _preview(view, plan, item, change, systems))
        )
    return installation.store.write(work, actor=actor)


def take_back(tx: Tx, *, plan: str, item: str, digest: str, reason: str) -> Plan:
    """Take the last edit of an item back; that it was made, and by whom it was taken back, stays on record."""
    items = _items(tx, plan, digest)
    edit = next(iter(_one(items, item).edits[-1:]), None)
    items = _with(items, [unedited(_one(items, item))])
    return _record(tx, plan, item, _moved(items, item, edit.turn if edit else None), reason)


def _moved(items: Sequence[Item], item: str, turn: int | None) -> list[Item]:
    return list(items) if turn is None else _with(items, moved(items, item, turn))


def _record(tx: Tx, plan: str, item: str, items: Sequence[Item], reason: str) -> Plan:
    person = require_person(tx, "edit a recovery")
    if not reason.strip():
        raise Invalid(f"say why, {person}", hint="One sentence is enough.", field="reason")
    known = tx.need(Plan, plan)
    before = {each.id: each for each in items_of(tx, plan)}
    changed = tuple(each for each in items if each != before[each.id])
    if not changed:
        raise Invalid("this changes nothing", hint="Say what should be otherwise.", item=item)
    workflow, digest = tx.need(Incident, known.incident).workflow, digest_of_items(items)
    for part in entries_of(changed):
        tx.record(
            PlanEdited(
                incident=known.incident,
                workflow=workflow,
                plan=plan,
                item=item,
                digest=digest,
                reason=reason.strip(),
                items=part,
            )
        )
    return tx.need(Plan, plan)


def _items(tx: Tx, plan: str, digest: str) -> list[Item]:
    """Answer the items of the plan that was shown."""
    require_person(tx, "edit a recovery")
    known = tx.need(Plan, plan)
    incident = tx.need(Incident, known.incident)
    require_sealed(incident)
    if known.state is not PlanState.PROPOSED:
        raise Conflict(f"{plan} is {known.state} already", hint="Make a new plan.", plan=plan)
    if known.digest != digest or incident.plan != plan:
        raise Conflict(
            "this is not the plan you saw", hint="Open the plan again.", expected=known.digest, found=digest
        )
    return items_of(tx, plan)


def _one(items: Collection[Item], item: str) -> Item:
    found = next((each for each in items if each.id == item), None)
    if found is None:
        raise NotFound(f"the plan has no item {item}", hint="Choose from its items.", item=item)
    return found


def _with(items: Sequence[Item], changed: Sequence[Item]) -> list[Item]:
    by_id = {each.id: each for each in changed}
    return [by_id.get(each.id, each) for each in items]


# --- what systems and tools take ---------------------------------------------------------------------


def _preview(view: View, plan: str, item: str, change: Change, systems: Mapping[str, System]) -> Item:
    """Answer the item as it would be, for its system to look at outside of every transaction."""
    one = _one(items_of(view, plan), item)
    at = one.at or view.need(Plan, plan).proposed_at
    return edited(one, change, restores=restoring(systems), person="", at=at, reason="")


def _require_settable(systems: Mapping[str, System], item: Item) -> None:
    """Raise what the object's system raises when such content could not be put there."""
    check: Callable[..., None] | None = getattr(systems.get(item.object.system), "check", None)
    if check is not None and item.target.state is ImageState.PRESENT:
        try:
            check(item.object, item.target)
        except Invalid as error:
            raise Invalid(error.detail, hint=error.hint, field="set", item=item.id) from error


def _require_fitting_args(tx: Tx, manifests: Manifests, item: Item) -> None:
    """Raise ``Invalid`` when the tool's declared schema does not take the arguments."""
    if item.undo_tool is None:
        return
    workflow = tx.need(Incident, item.incident).workflow
    rules = manifests.current(tx, workflow)
    if item.undo_tool not in rules.manifest.tools:
        return
    for misfit in rules.misfits(item.undo_tool, item.undo_args):
        raise Invalid(
            f"{item.undo_tool} does not take {misfit.field or 'these arguments'}: {misfit.message}",
            hint=f"Allowed: {misfit.allowed}.",
            field="args",
            item=item.id,
        )
