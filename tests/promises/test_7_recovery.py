"""Promise: nothing is changed before the evidence is sealed and the item approved; somebody's later change is never overwritten; success means
read back and compared; and a recovery that dies goes on where it stopped, doing nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from stopwork.incidents.lanes import MAX_CHANGES
from stopwork.kernel.errors import Conflict, Denied, Invalid, Unavailable
from stopwork.ledger.records import Image, Item, ObjectRef, Plan
from stopwork.ledger.words import ItemState, PlanState
from stopwork.operations import planning, recovering
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from stopwork.storage.view import PAGE
from tests.support.doomed import (
    SHORT_LEASE_S,
    die_in_the_middle_of_recovery,
    doomed,
    start_ledger,
    wait_for,
)
from tests.support.office import DANA, LEE, Crm, Office
from tests.support.trouble import Trouble

ACME = ObjectRef(system="crm", type="account", id="acme")
BEFORE = {"renewal": "2026-06-01", "owner": "lee"}
DAMAGE = {"renewal": "2025-01-01", "owner": "lee"}


class Crash(BaseException):
    """The process is gone at this point; nothing of it catches this."""


def states(trouble: Trouble, plan: Plan) -> dict[str, ItemState]:
    return {name: item.state for name, item in trouble.items(plan).items()}


# --- order -----------------------------------------------------------------------------------------


def test_the_order_is_seal_audit_plan_approval_run(office: Office) -> None:
    trouble = Trouble(office, preserved=False)
    with pytest.raises(Conflict, match="evidence is not sealed"):
        trouble.propose()
    trouble.audit()
    with pytest.raises(Conflict, match="evidence is not sealed"):
        trouble.propose()
    trouble.seal()
    plan = trouble.propose()
    with pytest.raises(Conflict, match="is not approved"):
        trouble.recover(plan)
    assert trouble.office.crm.replaced == []
    trouble.recover(trouble.approve(plan))
    assert len(trouble.office.crm.replaced) == 3


def test_a_plan_needs_an_audit(trouble: Trouble) -> None:
    trouble.seal()
    with pytest.raises(Conflict, match="not audited yet"):
        trouble.propose()


def test_only_the_business_owner_approves_and_only_what_was_shown(trouble: Trouble) -> None:
    trouble.seal()
    trouble.audit()
    plan = trouble.propose()
    approve = partial(planning.approve, plan=plan.id)
    with pytest.raises(Denied, match="only the business owner"):
        trouble.office.write(partial(approve, digest=plan.digest), actor=LEE)
    with pytest.raises(Conflict, match="not the plan you saw"):
        trouble.office.write(partial(approve, digest="sha256:other"), actor=DANA)
    newer = trouble.propose()
    with pytest.raises(Conflict, match="not the plan you saw"):
        trouble.office.write(partial(approve, digest=plan.digest), actor=DANA)
    trouble.approve(newer)
    with pytest.raises(Conflict, match="Let it finish, or cancel it, first"):
        trouble.propose()


def test_every_item_is_decided_one_way(trouble: Trouble) -> None:
    trouble.seal()
    trouble.audit()
    plan = trouble.propose()
    every = {item.id for item in trouble.items(plan).values()}
    one = min(every)
    approve = partial(planning.approve, plan=plan.id, digest=plan.digest)
    for decided, why in [
        (partial(approve, items=[one]), "neither approved nor accepted"),
        (partial(approve, items=every, accept=[one], note="it may stay"), "both approved and accepted"),
        (partial(approve, accept=[one]), "say why"),
        (partial(approve, items=[*every, "item_9999"]), "is no item of"),
    ]:
        with pytest.raises(Invalid, match=why):
            trouble.office.write(decided, actor=DANA)
    trouble.office.write(partial(approve, accept=[one], note="it may stay"), actor=DANA)
    trouble.recover(plan)
    assert len(trouble.office.crm.replaced) == len(every) - 2, "one is accepted, and one is an original"


# --- what is done ------------------------------------------------------------------------------------


def test_the_world_is_as_before_and_read_back(trouble: Trouble) -> None:
    crm = trouble.office.crm
    assert (crm.accounts["acme"], len(crm.tasks)) == (DAMAGE, 2)
    plan = trouble.recover(trouble.approved_plan())
    assert (crm.accounts["acme"], crm.tasks) == (BEFORE, {})
    assert plan.state is PlanState.FINISHED
    found = trouble.items(plan).values()
    assert {(item.state, item.found == item.target) for item in found} == {(ItemState.VERIFIED, True)}


def test_a_person_s_later_change_survives(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    crm = trouble.office.crm
    crm.accounts["acme"]["renewal"] = "2027-01-01"
    trouble.recover(plan)
    assert crm.accounts["acme"]["renewal"] == "2027-01-01"
    item = trouble.items(plan)["acme"]
    assert item.state is ItemState.CONFLICT
    for value in ("2026-06-01", "2025-01-01", "2027-01-01"):
        assert value in item.note, "before, the agent's, now"
    assert states(trouble, plan)["task-1"] is ItemState.VERIFIED, "the others are done all the same"


def test_a_change_to_another_field_survives_beside_the_restored_one(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    crm = trouble.office.crm
    crm.accounts["acme"]["owner"] = "kim"
    trouble.recover(plan)
    assert crm.accounts["acme"] == {"renewal": "2026-06-01", "owner": "kim"}
    assert states(trouble, plan)["acme"] is ItemState.VERIFIED


def test_a_change_at_the_very_last_moment_survives(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    crm = trouble.office.crm

    def interfere(ref: ObjectRef) -> None:
        if ref == ACME:
            crm.accounts["acme"]["renewal"] = "2027-01-01"

    crm.before_replace = interfere
    trouble.recover(plan)
    assert crm.accounts["acme"]["renewal"] == "2027-01-01"
    assert states(trouble, plan)["acme"] is ItemState.CONFLICT


class Pretender(Crm):
    """Says that it has changed something and has not."""

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        if ref != ACME:
            super().replace(ref, expected, target)


def test_a_system_that_only_pretends_is_found_out(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        pretender = Pretender()
        office.crm = pretender
        office.inst.systems["crm"] = pretender
        trouble = Trouble(office)
        plan = trouble.recover(trouble.approved_plan())
        item = trouble.items(plan)["acme"]
        assert (item.state, item.found) == (ItemState.FAILED, Image.present(DAMAGE))
        assert "does not hold what was put there" in item.note


def unavailable(_ref: ObjectRef) -> None:
    raise Unavailable("the CRM does not answer", hint="Wait.")


def crash_of_the_adapter(_ref: ObjectRef) -> None:
    raise ZeroDivisionError("a fault in somebody's adapter")


@pytest.mark.parametrize("how", [unavailable, crash_of_the_adapter])
def test_a_system_that_fails_does_not_keep_the_others_from_being_put_right(
    trouble: Trouble, how: Callable[[ObjectRef], None]
) -> None:
    plan = trouble.approved_plan()

    def fail_for_acme(ref: ObjectRef) -> None:
        if ref == ACME:
            how(ref)

    trouble.office.crm.before_replace = fail_for_acme
    trouble.recover(plan)
    for _ in range(MAX_CHANGES):
        trouble.office.wait(minutes=1)
    assert trouble.office.read(lambda view: view.need(Plan, plan.id)).state is PlanState.FINISHED
    assert states(trouble, plan) == {
        "acme": ItemState.FAILED,
        "task-1": ItemState.VERIFIED,
        "task-2": ItemState.VERIFIED,
    }

    trouble.office.crm.before_replace = lambda _ref: None
    again = trouble.approve(trouble.propose())
    trouble.recover(again)
    assert trouble.office.crm.accounts["acme"] == BEFORE


def test_a_system_that_fails_only_to_answer_is_believed_by_what_is_there(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    trouble.office.crm.after_replace = unavailable
    trouble.recover(plan)
    assert set(states(trouble, plan).values()) == {ItemState.VERIFIED}
    assert trouble.office.crm.accounts["acme"] == BEFORE


def test_a_recovery_can_itself_be_taken_back(trouble: Trouble) -> None:
    plan = trouble.recover(trouble.approved_plan())
    back = trouble.reversal(plan.id)
    trouble.recover(trouble.approve(back))
    assert trouble.office.crm.accounts["acme"] == DAMAGE
    assert len(trouble.office.crm.tasks) == 2


@pytest.mark.slow
def test_a_plan_of_many_items_is_run_to_its_end(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        for n in range(PAGE + 5):
            office.do(run, "crm.create_task", account_id=str(n), title="call")
        trouble = Trouble.of_run(office, run)
        plan = trouble.recover(trouble.approved_plan())
        assert {item.state for item in trouble.items(plan).values()} == {ItemState.VERIFIED}
        assert (plan.items, office.crm.tasks) == (PAGE + 5, {})


# --- dying in the middle ------------------------------------------------------------------------------


def crash(_ref: ObjectRef) -> None:
    raise Crash


def crash_before_the_change(crm: Crm) -> None:
    crm.before_replace = crash


def crash_after_the_change(crm: Crm) -> None:
    crm.after_replace = crash


def crash_at_the_first_look(crm: Crm) -> None:
    crm.before_read = crash


def crash_when_reading_back(crm: Crm) -> None:
    def then(_ref: ObjectRef) -> None:
        crm.before_read = crash

    crm.after_replace = then


CRASHES = [
    crash_at_the_first_look,
    crash_before_the_change,
    crash_after_the_change,
    crash_when_reading_back,
]


@pytest.mark.parametrize("crashing", CRASHES)
def test_a_recovery_that_dies_goes_on_and_does_nothing_twice(
    trouble: Trouble, crashing: Callable[[Crm], None]
) -> None:
    plan = trouble.approved_plan()
    crm = trouble.office.crm
    for _ in range(3):
        crashing(crm)
        with suppress(
            Crash
        ):  # what was done before it died is seen to be done, and then there is nothing left to die in
            trouble.recover(plan)
        crm.before_read = crm.before_replace = crm.after_replace = lambda _ref: None
    finished = trouble.recover(plan)

    assert finished.state is PlanState.FINISHED
    assert set(states(trouble, plan).values()) == {ItemState.VERIFIED}
    assert (crm.accounts["acme"], crm.tasks) == (BEFORE, {})
    assert sorted(map(str, crm.replaced)) == ["crm/account/acme", "crm/task/task-1", "crm/task/task-2"]
    assert fsck(trouble.office.store).clean


@pytest.mark.parametrize("after_the_change", [False, True])
def test_a_process_killed_in_the_middle_of_recovery(tmp_path: Path, after_the_change: bool) -> None:
    ledger = start_ledger(tmp_path)
    with Office(tmp_path / "data") as office:
        trouble = Trouble(office)
        plan = trouble.approved_plan()
    ledger.put("acme", DAMAGE)
    with doomed(die_in_the_middle_of_recovery, tmp_path, plan.id, after_the_change=after_the_change) as doer:
        wait_for((tmp_path / "running").exists, doer)
        doer.kill()
        doer.join(10)

    with Installation.open(tmp_path / "data", systems={"crm": ledger.system}) as inst:
        in_doubt = inst.store.read(lambda view: list(view.each(Item, state=ItemState.IN_DOUBT)))
        assert len(in_doubt) == 1, "the attempt was on record before anything was touched"
        time.sleep(SHORT_LEASE_S)
        done = recovering.run(inst, LEE, plan=plan.id)
        assert done.state is PlanState.FINISHED
        assert inst.store.read(lambda view: list(view.each(Item, state=ItemState.IN_DOUBT))) == []
        assert fsck(inst.store, vkeys=[inst.signer.vkey]).clean
    assert ledger.accounts["acme"] == BEFORE


def test_two_people_who_run_the_same_plan_run_it_once(trouble: Trouble) -> None:
    plan = trouble.approved_plan()
    seen: list[PlanState] = []

    def again(_ref: ObjectRef) -> None:
        seen.append(recovering.run(trouble.office.inst, DANA, plan=plan.id).state)

    trouble.office.crm.before_replace = again
    trouble.recover(plan)
    assert seen == [PlanState.RUNNING] * 3, "it is another's, and goes on"
    trouble.recover(plan)
    assert len(trouble.office.crm.replaced) == 3
