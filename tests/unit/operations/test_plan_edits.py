"""A plan is edited by people until it is approved: every edit has a who and a why, makes another digest, and can be taken back.

What its system refuses and what a tool does not take is refused before anybody approves it. The owner approves what was shown: by a rule, the
same items that the rule showed. What is left as it is has the owner's reason, and stands in the report.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.incidents.reenable import checks
from stopwork.incidents.report import markdown, one_page
from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.events import PlanApproved, PlanEdited
from stopwork.ledger.records import Image, ObjectRef, Observed, Plan, Principal
from stopwork.ledger.words import ItemState, Operation, ReenableCheck, Remedy
from stopwork.operations import plan_edits, planning
from stopwork.operations.cases import gather
from stopwork.operations.plans import ITEMS_AN_ENTRY, items_of
from stopwork.storage.fsck import fsck
from stopwork.systems.sql import SqlSystem, Table
from tests.support.office import AGENT, DANA, LEE, Office
from tests.support.trouble import Trouble


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[Trouble]:
    with Office(tmp_path / "data") as office:
        trouble = Trouble(office)
        trouble.seal()
        trouble.audit()
        yield trouble


def edit(trouble: Trouble, plan: Plan, item: str, actor: Principal = LEE, **wanted: Any) -> Plan:
    given = {"plan": plan.id, "digest": plan.digest, "reason": "as agreed", "item": item} | wanted
    return plan_edits.edit(trouble.office.inst, actor, **given)


def approve(trouble: Trouble, plan: Plan, **how: Any) -> Plan:
    return trouble.office.write(
        partial(planning.approve, plan=plan.id, digest=plan.digest, **how), actor=DANA
    )


# --- editing ---------------------------------------------------------------------------------------


def test_an_edit_is_recorded_run_and_read_back(trouble: Trouble) -> None:
    plan = trouble.propose()
    acme = trouble.items(plan)["acme"]
    new = edit(trouble, plan, acme.id, fields={"renewal": "2026-07-01"})
    assert new.digest != plan.digest
    [recorded] = [
        entry
        for entry in trouble.office.read(lambda view: list(view.entries(incident=trouble.incident)))
        if isinstance(entry.event, PlanEdited)
    ]
    assert recorded.actor == LEE
    assert isinstance(recorded.event, PlanEdited)
    assert (recorded.event.item, recorded.event.reason) == (acme.id, "as agreed")
    with pytest.raises(Conflict, match="not the plan you saw"):
        approve(trouble, plan)
    trouble.recover(trouble.approve(new))
    assert trouble.office.crm.accounts["acme"]["renewal"] == "2026-07-01"


def test_what_was_put_right_as_edited_is_not_asked_again(trouble: Trouble) -> None:
    plan = trouble.propose()
    new = edit(trouble, plan, trouble.items(plan)["acme"].id, fields={"renewal": "2026-07-01"})
    trouble.recover(trouble.approve(new))
    with pytest.raises(Conflict, match="nothing is left"):
        trouble.propose()


def test_an_edit_is_taken_back_with_a_why(trouble: Trouble) -> None:
    plan = trouble.propose()
    acme = trouble.items(plan)["acme"]
    new = edit(trouble, plan, acme.id, remedy=Remedy.TELL)
    back = trouble.office.write(
        partial(plan_edits.take_back, plan=plan.id, item=acme.id, digest=new.digest, reason="It may."),
        actor=DANA,
    )
    assert trouble.items(back)["acme"] == acme
    assert back.digest == plan.digest, "it is the plan that was proposed"


def test_another_turn_is_kept_in_the_digest(trouble: Trouble) -> None:
    plan = trouble.propose()
    first, *_, last = trouble.office.read(lambda view: items_of(view, plan.id))
    new = edit(trouble, plan, first.id, order=last.order)
    assert [item.id for item in trouble.office.read(lambda view: items_of(view, plan.id))][-1] == first.id
    assert new.digest != plan.digest
    back = trouble.office.write(
        partial(plan_edits.take_back, plan=plan.id, item=first.id, digest=new.digest, reason="as before"),
        actor=LEE,
    )
    assert back.digest == plan.digest


@pytest.mark.parametrize(
    ("wanted", "error", "why"),
    [
        ({}, Invalid, "nothing is said"),
        ({"remedy": Remedy.TELL, "reason": " "}, Invalid, "say why"),
        ({"remedy": Remedy.TELL, "digest": "sha256:other"}, Conflict, "not the plan you saw"),
        ({"remedy": Remedy.TELL, "item": "item_9999"}, NotFound, "no item item_9999"),
        ({"fields": {"renewal": "x"}, "item": "item_9999"}, NotFound, "no item item_9999"),
        ({"fields": {"renewal": 7}}, Invalid, "holds text, not a number"),
        ({"remedy": Remedy.TELL, "actor": AGENT}, Denied, "cannot edit"),
        ({"order": 99}, Invalid, "no turn 99"),
    ],
)
def test_an_edit_that_cannot_be_is_refused(
    trouble: Trouble, wanted: dict[str, Any], error: type[Exception], why: str
) -> None:
    plan = trouble.propose()
    with pytest.raises(error, match=why):
        edit(trouble, plan, **({"item": trouble.items(plan)["acme"].id} | wanted))
    assert trouble.office.read(lambda view: view.need(Plan, plan.id)).digest == plan.digest


def test_nothing_is_edited_any_more_when_it_is_approved(trouble: Trouble) -> None:
    plan = trouble.approve(trouble.propose())
    with pytest.raises(Conflict, match="is approved already"):
        edit(trouble, plan, trouble.items(plan)["acme"].id, remedy=Remedy.TELL)


def test_what_the_system_refuses_is_refused_before_anybody_approves(trouble: Trouble, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as db:
        db.execute("CREATE TABLE account (id TEXT PRIMARY KEY, renewal TEXT, owner TEXT)")
    table = SqlSystem("crm", tmp_path / "crm.db", {"account": Table(table="account", key=("id",))})
    plan = trouble.propose()
    trouble.office.inst.systems = {"crm": table}
    with pytest.raises(Invalid, match="is not a row of account: color") as refused:
        plan_edits.edit(
            trouble.office.inst,
            LEE,
            plan=plan.id,
            item=trouble.items(plan)["acme"].id,
            digest=plan.digest,
            reason="nicer",
            fields={"color": "red"},
        )
    assert refused.value.fields["field"] == "set"


def test_a_plan_that_is_too_long_for_one_entry_is_all_there(tmp_path: Path) -> None:
    many = 2 * ITEMS_AN_ENTRY + 5
    with Office(tmp_path / "data") as office:
        run = office.begin()
        permit = office.ask(run, "crm.update_account", account_id="acme", renewal="2026-09-01")
        office.attempt(permit)
        office.finish(permit, observed=tuple(made(f"t-{number}") for number in range(many)))
        trouble = Trouble.of_run(office, run)
        trouble.seal()
        trouble.audit()
        plan = trouble.propose()
        assert (plan.items, len(trouble.items(plan))) == (many + 1, many + 1), "the account as well"
        last = office.read(lambda view: items_of(view, plan.id))[-1]
        new = edit(trouble, plan, last.id, order=1)
        assert office.read(lambda view: items_of(view, plan.id))[0].id == last.id
        approved = office.write(
            partial(
                planning.approve,
                plan=plan.id,
                digest=new.digest,
                where="operation == 'created'",
                note="I have looked at the account.",
            ),
            actor=DANA,
        )
        assert approved.approved_by == DANA.id
        assert fsck(office.store).clean


def made(object_id: str) -> Observed:
    return Observed(
        object=ObjectRef(system="crm", type="task", id=object_id),
        operation=Operation.CREATED,
        before=Image.absent(),
        after=Image.present({"title": object_id}),
        source="scan",
    )


# --- rules and exceptions --------------------------------------------------------------------------

COPIES = "situation == 'duplicate_records'"


def test_a_rule_approves_exactly_what_it_showed(trouble: Trouble) -> None:
    plan = trouble.propose()
    shown = trouble.office.read(lambda view: planning.chosen(view, plan=plan.id, where=COPIES))
    items = {item.id: item.object.id for item in trouble.items(plan).values()}
    assert (shown.digest, {items[each] for each in shown.items}) == (plan.digest, {"task-2"})
    with pytest.raises(Invalid, match="say why"):
        approve(trouble, plan, where=COPIES)
    with pytest.raises(Invalid, match="by a rule or one by one"):
        approve(trouble, plan, where=COPIES, items=list(shown.items), note="?")
    approve(trouble, plan, where=COPIES, note="The date was agreed after all.")
    [approved] = [
        entry.event
        for entry in trouble.office.read(lambda view: list(view.entries(incident=trouble.incident)))
        if isinstance(entry.event, PlanApproved)
    ]
    assert (approved.where, approved.items) == (COPIES, shown.items)
    ended = trouble.items(trouble.recover(plan))
    assert {name: item.state for name, item in ended.items()} == {
        "acme": ItemState.ACCEPTED,
        "task-1": ItemState.ACCEPTED,
        "task-2": ItemState.VERIFIED,
    }


def test_what_is_left_as_it_is_stands_in_the_report_with_who_and_why(trouble: Trouble) -> None:
    plan = trouble.propose()
    approve(trouble, plan, where=COPIES, note="The date was agreed after all.")
    trouble.recover(plan)
    office = trouble.office
    case = office.read(lambda view: gather(view, office.inst.manifests, trouble.incident))
    corrected = next(each for each in checks(case) if each.check is ReenableCheck.RECORDS_CORRECTED)
    assert "2 left as they are, signed by dana@acme.test" in corrected.why
    told = markdown(one_page(case, office.inst.store.clock.now()))
    assert "crm/account/acme: The date was agreed after all. (dana@acme.test)" in told
