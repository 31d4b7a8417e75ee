"""Running a recovery: what the owner approved is done once per item, and read back, by whoever has the credentials.

A person starts, pauses, resumes and cancels it. A plan that is being run goes on by itself after a crash: a worker takes up what nobody
works on (:class:`stopwork.worker.crew.Crew`), looks first, and does nothing twice. What is done about an item is told in
:mod:`stopwork.operations.lanes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final, TypeVar

from msgspec import Struct

from stopwork.control.protocol import Request
from stopwork.kernel.clock import boottime
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import PlanCancelled, PlanPaused, PlanStarted
from stopwork.ledger.records import Incident, Item, Plan, Principal
from stopwork.ledger.words import ItemState, PlanState, PrincipalKind
from stopwork.operations import lanes
from stopwork.operations.installation import Installation
from stopwork.operations.people import refuse_agent, require_person
from stopwork.operations.plans import OPEN, finish, lane_name, require_sealed
from stopwork.storage import leases
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.systems.base import System, in_words
from stopwork.systems.runner import Runner

A = TypeVar("A")

#: Who goes on with what a person has started.
AS_WORKER: Final = Principal(kind=PrincipalKind.SYSTEM, id="recovery")
#: How many systems are worked on at the same time.
MAX_LANES: Final = 4
_OVER: Final = (PlanState.PROPOSED, PlanState.FINISHED)


class Halted(Struct, frozen=True, kw_only=True):
    """A plan after somebody has paused or cancelled it, with the items whose attempt has begun and not ended: these end by themselves."""

    plan: Plan
    in_flight: tuple[Item, ...] = ()


class LaneView(Struct, frozen=True, kw_only=True):
    """What is left to do in one system, and who is at it. ``waiting`` says what to start when nobody here can."""

    system: str
    left: int
    runner: str | None = None
    waiting: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a plan has come: its items by state, how many are done in a second, and how long the rest may take."""

    plan: Plan
    counts: dict[ItemState, int]
    left: int
    per_s: float | None = None
    left_s: float | None = None
    lanes: tuple[LaneView, ...] = ()

    @property
    def settled(self) -> int:
        return self.plan.items - self.left


def start(tx: Tx, *, plan: str, reason: str = "") -> Plan:
    """Have a plan run that is approved; with a reason, also one that is paused. What runs or has ended stays as it is.

    Raises ``Conflict`` before the approval, before the evidence is sealed, and for a paused plan without a reason.
    """
    refuse_agent(tx.actor, "run a recovery")
    known = tx.need(Plan, plan)
    incident = tx.need(Incident, known.incident)
    if known.state is PlanState.PROPOSED:
        raise Conflict(f"{plan} is not approved", hint="The business owner approves it first.", plan=plan)
    if known.state is PlanState.PAUSED and not reason.strip():
        raise Conflict(
            f"{plan} was paused by {known.steered_by}: {known.reason}",
            hint=f"Resume it with a reason: stopwork recover resume {incident.id}",
            plan=plan,
        )
    if known.state not in (PlanState.APPROVED, PlanState.PAUSED):
        return known
    require_sealed(incident)
    left = tx.count(Item, plan=plan, state=tuple(OPEN))
    tx.record(
        PlanStarted(
            incident=incident.id, workflow=incident.workflow, plan=plan, left=left, reason=reason.strip()
        )
    )
    for item in lanes.open_items(tx, plan):
        if item.remedy.by_people:
            lanes.by_people(tx, incident, item)
    return finish(tx, plan)


def pause(tx: Tx, *, plan: str, reason: str) -> Halted:
    """Let no further attempt begin; what has begun ends by itself, and is answered.

    ``Conflict`` for a plan that is not being run.
    """
    known, incident = _to_halt(tx, plan, reason, "pause a recovery")
    if known.state is PlanState.APPROVED:
        raise Conflict(f"{plan} is not being run", hint="There is nothing to pause.", plan=plan)
    in_flight = _in_flight(tx, plan)
    if known.state is PlanState.RUNNING:
        tx.record(
            PlanPaused(
                incident=incident.id,
                workflow=incident.workflow,
                plan=plan,
                reason=reason.strip(),
                in_flight=tuple(item.id for item in in_flight),
            )
        )
    return Halted(plan=tx.need(Plan, plan), in_flight=in_flight)


def cancel(tx: Tx, *, plan: str, reason: str) -> Halted:
    """Let nothing more of a plan be done: what has not begun is left as it is, and what has begun is looked at and not tried again."""
    known, incident = _to_halt(tx, plan, reason, "cancel a recovery")
    in_flight = _in_flight(tx, plan)
    if known.cancelled_at is None:
        untouched = tx.each(Item, plan=plan, state=ItemState.APPROVED, order="order")
        tx.record(
            PlanCancelled(
                incident=incident.id,
                workflow=incident.workflow,
                plan=plan,
                reason=reason.strip(),
                items=tuple(item.id for item in untouched),
                in_flight=tuple(item.id for item in in_flight),
            )
        )
    return Halted(plan=finish(tx, plan), in_flight=in_flight)


