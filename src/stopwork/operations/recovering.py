"""Running a recovery: what the owner approved is done once per item, and read back.

Each attempt is in the journal before it touches anything, so a crash leaves an item *in doubt* and never done twice: the next
run looks first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from msgspec import Struct

from stopwork.incidents.attempt import (
    AlreadyDone,
    ByHand,
    Clash,
    Invoke,
    Replace,
    columns,
    held_back,
    step,
    verify,
)
from stopwork.incidents.preview import in_columns
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import ItemAttempted, ItemFinished
from stopwork.ledger.records import Image, Incident, Item, Plan, Principal
from stopwork.ledger.words import ImageState, ItemState, PlanState
from stopwork.operations.installation import Installation
from stopwork.operations.looking import in_words
from stopwork.operations.people import refuse_agent
from stopwork.operations.plans import OPEN, finish, items_of, require_sealed
from stopwork.storage.transaction import Tx
from stopwork.systems.base import Invoker, System


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run of a plan has come."""

    done: int
    total: int
    item: Item


_running: set[str] = set()
_running_lock = threading.Lock()


def run(
    installation: Installation,
    actor: Principal,
    *,
    plan: str,
    progress: Callable[[Progress], None] = lambda _progress: None,
) -> Plan:
    """Run every approved item of a plan, in order, and answer the plan when none is left.

    It may be interrupted and run again: what is done is seen to be done. Raises ``Conflict`` while another run of it goes on.
    """
    refuse_agent(actor, "run a recovery")
    store = installation.store
    with _running_lock:
        if plan in _running:
            raise Conflict(
                f"{plan} is being run", hint="Watch its progress on the incident's page.", plan=plan
            )
        _running.add(plan)
    try:
        known = store.read(lambda view: view.need(Plan, plan))
        store.read(lambda view: require_sealed(view.need(Incident, known.incident)))
        if known.state is PlanState.PROPOSED:
            raise Conflict(f"{plan} is not approved", hint="The business owner approves it first.", plan=plan)
        items = store.read(lambda view: items_of(view, plan))
        todo = [item for item in items if item.state in OPEN]
        known_items = {item.id: item for item in items}
        for number, item in enumerate(todo, start=1):
            finished = _run_item(installation, actor, item, held_back(item, known_items))
            known_items[item.id] = finished
            progress(Progress(done=number, total=len(todo), item=finished))
        return store.write(lambda tx: finish(tx, plan), actor=actor)
    finally:
        with _running_lock:
            _running.discard(plan)


def _run_item(installation: Installation, actor: Principal, item: Item, waits: str) -> Item:
    store, system = installation.store, installation.systems.get(item.object.system)

    def finish(state: ItemState, found: Image | None, note: str) -> Item:
        def work(tx: Tx) -> Item:
            incident = tx.need(Incident, item.incident)
            tx.record(
                ItemFinished(
                    incident=item.incident,
                    workflow=incident.workflow,
                    plan=item.plan,
                    item=item.id,
                    object=item.object,
                    state=state,
                    found=found,
                    note=note,
                )
            )
            return tx.need(Item, item.id)

        return store.write(work, actor=actor)

    if waits:
        return finish(ItemState.CONFLICT, None, waits)
    if system is None:
        return finish(ItemState.FAILED, None, f"no system {item.object.system} is connected here")
    try:
        now = system.read(item.object)
        todo = step(item, now)
    except Exception as error:  # noqa: BLE001 - one adapter's fault keeps no other object from being put right
        return finish(ItemState.FAILED, None, in_words(error))
    match todo:
        case AlreadyDone():
            gone = now.state is ImageState.ABSENT
            return finish(ItemState.VERIFIED, now, "it was gone already" if gone else "it was right already")
        case Clash(why=why):
            return finish(ItemState.CONFLICT, now, f"{why}; {in_columns(columns(item, now))}")
        case ByHand():
            return finish(ItemState.ACCEPTED, now, "done by people, not by the software")
        case Replace() | Invoke():
            store.write(lambda tx: _attempt(tx, item, now), actor=actor)
            return _apply(system, item, todo, finish)


def _apply(
    system: System, item: Item, todo: Replace | Invoke, finish: Callable[[ItemState, Image | None, str], Item]
) -> Item:
    try:
        if isinstance(todo, Replace):
            system.replace(item.object, todo.expected, todo.target)
        else:
            cast(Invoker, system).invoke(todo.tool, todo.args)
    except Conflict as error:
        return finish(ItemState.CONFLICT, _looked(system, item), str(error))
    except Exception as error:  # noqa: BLE001 - whatever it raised, what is there now is what counts
        found = _looked(system, item)
        if found is not None and verify(item, found, returned=False):
            return finish(
                ItemState.VERIFIED, found, "the answer was an error, and the object shows that it is done"
            )
        return finish(ItemState.FAILED, found, in_words(error))
    found = _looked(system, item)
    if found is not None and verify(item, found):
        return finish(ItemState.VERIFIED, found, "")
    return finish(ItemState.FAILED, found, "read back, and it does not hold what was put there")


def _looked(system: System, item: Item) -> Image | None:
    try:
        return system.read(item.object)
    except Exception:  # noqa: BLE001 - it could not be looked at, whyever
        return None


def _attempt(tx: Tx, item: Item, now: Image) -> None:
    known = tx.need(Item, item.id)
    if known.state not in OPEN:
        raise Conflict(f"{item.id} is {known.state}", hint="It is done once.", item=item.id)
    incident = tx.need(Incident, item.incident)
    tx.record(
        ItemAttempted(
            incident=incident.id,
            workflow=incident.workflow,
            plan=item.plan,
            item=item.id,
            object=item.object,
            found=now,
        )
    )
