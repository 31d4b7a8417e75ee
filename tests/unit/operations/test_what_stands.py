"""What stands of a recovery is what was carried out last: a repair that was taken back counts nowhere as done, and a plan that is
only proposed hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.incidents.case import Case
from stopwork.incidents.drafting import six_facts
from stopwork.incidents.reenable import checks
from stopwork.incidents.report import one_page
from stopwork.incidents.standing import STANDINGS, Standing
from stopwork.kernel.errors import Conflict
from stopwork.ledger.records import Item, Plan
from stopwork.ledger.words import CheckState, ItemState, Phase, PlanState, ReenableCheck, Remedy
from stopwork.operations import planning
from stopwork.operations.cases import gather
from tests.support.office import DANA, LEE, Office
from tests.support.trouble import Trouble

CALLED = "Lee has called them already."


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[Trouble]:
    """The agent has moved the dates of two accounts and made a task; the dates were put back, the task stays by signature."""
    with Office(tmp_path / "data") as office:
        run = office.begin()
        for account in ("acme", "globex"):
            office.do(run, "crm.update_account", account_id=account, renewal="2025-01-01")
        office.do(run, "crm.create_task", account_id="acme", title="Call acme")
        trouble = Trouble.of_run(office, run)
        trouble.seal()
        trouble.audit()
        found, items = proposed(trouble)
        approve(trouble, found, keep=(items["task-1"].id,), note=CALLED)
        trouble.recover(found)
        yield trouble


def proposed(trouble: Trouble, *, everything: bool = False) -> tuple[Plan, dict[str, Item]]:
    found = planning.plan(trouble.office.inst, LEE, incident=trouble.incident, everything=everything)
    return found, trouble.items(found)


def reversal(trouble: Trouble) -> Plan:
    plan = trouble.known.plan
    assert plan is not None
    return trouble.reversal(plan)


def approve(trouble: Trouble, found: Plan, *, keep: tuple[str, ...] = (), note: str = "") -> Plan:
    return trouble.office.write(
        partial(planning.approve, plan=found.id, digest=found.digest, accept=keep, note=note), actor=DANA
    )


def take_back(trouble: Trouble) -> None:
    trouble.recover(approve(trouble, reversal(trouble)))


def case(trouble: Trouble) -> Case:
    office = trouble.office
    return office.read(lambda view: gather(view, office.inst.manifests, trouble.incident))


def recovery(trouble: Trouble) -> str:
    return one_page(case(trouble), trouble.office.clock.now()).recovery_actions


def phase(trouble: Trouble) -> Standing:
    return STANDINGS[Phase.RECOVER](case(trouble))


def records_corrected(trouble: Trouble) -> tuple[CheckState, str]:
    found = next(each for each in checks(case(trouble)) if each.check is ReenableCheck.RECORDS_CORRECTED)
    return found.state, found.why


def test_a_repair_that_was_taken_back_is_told_as_taken_back(trouble: Trouble) -> None:
    assert recovery(trouble) == "2 put back and read back and 1 left as they are with a reason"
    take_back(trouble)
    assert recovery(trouble) == (
        "2 taken back again, so that they hold what the agent left and 1 left as they are with a reason"
    )
    assert "0 of 3 objects put back and read back." in six_facts(case(trouble)).known_affected
    assert "2 repairs were taken back" in six_facts(case(trouble)).known_affected


def test_what_was_taken_back_is_open_until_somebody_decides_again(trouble: Trouble) -> None:
    take_back(trouble)
    standing = phase(trouble)
    assert (standing.done, standing.task) == (False, "Decide about 2 objects whose repair was taken back")
    state, why = records_corrected(trouble)
    assert state is CheckState.FAILED
    assert "The repairs of 2 of 3 were taken back" in why
    assert "trusted" not in six_facts(case(trouble)).what_to_do
    found, items = proposed(trouble)
    approve(trouble, found, keep=tuple(item.id for item in items.values()), note="They are right after all.")
    assert phase(trouble).done
    assert records_corrected(trouble)[0] is CheckState.PASSED
    assert recovery(trouble) == "3 left as they are with a reason"


def test_the_undo_of_the_undo_of_the_undo_is_a_repair_again(trouble: Trouble) -> None:
    take_back(trouble)
    take_back(trouble)
    assert trouble.office.crm.accounts["acme"]["renewal"] == "2026-06-01"
    assert recovery(trouble) == "2 put back and read back and 1 left as they are with a reason"
    assert phase(trouble).done


def test_a_repair_that_is_not_taken_back_after_all_stands(trouble: Trouble) -> None:
    back = reversal(trouble)
    items = trouble.items(back)
    approve(trouble, back, keep=tuple(item.id for item in items.values()), note="It is right as it is.")
    assert recovery(trouble) == "2 put back and read back and 1 left as they are with a reason"
    assert phase(trouble).done


def test_a_proposed_plan_hides_neither_the_repairs_nor_the_signed_exception(trouble: Trouble) -> None:
    proposed(trouble, everything=True)
    page = one_page(case(trouble), trouble.office.clock.now())
    assert page.recovery_actions == (
        "2 put back and read back, 1 left as they are with a reason and 3 waiting for approval"
    )
    assert CALLED in page.exceptions
    with pytest.raises(Conflict, match="nothing is left"):
        proposed(trouble)


def test_the_plan_that_was_run_can_be_taken_back_while_another_is_proposed(trouble: Trouble) -> None:
    proposed(trouble, everything=True)
    back = reversal(trouble)
    assert {item.object.id for item in trouble.items(back).values()} == {"acme", "globex"}
    trouble.recover(approve(trouble, back))
    assert trouble.office.crm.accounts["acme"]["renewal"] == "2025-01-01"


def test_nothing_is_corrected_while_a_plan_is_under_way(trouble: Trouble) -> None:
    approved = approve(trouble, reversal(trouble))
    assert approved.state is PlanState.APPROVED
    assert records_corrected(trouble) == (CheckState.FAILED, f"{approved.id} is approved and not over.")
    assert {item.state for item in case(trouble).plan_items} == {ItemState.APPROVED}


def test_the_reason_for_one_object_is_signed_onto_no_other(tmp_path: Path) -> None:
    with Office(tmp_path / "data") as office:
        run = office.begin()
        for renewal in ("2025-01-01", "2026-06-01"):
            office.do(run, "crm.update_account", account_id="acme", renewal=renewal)
        office.do(run, "crm.create_task", account_id="acme", title="Call acme")
        trouble = Trouble.of_run(office, run)
        trouble.seal()
        trouble.audit()
        found, items = proposed(trouble)
        assert items["acme"].remedy is Remedy.ACCEPT
        approve(trouble, found, keep=(items["task-1"].id,), note=CALLED)
        signed = {name: (item.state, item.note) for name, item in trouble.items(found).items()}
    assert signed == {
        "acme": (ItemState.ACCEPTED, "nothing to run; it is told or left as it is"),
        "task-1": (ItemState.ACCEPTED, CALLED),
    }