def run(
    installation: Installation,
    actor: Principal,
    *,
    plan: str,
    reason: str = "",
    within_s: float | None = None,
    lease_s: float = lanes.LEASE_S,
) -> Plan:
    """Start a plan, or resume it for a reason, carry out what can be done from here, and answer it as it stands then.

    It may be interrupted and run again: what is done is seen to be done. What another runner is at, or has to do, is left to it; after
    ``within_s`` no further batch begins, and the worker goes on.
    """
    refuse_agent(actor, "run a recovery")
    installation.store.write(lambda tx: start(tx, plan=plan, reason=reason), actor=actor)
    until = None if within_s is None else boottime() + within_s
    carry_on(installation, actor, plan=plan, until=until, lease_s=lease_s)
    return installation.store.read(lambda view: view.need(Plan, plan))


def carry_on(
    installation: Installation,
    actor: Principal = AS_WORKER,
    *,
    plan: str,
    until: float | None = None,
    lease_s: float = lanes.LEASE_S,
) -> None:
    """Carry out what is left of a running plan in the systems that are connected here and nobody works on."""
    store = installation.store
    known = store.read(lambda view: view.need(Plan, plan))
    workflow = store.read(lambda view: view.need(Incident, known.incident)).workflow
    desk = _Here(installation, actor, lease_s)

    def work(name: str) -> int:
        here = {name: installation.systems[name]}
        return Runner(desk, here, runner=store.ids.new("runner")).run(workflow, plan=plan, until=until)

    names = [name for name in known.systems if name in installation.systems]
    if len(names) == 1:
        work(names[0])
        return
    # What waits for an item of another system is found in the next round.
    with ThreadPoolExecutor(MAX_LANES, thread_name_prefix="lane") as pool:
        while any(pool.map(work, names)):
            pass


def carry_on_all(installation: Installation, *, for_s: float) -> None:
    """Go on with every plan that is being run and that nobody works on: after a crash, and where the request was not waited for.

    One that cannot go on holds no other up; what stopped it is raised when each has had its turn.
    """
    until = boottime() + for_s
    running = installation.store.read(lambda view: [plan.id for plan in lanes.running_plans(view)])
    stopped: dict[str, Exception] = {}
    for plan in running:
        try:
            carry_on(installation, plan=plan, until=until)
        except Exception as error:  # noqa: BLE001 - the plans behind it have their turn all the same
            stopped[plan] = error
    if stopped:
        raise ExceptionGroup(
            "; ".join(f"{plan}: {in_words(error)}" for plan, error in stopped.items()), [*stopped.values()]
        )


def progress(view: View, systems: Mapping[str, System], *, plan: str, now: datetime) -> Progress:
    """Answer how far a plan has come, who is at it, and what waits for a runner that has yet to be started."""
    known = view.need(Plan, plan)
    counts = {state: view.count(Item, plan=plan, state=state) for state in ItemState}
    workflow, left_of = _left(view, plan)
    left = sum(left_of.values())
    per_s = left_s = None
    if known.state is PlanState.RUNNING and known.left > left and known.started_at is not None:
        per_s = (known.left - left) / max((now - known.started_at).total_seconds(), 0.001)
        left_s = left / per_s
    return Progress(
        plan=known,
        counts={state: number for state, number in counts.items() if number},
        left=left,
        per_s=per_s,
        left_s=left_s,
        lanes=tuple(
            _lane(view, known, workflow, system, number, here=system in systems, now=now)
            for system, number in sorted(left_of.items())
        ),
    )


class _Here:
    """Answers a runner in this process."""

    def __init__(self, installation: Installation, actor: Principal, lease_s: float) -> None:
        self._store = installation.store
        self._actor = actor
        self._lease_s = lease_s

    def send(self, request: Request[A]) -> A:
        found: A = self._store.write(
            lambda tx: lanes.answer(tx, request, lease_s=self._lease_s), actor=self._actor
        )
        return found


def _to_halt(tx: Tx, plan: str, reason: str, doing: str) -> tuple[Plan, Incident]:
    require_person(tx, doing)
    if not reason.strip():
        raise Invalid("say why", hint="One sentence is enough.", field="reason")
    known = tx.need(Plan, plan)
    if known.state in _OVER:
        hint = (
            "The business owner decides about it first."
            if known.state is PlanState.PROPOSED
            else "It is over."
        )
        raise Conflict(f"{plan} is {known.state}", hint=hint, plan=plan)
    return known, tx.need(Incident, known.incident)


def _in_flight(view: View, plan: str) -> tuple[Item, ...]:
    return tuple(view.each(Item, plan=plan, state=ItemState.IN_DOUBT, order="order"))


def _left(view: View, plan: str) -> tuple[str, Counter[str]]:
    """Answer the workflow of a plan, and how many of its items are left in each system."""
    incident = view.need(Incident, view.need(Plan, plan).incident)
    return incident.workflow, Counter(item.object.system for item in lanes.open_items(view, plan))


def _lane(
    view: View, plan: Plan, workflow: str, system: str, left: int, *, here: bool, now: datetime
) -> LaneView:
    lease = leases.held(view, lane_name(plan.id, system))
    rests = plan.rests.get(system)
    waiting = ""
    if plan.state is PlanState.RUNNING and lease is None:
        if rests is not None and now < rests.until:
            waiting = f"{system} is out of reach and is tried again by itself, until you cancel the plan: {rests.error}"
        elif not here:
            waiting = (
                f"nobody who can reach {system} is at it: call recover({workflow!r}) in a process that has it, "
                "or connect it to the server"
            )
    return LaneView(system=system, left=left, runner=lease.owner if lease else None, waiting=waiting)
