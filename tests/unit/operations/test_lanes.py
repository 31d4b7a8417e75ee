"""Contract: lanes of connected systems are lent to nobody, the others to the workflow's agent only, whose word is called that; what cannot
be reached for a while is waited for and not given up; a system that hangs does not keep its lane; and nothing is left of a plan that is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from stopwork.control import running as p
from stopwork.incidents.lanes import MAX_CHANGES, MAX_LOOKS
from stopwork.kernel.errors import Conflict, Denied, Unavailable
from stopwork.ledger.events import PlanEdited
from stopwork.ledger.records import Image, Item, ObjectRef, Plan, Principal
from stopwork.ledger.words import ItemState, PlanState, PrincipalKind
from stopwork.operations import desk, lanes, recovering
from stopwork.storage.fsck import fsck
from stopwork.storage.tables import lease
from stopwork.storage.transaction import Tx
from stopwork.systems.runner import Runner
from tests.support.office import AGENT, LEE, WORKFLOW, Crm, Office
from tests.support.trouble import Trouble

ACME = ObjectRef(system="crm", type="account", id="acme")
OPEN = {ItemState.APPROVED}


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Trouble]:
    """A recovery that only the agent's process can carry out: the server has no system connected."""
    with Office(tmp_path / "data", systems={}) as office:
        yield Trouble(office)


def started(trouble: Trouble) -> Plan:
    plan = trouble.approved_plan()
    return trouble.office.write(partial(recovering.start, plan=plan.id), actor=LEE)


def ask(trouble: Trouble, request: Any, actor: Principal = AGENT) -> Any:
    """Ask as a guard does, from outside."""
    inst = trouble.office.inst
    answer = partial(desk.answer, manifests=inst.manifests, request=request, connected=inst.systems)
    return trouble.office.write(answer, actor=actor)


def claim(trouble: Trouble, actor: Principal = AGENT) -> p.Lane | None:
    asked = p.ClaimLane(workflow=WORKFLOW, runner="runner_1", systems=("crm",))
    found: p.Lane | None = ask(trouble, asked, actor).lane
    return found


def begin(trouble: Trouble, lane: p.Lane, looked: list[p.Looked]) -> p.ItemsBegun:
    request = p.BeginItems(
        plan=lane.plan, system=lane.system, runner="runner_1", fence=lane.fence, looked=tuple(looked)
    )
    found: p.ItemsBegun = ask(trouble, request)
    return found


def states(trouble: Trouble, plan: Plan) -> dict[str, ItemState]:
    return {name: item.state for name, item in trouble.items(plan).items()}


def known(trouble: Trouble, plan: Plan) -> Plan:
    return trouble.office.read(lambda view: view.need(Plan, plan.id))


def down(_ref: ObjectRef) -> None:
    raise Unavailable("the CRM does not answer")


def fine(_ref: ObjectRef) -> None:
    return None


def down_for_acme(ref: ObjectRef) -> None:
    if ref == ACME:
        down(ref)


# --- whom a lane is lent to ---------------------------------------------------------------------------


def test_nobody_can_say_that_what_the_server_reaches_is_done(trouble: Trouble) -> None:
    plan = started(trouble)
    assert claim(trouble) is None
    items = trouble.items(plan)
    lies = [p.Looked(item=item.id, image=item.target) for item in items.values()]
    forged = p.Lane(plan=plan.id, system="crm", fence=1, lease_s=10.0, items=())
    with pytest.raises(Conflict, match="connected to the server"):
        begin(trouble, forged, lies)
    assert set(states(trouble, plan).values()) == OPEN


@pytest.mark.parametrize("kind", [PrincipalKind.PERSON, PrincipalKind.SYSTEM])
def test_a_lane_is_lent_to_the_workflows_agent_only(far: Trouble, kind: PrincipalKind) -> None:
    plan = started(far)
    lane = claim(far)
    assert lane is not None
    somebody = Principal(kind=kind, id="mallory@acme.test")
    with pytest.raises(Denied, match="cannot carry out a recovery from here"):
        claim(far, somebody)
    failing = p.BeginItems(plan=plan.id, system="crm", runner="runner_1", fence=lane.fence, looked=())
    with pytest.raises(Denied):
        ask(far, failing, somebody)


def test_what_only_the_agents_process_can_see_is_called_its_report(far: Trouble) -> None:
    plan = started(far)
    lane = claim(far)
    assert lane is not None
    targets = {item.id: item.target for item in far.items(plan).values()}
    begin(far, lane, [p.Looked(item=each.item, image=targets[each.item]) for each in lane.items])
    assert {item.note for item in far.items(plan).values()} == {
        "it was right already; as the agent's process reports",
        "it was gone already; as the agent's process reports",
    }


