"""Lanes: what runners ask for while they carry out a recovery; the protocol is told in :mod:`stopwork.control.running`.

The server carries out what it is connected to, and lends that to nobody; what only the agent's process can reach is lent to the workflow's
agent and to nobody else (:func:`lend`).

Each function is one transaction, and conditional on the lane being this runner's: a claim is a lease in the database, so of all servers and
agents one has a lane at a time, and whoever was suspended and comes back late is refused. What is done about an item is decided here, by
the same functions for every runner; a person's pause is seen before each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from msgspec.structs import asdict, replace

from stopwork.control import running as p
from stopwork.control.protocol import Request
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
from stopwork.incidents.lanes import MAX_CHANGES, MAX_LOOKS, Staged, next_batch, rest, tries_of_lane
from stopwork.incidents.preview import in_columns
from stopwork.kernel.errors import Conflict, Denied, Internal, Invalid
from stopwork.ledger.events import ItemAttempted, ItemFinished, ItemsPostponed
from stopwork.ledger.records import Image, Incident, Item, Plan, Record
from stopwork.ledger.words import ImageState, ItemState, PlanState, PrincipalKind, Remedy
from stopwork.operations import reading_again
from stopwork.operations.plans import OPEN, finish, lane_name, require_sealed
from stopwork.operations.runs import require_own_workflow
from stopwork.storage import leases
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How long a runner that is not heard of keeps its lane: after so long another one goes on.
LEASE_S: Final = 10.0
#: What is said of an outcome that only the agent's process can have seen.
AS_REPORTED: Final = "as the agent's process reports"
#: How long what was in flight when a plan was cancelled is waited for, where its system is out of reach.
_GIVE_UP_AFTER: Final = timedelta(minutes=10)


def running_plans(view: View, *, workflow: str | None = None) -> Iterator[Plan]:
    """Answer the plans that are being run, those of the oldest incident first."""
    running = (
        (view.need(Incident, plan.incident), plan) for plan in view.each(Plan, state=PlanState.RUNNING)
    )
    for incident, plan in sorted(running, key=lambda each: (each[0].opened_at, each[1].proposed_at)):
        if not incident.status.ended and workflow in (None, incident.workflow):
            yield plan


def open_items(view: View, plan: str) -> Iterator[Item]:
    """Answer the items of a plan that are still to be run, or in doubt, in the plan's order."""
    return view.each(Item, plan=plan, state=tuple(OPEN), order="order")


def claim(
    tx: Tx,
    *,
    workflow: str,
    runner: str,
    systems: Sequence[str],
    plan: str | None = None,
    limit: int = p.MAX_BATCH,
    at_once: int = 1,
    lease_s: float = LEASE_S,
) -> p.LaneClaimed:
    """Give this runner the next items of a system that it has and nobody else works on; none when there are none now."""
    require_own_workflow(tx, workflow)
    plans = running_plans(tx, workflow=workflow) if plan is None else iter([_plan_of(tx, plan, workflow)])
    for known in plans:
        if known.state is not PlanState.RUNNING:
            continue
        for system in systems:
            if system in known.rests and tx.now < known.rests[system].until:
                continue
            batch = next_batch(
                _of_system(tx, known.id, system, limit, tx.now), _waiting(tx), limit=limit, staged=at_once > 1
            )
            batch = batch or _put_back(tx, known, system, limit)
            if not batch:
                continue
            fence = leases.take(tx, lane_name(known.id, system), owner=runner, for_s=lease_s)
            if fence is None:
                continue
            items = tuple(
                p.ToLookAt(item=each.item.id, object=each.item.object, stage=each.stage) for each in batch
            )
            return p.LaneClaimed(
                lane=p.Lane(plan=known.id, system=system, fence=fence, lease_s=lease_s, items=items)
            )
    return p.LaneClaimed()


