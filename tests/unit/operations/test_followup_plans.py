"""A new plan is about what is left: what was put right, or was decided to stay, is not asked again. What could not be put right
comes back with what stands in its way, and unless the owner says otherwise it stays as it is. Of repeated work the original stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.incidents.reenable import checks
from stopwork.kernel.errors import Conflict
from stopwork.ledger.records import Image, Item, Plan
from stopwork.ledger.words import CheckState, IncidentType, ItemState, PlanState, ReenableCheck, Remedy
from stopwork.operations import planning
from stopwork.operations.cases import gather
from stopwork.server.pages import planning as forms
from stopwork.server.pages.sent import Sent
from tests.support.office import DANA, LEE, MANIFEST, Office
from tests.support.trouble import TITLE, Trouble


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[Trouble]:
    """The agent has moved the dates of two accounts and made two tasks; a person has corrected one of the accounts since."""
    with Office(tmp_path / "data") as office:
        run = office.begin()
        for account in ("acme", "globex"):
            office.do(run, "crm.update_account", account_id=account, renewal="2025-01-01")
            office.do(run, "crm.create_task", account_id=account, title=f"Call {account}")
        office.crm.accounts["acme"]["renewal"] = "2027-01-01"
        trouble = Trouble.of_run(office, run)
        trouble.seal()
        trouble.audit()
        yield trouble


def plan(trouble: Trouble, *, everything: bool = False) -> tuple[Plan, dict[str, Item]]:
    found = planning.plan(trouble.office.inst, LEE, incident=trouble.incident, everything=everything)
    return found, trouble.items(found)


def approve(trouble: Trouble, found: Plan, *, keep: tuple[str, ...] = (), note: str = "") -> Plan:
    return trouble.office.write(
        partial(planning.approve, plan=found.id, digest=found.digest, accept=keep, note=note), actor=DANA
    )


def carried_out(trouble: Trouble) -> dict[str, Item]:
    """Let the owner keep one task, and run the rest: one account is in conflict."""
    found, items = plan(trouble)
    approve(trouble, found, keep=(items["task-1"].id,), note="Lee has called them already.")
    trouble.recover(found)
    return trouble.items(found)


def in_force(trouble: Trouble) -> dict[str, ItemState]:
    office = trouble.office
    case = office.read(lambda view: gather(view, office.inst.manifests, trouble.incident))
    return {item.object.id: item.state for item in case.items}


def records_corrected(trouble: Trouble) -> CheckState:
    office = trouble.office
    case = office.read(lambda view: gather(view, office.inst.manifests, trouble.incident))
    return next(each.state for each in checks(case) if each.check is ReenableCheck.RECORDS_CORRECTED)


def test_only_what_could_not_be_put_right_is_asked_again(trouble: Trouble) -> None:
    first = carried_out(trouble)
    assert {name: item.state for name, item in first.items()} == {
        "acme": ItemState.CONFLICT,
        "globex": ItemState.VERIFIED,
        "task-1": ItemState.ACCEPTED,
        "task-2": ItemState.VERIFIED,
    }
    assert first["acme"].note == (
        "it was changed by somebody else since; "
        "renewal: before 2026-06-01, agent's 2025-01-01, now 2027-01-01"
    )
    trouble.office.crm.accounts["acme"]["owner"] = "kim"
    _, items = plan(trouble)
    [again] = items.values()
    assert (again.object.id, again.order, again.earlier) == ("acme", 1, first["acme"].id)
    assert again.keep == "it was changed by somebody else since"
    assert again.found == Image.present({"renewal": "2027-01-01", "owner": "kim"}), "as it is now"


def test_a_conflict_stays_as_it_is_unless_the_owner_says_otherwise(trouble: Trouble) -> None:
    carried_out(trouble)
    found, _ = plan(trouble)
    approved = approve(trouble, found)
    assert approved.state is PlanState.FINISHED, "nothing of it runs"
    item = trouble.items(found)["acme"]
    assert (item.state, item.note) == (ItemState.ACCEPTED, "it was changed by somebody else since")
    assert in_force(trouble) == {
        "acme": ItemState.ACCEPTED,
        "globex": ItemState.VERIFIED,
        "task-1": ItemState.ACCEPTED,
        "task-2": ItemState.VERIFIED,
    }
    assert records_corrected(trouble) is CheckState.PASSED
    with pytest.raises(Conflict, match="nothing is left"):
        plan(trouble)


def test_a_conflict_whose_cause_is_gone_is_proposed_like_any_other(trouble: Trouble) -> None:
    carried_out(trouble)
    trouble.office.crm.accounts["acme"]["renewal"] = "2025-01-01"
    found, items = plan(trouble)
    assert (items["acme"].keep, items["acme"].earlier is not None) == ("", True)
    approve(trouble, found)
    trouble.recover(found)
    assert trouble.office.crm.accounts["acme"]["renewal"] == "2026-06-01"


def test_everything_is_proposed_again_when_that_is_asked_for(trouble: Trouble) -> None:
    carried_out(trouble)
    _, items = plan(trouble, everything=True)
    assert set(items) == {"acme", "globex", "task-1", "task-2"}


def test_what_a_new_plan_is_about_is_open_again_until_it_is_carried_out(trouble: Trouble) -> None:
    carried_out(trouble)
    plan(trouble)
    assert in_force(trouble)["acme"] is ItemState.PROPOSED
    assert in_force(trouble)["globex"] is ItemState.VERIFIED


def test_what_was_taken_back_is_asked_again(trouble: Trouble) -> None:
    carried_out(trouble)
    known = trouble.known.plan
    assert known is not None
    back = trouble.reversal(known)
    trouble.recover(trouble.approve(back))
    _, items = plan(trouble)
    assert set(items) == {"acme", "globex", "task-2"}


@pytest.mark.parametrize(
    ("note", "recorded"), [("", "it was changed by somebody else since"), ("I set it.", "I set it.")]
)
def test_what_is_left_unticked_stays_for_the_owner_s_reason_or_the_plan_s(
    trouble: Trouble, note: str, recorded: str
) -> None:
    carried_out(trouble)
    found, _ = plan(trouble)
    sent = Sent(
        installation=trouble.office.inst,
        person=DANA,
        path={"incident": trouble.incident},
        fields={"plan": [found.id], "digest": [found.digest], "note": [note]},
    )
    assert forms.approve_plan(sent).said == "no items approved."
    assert trouble.items(found)["acme"].note == recorded


# --- originals -------------------------------------------------------------------------------------


def test_the_original_of_repeated_work_stays_unless_the_owner_says_otherwise(tmp_path: Path) -> None:
    with Office(tmp_path / "data") as office:
        trouble = Trouble(office)
        assert trouble.known.type is IncidentType.DUPLICATE_WORK
        trouble.seal()
        trouble.audit()
        found, items = plan(trouble)
        original, copy = items["task-1"], items["task-2"]
        assert original.keep == "it is the original of 1 copy; only copies are taken back"
        assert (copy.keep, original.remedy, copy.remedy) == ("", Remedy.DELETE, Remedy.DELETE)
        trouble.recover(approve(trouble, found))
        assert set(office.crm.tasks) == {"task-1"}
        assert trouble.items(found)["task-1"].note == original.keep


@pytest.mark.parametrize("key", ["key: [tool, args.account_id, args.title], ", ""], ids=["key", "arguments"])
def test_a_copy_that_came_too_late_for_the_signal_is_a_copy_and_other_work_is_none(
    tmp_path: Path, key: str
) -> None:
    held = "key: [tool, args.account_id, args.title], window: 7d, hold: tool"
    with Office(tmp_path / "data", manifest=MANIFEST.replace(held, f"{key}window: 7d, hold: none")) as office:
        trouble = Trouble(office)
        office.do(trouble.run, "crm.create_task", account_id="acme", title=TITLE, nth=3)
        office.do(trouble.run, "crm.create_task", account_id="acme", title="Send the offer")
        other = office.begin("another occasion")
        office.do(other, "crm.create_task", account_id="globex", title=TITLE)
        office.wait(seconds=1)
        trouble.seal()
        trouble.audit()
        _, items = plan(trouble)
        assert {name: bool(item.keep) for name, item in items.items() if name.startswith("task")} == {
            "task-1": True,
            "task-2": False,
            "task-3": False,
            "task-4": True,
        }


def test_the_owner_may_have_the_original_taken_back_too(tmp_path: Path) -> None:
    with Office(tmp_path / "data") as office:
        trouble = Trouble(office)
        trouble.seal()
        trouble.audit()
        found, items = plan(trouble)
        every = {item.id for item in items.values()}
        office.write(partial(planning.approve, plan=found.id, digest=found.digest, items=every), actor=DANA)
        trouble.recover(found)
        assert office.crm.tasks == {}