# --- what is out of reach -----------------------------------------------------------------------------


def test_a_system_that_is_out_of_reach_is_waited_for(trouble: Trouble) -> None:
    plan = started(trouble)
    trouble.office.crm.before_read = down
    for _ in range(20):
        trouble.office.wait(minutes=1)
    assert (known(trouble, plan).state, set(states(trouble, plan).values())) == (PlanState.RUNNING, OPEN)
    progress = partial(
        recovering.progress,
        systems=trouble.office.inst.systems,
        plan=plan.id,
        now=trouble.office.clock.now(),
    )
    [lane] = trouble.office.read(progress).lanes
    assert "crm is out of reach" in lane.waiting
    assert "does not answer" in lane.waiting
    trouble.office.crm.before_read = fine
    trouble.office.wait(minutes=1)
    assert known(trouble, plan).state is PlanState.FINISHED
    assert set(states(trouble, plan).values()) == {ItemState.VERIFIED}
    assert fsck(trouble.office.store).clean


def test_it_is_waited_for_longer_each_time(trouble: Trouble) -> None:
    looks: list[ObjectRef] = []

    def count(ref: ObjectRef) -> None:
        looks.append(ref)
        down(ref)

    plan = started(trouble)
    trouble.office.crm.before_read = count
    for _ in range(60):
        trouble.office.wait(seconds=1)
    assert len(looks) <= 6 * plan.items, "after 1, 2, 4, 8, 16 and 32 seconds"


def test_one_object_that_cannot_be_looked_at_holds_no_other_up_and_is_given_up_in_the_end(
    trouble: Trouble,
) -> None:
    plan = started(trouble)
    trouble.office.crm.before_read = down_for_acme
    trouble.office.wait(seconds=0)
    left = states(trouble, plan)
    assert left == {"acme": ItemState.APPROVED, "task-1": ItemState.VERIFIED, "task-2": ItemState.VERIFIED}
    for _ in range(MAX_LOOKS):
        trouble.office.wait(minutes=1)
    assert known(trouble, plan).state is PlanState.FINISHED
    acme = trouble.items(plan)["acme"]
    assert (acme.state, acme.note) == (ItemState.FAILED, "the CRM does not answer")


def test_what_a_blink_leaves_in_doubt_is_looked_at_again(trouble: Trouble) -> None:
    plan = started(trouble)

    def away(_ref: ObjectRef) -> None:
        trouble.office.crm.before_read = down

    trouble.office.crm.after_replace = away
    trouble.office.wait(seconds=0)
    assert ItemState.FAILED not in states(trouble, plan).values()
    assert ItemState.IN_DOUBT in states(trouble, plan).values()
    trouble.office.crm.before_read = trouble.office.crm.after_replace = fine
    trouble.office.wait(minutes=1)
    assert set(states(trouble, plan).values()) == {ItemState.VERIFIED}
    assert len(trouble.office.crm.replaced) == 3, "and nothing was done twice"


def test_what_is_in_doubt_in_a_cancelled_plan_is_given_up_after_a_while(trouble: Trouble) -> None:
    plan = started(trouble)
    trouble.office.crm.after_replace = lambda _ref: setattr(trouble.office.crm, "before_read", down)
    trouble.office.wait(seconds=0)
    cancel = partial(recovering.cancel, plan=plan.id, reason="the CRM is gone")
    assert trouble.office.write(cancel, actor=LEE).plan.state is PlanState.RUNNING
    trouble.office.wait(minutes=5)
    assert ItemState.IN_DOUBT in states(trouble, plan).values()
    trouble.office.wait(minutes=6)
    assert known(trouble, plan).state is PlanState.FINISHED
    notes = [item.note for item in trouble.items(plan).values() if item.state is ItemState.FAILED]
    assert notes
    assert all("whether that took effect cannot be seen" in note for note in notes)


def test_a_change_that_a_deadlock_kept_from_being_made_is_made_again(trouble: Trouble) -> None:
    plan = started(trouble)
    trouble.office.crm.before_replace = down
    trouble.office.wait(seconds=0)
    assert set(states(trouble, plan).values()) == {ItemState.IN_DOUBT}
    trouble.office.crm.before_replace = fine
    trouble.office.wait(seconds=1)
    assert set(states(trouble, plan).values()) == {ItemState.VERIFIED}


def test_a_change_that_a_system_never_takes_is_given_up(trouble: Trouble) -> None:
    plan = started(trouble)
    trouble.office.crm.before_replace = down
    for _ in range(MAX_CHANGES):
        trouble.office.wait(minutes=1)
    assert set(states(trouble, plan).values()) == {ItemState.FAILED}
    assert {item.note for item in trouble.items(plan).values()} == {"the CRM does not answer"}
    assert fsck(trouble.office.store).clean


