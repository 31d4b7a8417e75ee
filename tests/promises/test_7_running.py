"""Promise: a person pauses, resumes or cancels a recovery at any moment, and is told what is in flight; it is carried out where the credentials are
and decided where the records are; and a recovery can be taken back until the world is as it was before it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.control import running as p
from stopwork.incidents.attempt import columns
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.records import Image, ObjectRef, Plan, Principal
from stopwork.ledger.words import ItemState, PlanState, PrincipalKind
from stopwork.operations import lanes, planning, recovering
from stopwork.sdk import Stopwork
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.fsck import fsck
from tests.support.office import AGENT, DANA, LEE, WORKFLOW, Crm, Office
from tests.support.trouble import Trouble

OTHER = Principal(kind=PrincipalKind.AGENT, id="invoices")
BEFORE = {"renewal": "2026-06-01", "owner": "lee"}


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Trouble]:
    """A recovery that only the agent's process can carry out: the server has no system connected."""
    with Office(tmp_path / "data", systems={}) as office:
        yield Trouble(office)


def halt(trouble: Trouble, how: str, plan: Plan, reason: str = "wait for Kim") -> recovering.Halted:
    done: recovering.Halted = trouble.office.write(
        partial(getattr(recovering, how), plan=plan.id, reason=reason), actor=LEE
    )
    return done


def start(trouble: Trouble, plan: Plan, reason: str = "") -> Plan:
    return trouble.office.write(partial(recovering.start, plan=plan.id, reason=reason), actor=LEE)


def states(trouble: Trouble, plan: Plan) -> dict[str, ItemState]:
    return {name: item.state for name, item in trouble.items(plan).items()}


def claim(trouble: Trouble, runner: str = "runner_1", actor: Principal = AGENT) -> p.Lane:
    claimed = trouble.office.write(
        partial(lanes.claim, workflow=WORKFLOW, runner=runner, systems=("crm",)), actor=actor
    )
    assert claimed.lane is not None
    return claimed.lane


def begin(trouble: Trouble, lane: p.Lane, runner: str = "runner_1") -> p.ItemsBegun:
    looked = [p.Looked(item=each.item, image=trouble.office.crm.read(each.object)) for each in lane.items]
    return trouble.office.write(
        partial(
            lanes.begin,
            plan=lane.plan,
            system=lane.system,
            runner=runner,
            fence=lane.fence,
            looked=looked,
        ),
        actor=AGENT,
    )


# --- pause, resume, cancel ---------------------------------------------------------------------------