def begin(
    tx: Tx,
    *,
    plan: str,
    system: str,
    runner: str,
    fence: int,
    looked: Sequence[p.Looked],
    lease_s: float = LEASE_S,
) -> p.ItemsBegun:
    """Decide about each item in view of what its object holds, and make durable what is about to be done.

    ``Conflict`` while the plan is not being run, and for a runner whose lane it is not any more.
    """
    known, incident = _held(tx, plan, system, runner, fence, lease_s)
    if known.state is not PlanState.RUNNING:
        raise Conflict(
            f"{plan} is {known.state}", hint="Nothing of it begins until somebody resumes it.", plan=plan
        )
    require_sealed(incident)
    tx.recall(Item, [each.item for each in looked])
    for told in reading_again.judge(tx, known, incident, system, looked):
        _finished(tx, incident, told.item, told.state, told.found, told.note)
    waits = _waiting(tx)
    due = [
        (item, each)
        for each in looked
        if (item := _item_of(tx, known, system, each.item)).state in OPEN and not waits(item)
    ]
    again = [
        _Later(item=item, error=each.error, note=_unseen(item, each.error))
        for item, each in due
        if _may_show_later(tx, known, item, each)
    ]
    later = {each.item.id for each in again}
    orders = [_begun(tx, known, incident, item, each, runner) for item, each in due if item.id not in later]
    _postpone(tx, known, incident, system, again, lane=len(again) == len(due))
    finish(tx, plan)
    return p.ItemsBegun(orders=tuple(order for order in orders if order is not None))


def end(
    tx: Tx,
    *,
    plan: str,
    system: str,
    runner: str,
    fence: int,
    ended: Sequence[p.Ended],
    lease_s: float = LEASE_S,
) -> p.ItemsEnded:
    """Record what became of items that were begun, as their objects show it; the plan is finished with its last item."""
    if tx.need(Plan, plan).state is PlanState.FINISHED:
        return p.ItemsEnded()
    known, incident = _held(tx, plan, system, runner, fence, lease_s)
    tx.recall(Item, [each.item for each in ended])
    again = []
    for each in ended:
        item = _item_of(tx, known, system, each.item)
        if item.state is not ItemState.IN_DOUBT:
            continue
        state, note = _outcome(item, each)
        if state is ItemState.FAILED and _may_end_later(item, each):
            again.append(_Later(item=item, error=each.unseen or each.error, note=note, image=each.image))
        else:
            _finished(tx, incident, item, state, each.image, note)
    unseen = all(each.image is None for each in ended)
    _postpone(tx, known, incident, system, again, lane=unseen and len(again) == len(ended))
    finish(tx, plan)
    return p.ItemsEnded()


def keep(
    tx: Tx,
    *,
    plan: str,
    system: str,
    runner: str,
    fence: int,
    give_back: bool = False,
    lease_s: float = LEASE_S,
) -> p.LaneKept:
    """Let the runner keep its lane for longer, or let others have it at once."""
    if tx.need(Plan, plan).state is PlanState.FINISHED:
        return p.LaneKept(lease_s=0.0)
    _held(tx, plan, system, runner, fence, lease_s)
    if give_back:
        leases.give_back(tx, lane_name(plan, system), owner=runner)
    return p.LaneKept(lease_s=0.0 if give_back else lease_s)


def answer(tx: Tx, request: Request[Any], *, lease_s: float = LEASE_S) -> Any:
    """Answer what a runner asks, inside a transaction and for its actor."""
    fields: dict[str, Any] = asdict(request) | {"lease_s": lease_s}
    match request:
        case p.ClaimLane():
            return claim(tx, **fields)
        case p.BeginItems():
            return begin(tx, **fields)
        case p.EndItems():
            return end(tx, **fields)
        case p.KeepLane():
            return keep(tx, **fields)
    raise Internal(f"nobody answers {type(request).__name__}", hint="Please report this.")


def lend(tx: Tx, request: Request[Any], *, connected: Collection[str]) -> Any:
    """Answer a runner outside the server: the workflow's agent, about systems that only its process can reach.

    Raises ``Denied`` for everybody else, and ``Conflict`` for a system that is ``connected`` to the server.
    """
    if tx.actor.kind is not PrincipalKind.AGENT:
        raise Denied(
            f"{tx.actor} cannot carry out a recovery from here",
            hint="Start it, and the server carries it out; what only the agent's process can reach is carried out there, with its token.",
            expected=PrincipalKind.AGENT.value,
            found=tx.actor.kind.value,
        )
    if isinstance(request, p.ClaimLane):
        require_own_workflow(tx, request.workflow)
        lent = tuple(system for system in request.systems if system not in connected)
        return answer(tx, replace(request, systems=lent)) if lent else p.LaneClaimed()
    if isinstance(request, p.BeginItems | p.EndItems | p.KeepLane) and request.system in connected:
        raise Conflict(
            f"{request.system} is connected to the server, which carries this out itself",
            hint="Start the plan; nobody has to do it from here.",
            system=request.system,
        )
    return answer(tx, request)