# --- the protocol -------------------------------------------------------------------------------------


def test_an_item_is_not_begun_before_the_one_that_has_to_be_right_first(far: Trouble) -> None:
    started(far)
    lane = claim(far)
    assert lane is not None
    first, second, *_ = (each.item for each in lane.items)
    far.office.write(partial(_made_to_wait, item=second, first=first))
    images = {each.item: far.office.crm.read(each.object) for each in lane.items}
    assert begin(far, lane, [p.Looked(item=second, image=images[second])]).orders == ()
    assert far.office.read(lambda view: view.need(Item, second)).state is ItemState.APPROVED
    assert len(begin(far, lane, [p.Looked(item=first, image=images[first])]).orders) == 1


def test_what_is_said_of_an_error_is_bounded() -> None:
    long = "x" * (p.MAX_ERROR + 1)
    for kind, field in ((p.Looked, "error"), (p.Ended, "error"), (p.Ended, "unseen")):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"item": "item_1", field: long}, type=kind)


class Scripted:
    """A control plane that orders one tool call, and keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[p.BeginItems] = []
        self.ended: list[p.EndItems] = []

    def send(self, request: Any) -> Any:
        match request:
            case p.ClaimLane():
                lane = p.Lane(
                    plan="plan_1",
                    system="crm",
                    fence=1,
                    lease_s=10.0,
                    items=(p.ToLookAt(item="item_1", object=ACME),),
                )
                return p.LaneClaimed(lane=None if self.begun else lane)
            case p.BeginItems():
                self.begun.append(request)
                return p.ItemsBegun(orders=(p.Order(item="item_1", tool="mail.send", args={}),))
            case p.EndItems():
                self.ended.append(request)
                return p.ItemsEnded()
        return p.LaneKept(lease_s=0.0)


class Mail(Crm):
    """A place that sends, and cannot be looked at."""

    invokes = True

    def read(self, ref: ObjectRef) -> Image:
        raise Unavailable("mail cannot be read: " + "x" * p.MAX_ERROR)

    def invoke(self, tool: str, args: Any) -> None:
        del tool, args


def test_that_a_tool_returned_and_that_its_object_cannot_be_read_are_told_apart() -> None:
    plane = Scripted()
    Runner(plane, {"crm": Mail()}, runner="runner_1").run(WORKFLOW)
    [[ended]] = (each.ended for each in plane.ended)
    assert (ended.error, ended.image, ended.again) == ("", None, True)
    assert ended.unseen.startswith("mail cannot be read")
    assert len(ended.unseen) == p.MAX_ERROR


# --- leases -------------------------------------------------------------------------------------------


class Near:
    """The control plane near by, with short leases."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def send(self, request: Any) -> Any:
        return self.office.write(partial(lanes.answer, request=request, lease_s=0.3), actor=LEE)


def test_a_system_that_hangs_does_not_keep_its_lane(trouble: Trouble) -> None:
    plan = started(trouble)
    hanging, over = threading.Event(), threading.Event()

    def hang(_ref: ObjectRef) -> None:
        if not over.is_set():
            hanging.set()
            over.wait(20)

    trouble.office.crm.before_read = hang
    first = Runner(Near(trouble.office), trouble.office.inst.systems, runner="runner_1", patience_s=0.2)
    work = threading.Thread(target=first.run, args=(WORKFLOW,))
    work.start()
    try:
        assert hanging.wait(10)
        _wait_until(lambda: trouble.office.write(_claimed).lane is not None)
    finally:
        over.set()
        work.join()
    assert trouble.office.crm.replaced == [], "who comes back late changes nothing"
    assert set(states(trouble, plan).values()) == OPEN


def test_nothing_is_left_of_the_leases_of_a_plan_that_is_over(trouble: Trouble) -> None:
    plan = started(trouble)
    trouble.recover(plan)
    count = sa.select(sa.func.count()).where(lease.c.duty.startswith("recovery/"))
    assert known(trouble, plan).state is PlanState.FINISHED
    assert trouble.office.read(lambda view: view.execute(count).scalar_one()) == 0


def _claimed(tx: Tx) -> p.LaneClaimed:
    return lanes.claim(tx, workflow=WORKFLOW, runner="runner_2", systems=("crm",))


def _wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(100):
        if true():
            return
        pause.wait(0.1)
    raise AssertionError("it never came to pass")


def _made_to_wait(tx: Tx, *, item: str, first: str) -> None:
    known = tx.need(Item, item)
    plan = tx.need(Plan, known.plan)
    tx.record(
        PlanEdited(
            incident=plan.incident,
            workflow=WORKFLOW,
            plan=plan.id,
            item=item,
            digest=plan.digest,
            reason="it names the other one",
            items=(replace(known, after=(first,)),),
        )
    )