def test_a_pause_names_what_is_in_flight_and_nothing_more_begins(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        for n in range(12):
            office.do(run, "crm.create_task", account_id=str(n), title="call")
        trouble = Trouble.of_run(office, run)
        plan = trouble.approved_plan()
        seen: list[recovering.Halted] = []

        def interfere(_ref: ObjectRef) -> None:
            if not seen:
                seen.append(halt(trouble, "pause", plan))

        office.crm.before_replace = interfere
        assert trouble.recover(plan).state is PlanState.PAUSED
        in_flight = {item.id for item in seen[0].in_flight}
        ended = {item.id for item in trouble.items(plan).values() if item.state is ItemState.VERIFIED}
        assert ended == in_flight, "what was in flight came to its end"
        assert 0 < len(ended) < 12, "and nothing more began"
        assert start(trouble, plan, reason="Kim agrees").left == 12 - len(ended)
        trouble.recover(plan)
        assert set(states(trouble, plan).values()) == {ItemState.VERIFIED}


def test_while_it_is_paused_nobody_carries_it_out(far: Trouble) -> None:
    plan = far.approved_plan()
    start(far, plan)
    lane = claim(far)
    halt(far, "pause", plan)
    with pytest.raises(Conflict, match="is paused"):
        begin(far, lane)
    with pytest.raises(Conflict, match="was paused by lee"):
        far.recover(plan)
    assert far.office.crm.replaced == []
    start(far, plan, reason="Kim agrees")
    assert len(begin(far, lane).orders) == 3


def test_pausing_and_cancelling_need_a_person_and_a_reason(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    for how in (recovering.pause, recovering.cancel):
        with pytest.raises(Denied):
            trouble.office.write(partial(how, plan=plan.id, reason="because"), actor=AGENT)
        with pytest.raises(Invalid, match="say why"):
            trouble.office.write(partial(how, plan=plan.id, reason=" "), actor=LEE)
    with pytest.raises(Denied):
        trouble.office.write(partial(recovering.start, plan=plan.id), actor=AGENT)
    trouble.recover(plan)
    with pytest.raises(Conflict, match="is finished"):
        halt(trouble, "pause", plan)


def test_what_a_cancelled_plan_has_not_begun_is_left_as_it_is(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    before = copy.deepcopy(trouble.office.crm.accounts)
    done = halt(trouble, "cancel", plan, "not today")
    assert (done.plan.state, done.in_flight) == (PlanState.FINISHED, ())
    assert set(states(trouble, plan).values()) == {ItemState.CANCELLED}
    assert trouble.office.crm.accounts == before
    again = trouble.approve(trouble.propose())
    trouble.recover(again)
    assert trouble.office.crm.accounts["acme"] == BEFORE


def test_what_was_in_flight_when_a_plan_was_cancelled_is_looked_at_and_not_tried_again(far: Trouble) -> None:
    plan = far.approved_plan()
    start(far, plan)
    orders = {order.item: order for order in begin(far, claim(far)).orders}
    acme = far.items(plan)["acme"]
    expected, target = orders[acme.id].expected, orders[acme.id].target
    assert expected is not None
    assert target is not None
    far.office.crm.replace(acme.object, expected, target)
    assert len(halt(far, "cancel", plan, "stop it").in_flight) == 3
    begin(far, claim(far))
    assert states(far, plan) == {
        "acme": ItemState.VERIFIED,
        "task-1": ItemState.CANCELLED,
        "task-2": ItemState.CANCELLED,
    }
    assert len(far.office.crm.replaced) == 1


# --- where the credentials are -----------------------------------------------------------------------


def test_the_agents_process_carries_out_what_only_it_can_reach(far: Trouble) -> None:
    plan = far.approved_plan()
    assert far.recover(plan).state is PlanState.RUNNING
    progress = partial(recovering.progress, systems={}, plan=plan.id, now=far.office.clock.now())
    [lane] = far.office.read(progress).lanes
    assert "recover('renewals')" in lane.waiting

    guard = Stopwork.at(LocalDesk(far.office.inst), systems={"crm": far.office.crm})
    assert guard.recover(WORKFLOW) == 3
    assert guard.recover(WORKFLOW) == 0
    assert set(states(far, plan).values()) == {ItemState.VERIFIED}
    assert far.office.crm.accounts["acme"] == BEFORE
    assert {item.done_by for item in far.items(plan).values()} == {AGENT}
    assert fsck(far.office.store).clean


def test_the_agent_of_another_workflow_carries_out_nothing(far: Trouble) -> None:
    start(far, far.approved_plan())
    with pytest.raises(Denied, match="speaks for invoices"):
        claim(far, actor=OTHER)


def test_whoever_comes_late_is_refused(far: Trouble) -> None:
    plan = far.approved_plan()
    start(far, plan)
    first = claim(far, "runner_1")
    back = partial(
        lanes.keep, plan=plan.id, system="crm", runner="runner_1", fence=first.fence, give_back=True
    )
    far.office.write(back, actor=AGENT)
    second = claim(far, "runner_2")
    assert second.fence == first.fence + 1
    with pytest.raises(Conflict, match="another runner's by now"):
        begin(far, first, "runner_1")
    assert len(begin(far, second, "runner_2").orders) == 3


def test_a_runner_that_says_what_is_not_so_is_not_believed(far: Trouble) -> None:
    plan = far.approved_plan()
    start(far, plan)
    lane = claim(far)
    orders = begin(far, lane).orders
    ended = [p.Ended(item=order.item, image=order.expected) for order in orders]
    end = partial(lanes.end, plan=plan.id, system="crm", runner="runner_1", fence=lane.fence, ended=ended)
    far.office.write(end, actor=AGENT)
    assert set(states(far, plan).values()) == {ItemState.FAILED}
    far.office.write(end, actor=AGENT)  # a lost answer is asked for again


# --- taking it back ----------------------------------------------------------------------------------


def world(crm: Crm) -> tuple[dict[str, object], dict[str, object]]:
    return copy.deepcopy(dict(crm.accounts)), copy.deepcopy(dict(crm.tasks))


def taken_back(trouble: Trouble, plan: Plan) -> Plan:
    back = trouble.reversal(plan.id)
    return trouble.recover(
        trouble.office.write(partial(planning.approve, plan=back.id, digest=back.digest), actor=DANA)
    )


def test_the_undo_of_a_recovery_leaves_the_world_as_it_was_before_it(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    before = world(trouble.office.crm)
    trouble.recover(plan)
    after = world(trouble.office.crm)
    assert after != before
    back = taken_back(trouble, plan)
    assert world(trouble.office.crm) == before, "removed objects are there again under their ids"
    taken_back(trouble, back)
    assert world(trouble.office.crm) == after


def test_the_undo_of_a_recovery_leaves_alone_what_somebody_changed_since(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    trouble.recover(plan)
    crm = trouble.office.crm
    crm.accounts["acme"]["renewal"] = "2027-01-01"
    crm.tasks["task-1"] = {"account_id": "acme", "title": "another under this id"}
    back = taken_back(trouble, plan)
    items = trouble.items(back)
    assert crm.accounts["acme"]["renewal"] == "2027-01-01"
    assert crm.tasks["task-1"]["title"] == "another under this id"
    assert {name: item.state for name, item in items.items()} == {
        "acme": ItemState.CONFLICT,
        "task-1": ItemState.CONFLICT,
        "task-2": ItemState.VERIFIED,
    }
    [shown] = columns(items["acme"], Image.present(crm.accounts["acme"]))
    assert (shown.before, shown.left, shown.now) == ("2025-01-01", "2026-06-01", "2027-01-01")