def by_people(tx: Tx, incident: Incident, item: Item) -> None:
    """Record that an item is done by people: there is nothing to run."""
    _finished(tx, incident, item, ItemState.ACCEPTED, None, "done by people, not by the software")


def _plan_of(tx: Tx, plan: str, workflow: str) -> Plan:
    known = tx.need(Plan, plan)
    if tx.need(Incident, known.incident).workflow != workflow:
        raise Invalid(f"{plan} is no plan of {workflow}", hint="Name the plan's workflow.", field="workflow")
    return known


def _of_system(view: View, plan: str, system: str, limit: int, now: datetime) -> Iterator[Item]:
    """Answer a lane's open items that are due, of which not many more are read than are begun together."""
    after: str | None = None
    while True:
        page = view.find(Item, plan=plan, state=tuple(OPEN), order="order", limit=limit, after=after)
        yield from (item for item in page if item.object.system == system and _is_due(item, now))
        if len(page) < limit:
            return
        after = page[-1].id


def _is_due(item: Item, now: datetime) -> bool:
    return item.again_at is None or item.again_at <= now


def _put_back(view: View, plan: Plan, system: str, limit: int) -> tuple[Staged, ...]:
    """Answer what is read once more in a system where nothing is left to run."""
    if any(item.object.system == system for item in open_items(view, plan.id)):
        return ()
    return tuple(Staged(item=item, stage=1) for item in reading_again.unread(view, plan, system, limit))


def _waiting(view: View) -> Callable[[Item], bool]:
    """Answer whether an item has to wait for another one that has its turn still, in whichever system that is."""

    def waits(item: Item) -> bool:
        return any(view.need(Item, each).state in OPEN for each in item.after)

    return waits


def _held(tx: Tx, plan: str, system: str, runner: str, fence: int, lease_s: float) -> tuple[Plan, Incident]:
    """Answer plan and incident of a lane that is this runner's still, and let it keep it from now on."""
    known = tx.need(Plan, plan)
    incident = tx.need(Incident, known.incident)
    require_own_workflow(tx, incident.workflow)
    found = leases.take(tx, lane_name(plan, system), owner=runner, for_s=lease_s)
    if found != fence:
        raise Conflict(
            f"the items of {system} in {plan} are another runner's by now",
            hint="Claim again; what was begun and has no end is looked at by whoever has them.",
            plan=plan,
            expected=fence,
            found=found,
        )
    return known, incident


def _item_of(tx: Tx, plan: Plan, system: str, item: str) -> Item:
    known = tx.need(Item, item)
    if known.plan != plan.id or known.object.system != system:
        raise Invalid(f"{item} is no item of {system} in {plan.id}", hint="Claim again.", field="item")
    return known


def _begun(
    tx: Tx, plan: Plan, incident: Incident, item: Item, looked: p.Looked, runner: str
) -> p.Order | None:
    if why := held_back(item, {each: tx.need(Item, each) for each in item.after}):
        _finished(tx, incident, item, ItemState.CONFLICT, None, why)
        return None
    now = looked.image
    if now is None and item.remedy is Remedy.RESEND:
        now = Image.unknown(looked.error)  # what is sent is not read
    if now is None:
        _finished(tx, incident, item, ItemState.FAILED, None, _unseen(item, looked.error))
        return None
    match todo := step(item, now):
        case AlreadyDone():
            note = "it was gone already" if now.state is ImageState.ABSENT else "it was right already"
            _finished(tx, incident, item, ItemState.VERIFIED, now, note)
        case Clash(why=why):
            _finished(tx, incident, item, ItemState.CONFLICT, now, f"{why}; {in_columns(columns(item, now))}")
        case ByHand():
            by_people(tx, incident, item)
        case Replace() | Invoke() if plan.cancelled_at is not None:
            note = f"its attempt had not taken effect when the plan was cancelled: {plan.reason}"
            _finished(tx, incident, item, ItemState.CANCELLED, now, note)
        case Replace() | Invoke():
            tx.record(
                ItemAttempted(
                    incident=incident.id,
                    workflow=incident.workflow,
                    plan=plan.id,
                    item=item.id,
                    object=item.object,
                    found=now,
                    runner=runner,
                )
            )
            return _order(item, todo)
    return None


def _order(item: Item, todo: Replace | Invoke) -> p.Order:
    if isinstance(todo, Invoke):
        return p.Order(item=item.id, tool=todo.tool, args=todo.args)
    return p.Order(item=item.id, expected=todo.expected, target=todo.target)


def _unseen(item: Item, error: str) -> str:
    if item.state is ItemState.IN_DOUBT:
        return f"it was begun before, and whether that took effect cannot be seen: {error}"
    return error or "it could not be looked at"


class _Later(Record):
    """An item that may be decided when its system is reached again, and what is said of it if it is not; ``image`` where the object was seen."""

    item: Item
    error: str
    note: str
    image: Image | None = None

    def tried(self) -> tuple[bool, int]:
        """Answer what is postponed together: seen or not, and for the how-manieth time."""
        return self.image is None, self.item.tries + 1


def _may_show_later(tx: Tx, plan: Plan, item: Item, looked: p.Looked) -> bool:
    """Answer whether an object that could not be looked at is looked at again; not for ever, once its plan is cancelled."""
    given_up = plan.cancelled_at is not None and tx.now > plan.cancelled_at + _GIVE_UP_AFTER
    return looked.image is None and looked.again and item.remedy is not Remedy.RESEND and not given_up


def _may_end_later(item: Item, ended: p.Ended) -> bool:
    """Answer whether an attempt that has not taken hold is still to be found out about, or worth another one; a tool is not called again."""
    return (
        ended.again and item.remedy is not Remedy.RESEND and (item.undo_tool is None or ended.image is None)
    )


def _postpone(
    tx: Tx, plan: Plan, incident: Incident, system: str, again: Sequence[_Later], *, lane: bool
) -> None:
    """Leave items open whose system could not be reached; where others in it can, which is not the whole ``lane``, only so often."""
    if not again:
        return
    # An item that was counted before, while others could be reached, is counted on when it is the last one.
    lane = lane and not all(each.item.tries for each in again)
    for (unseen, number), same in groupby(sorted(again, key=_Later.tried), key=_Later.tried):
        postponed = list(same)
        tries = tries_of_lane(plan.rests.get(system), tx.now) if lane else number
        if not lane and number >= (MAX_LOOKS if unseen else MAX_CHANGES):
            for each in postponed:
                _finished(tx, incident, each.item, ItemState.FAILED, each.image, each.note)
            continue
        tx.record(
            ItemsPostponed(
                incident=incident.id,
                workflow=incident.workflow,
                plan=plan.id,
                system=system,
                items=tuple(each.item.id for each in postponed),
                until=tx.now + rest(tries),
                tries=tries,
                error=postponed[0].error,
                lane=lane,
            )
        )


def _outcome(item: Item, ended: p.Ended) -> tuple[ItemState, str]:
    seen = ended.image or Image.unknown(ended.unseen)
    done = verify(item, seen, returned=not ended.error)
    if ended.conflict and not done:
        return ItemState.CONFLICT, ended.error
    if done and ended.error:
        return ItemState.VERIFIED, "the answer was an error, and the object shows that it is done"
    if done:
        return ItemState.VERIFIED, ""
    if ended.image is None:
        return ItemState.FAILED, "; ".join(
            filter(None, (ended.error, ended.unseen))
        ) or "it could not be read back"
    return ItemState.FAILED, ended.error or "read back, and it does not hold what was put there"


def _finished(
    tx: Tx, incident: Incident, item: Item, state: ItemState, found: Image | None, note: str
) -> None:
    if tx.actor.kind is PrincipalKind.AGENT:
        note = "; ".join(filter(None, (note, AS_REPORTED)))
    tx.record(
        ItemFinished(
            incident=incident.id,
            workflow=incident.workflow,
            plan=item.plan,
            item=item.id,
            object=item.object,
            state=state,
            found=found,
            note=note,
        )
    )
