"""A call that began and whose end nobody saw is never missing: the audit lists what it may have changed and what is there now,
a plan restores what was there before the first of the calls and never what the unseen one left, and a person who settles the
call makes its change known. A settled call without a result is not answered as if it had one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stopwork.control.protocol import PermitAnswer
from stopwork.incidents.affected import AffectedObject, affected_objects
from stopwork.ledger.records import Audit, Effect, Image, Item, ObjectRef, Plan
from stopwork.ledger.words import (
    ImageState,
    ItemState,
    Operation,
    Outcome,
    Question,
    ReasonKind,
    Remedy,
    Verdict,
)
from stopwork.operations import audits, incidents, settling
from stopwork.operations.cases import gather
from stopwork.storage.fsck import fsck
from tests.support.office import LEE, WORKFLOW, Office
from tests.support.trouble import Trouble

ACME = ObjectRef(system="crm", type="account", id="acme")
BEFORE = Image.present({"renewal": "2026-06-01", "owner": "lee"})
UPDATE = "crm.update_account"


def killed(office: Office, run: str, tool: str = UPDATE, **args: Any) -> PermitAnswer:
    """Let the agent die right after its tool has run."""
    permit = office.ask(run, tool, **args)
    office.attempt(permit)
    office.crm.run(tool, permit.args)
    office.wait(seconds=1)
    return permit


def opened(office: Office, run: str) -> Trouble:
    found = office.write(
        lambda tx: incidents.open_by_hand(tx, office.inst.manifests, workflow=WORKFLOW, runs=(run,)),
        actor=LEE,
    )
    return Trouble(office, incident=found.id)


def audited(trouble: Trouble) -> tuple[Audit, tuple[AffectedObject, ...]]:
    trouble.seal()
    audit = audits.audit(trouble.office.inst, LEE, incident=trouble.incident)
    manifests = trouble.office.inst.manifests
    return audit, trouble.office.read(
        lambda view: affected_objects(gather(view, manifests, trouble.incident))
    )


def settle(office: Office, call: PermitAnswer, outcome: Outcome, **known: Any) -> None:
    settling.settle(office.inst, LEE, call=call.call, outcome=outcome, note="looked in the CRM", **known)


def missing(audit: Audit, question: Question) -> str:
    return " ".join(next(each for each in audit.answers if each.question is question).missing)


def planned(trouble: Trouble) -> tuple[Plan, Item]:
    plan = trouble.propose()
    [item] = trouble.items(plan).values()
    return plan, item


# --- the audit -----------------------------------------------------------------------------------


@pytest.mark.parametrize("given_up", [False, True])
def test_the_audit_lists_what_an_unseen_call_may_have_changed_and_what_is_there_now(
    office: Office, *, given_up: bool
) -> None:
    run = office.begin()
    call = killed(office, run, account_id="acme", renewal="2025-01-01")
    office.wait(minutes=10 if given_up else 0)
    audit, [found] = audited(opened(office, run))
    assert (found.object, found.before, found.after.state) == (ACME, BEFORE, ImageState.UNKNOWN)
    assert found.seen is not None
    assert found.seen.content == {"renewal": "2025-01-01", "owner": "lee"}
    assert (found.calls, found.reversible) == ((call.call,), False)
    assert f"Nobody saw how {call.call} ({UPDATE}) ended" in missing(audit, Question.WRITES)
    assert "was left holding is not recorded" in missing(audit, Question.RECORDS_TO_CORRECT)


def test_an_object_that_only_the_lost_result_names_is_a_named_gap(office: Office) -> None:
    run = office.begin()
    killed(office, run, "crm.create_task", account_id="acme", title="Call")
    audit, objects = audited(opened(office, run))
    assert objects == ()
    assert "is named only by its result" in missing(audit, Question.WRITES)


def test_a_call_that_was_permitted_and_never_began_changed_nothing(office: Office) -> None:
    run = office.begin()
    office.ask(run, UPDATE, account_id="acme", renewal="2025-01-01")
    _, objects = audited(opened(office, run))
    assert objects == ()


# --- the plan ------------------------------------------------------------------------------------


def test_what_nobody_saw_is_not_overwritten(office: Office) -> None:
    run = office.begin()
    killed(office, run, account_id="acme", renewal="2025-01-01")
    trouble = opened(office, run)
    audited(trouble)
    plan, item = planned(trouble)
    assert (item.remedy, item.target) == (Remedy.RESTORE, BEFORE)
    assert "first settle" in item.preview
    trouble.recover(trouble.approve(plan))
    assert trouble.items(plan)["acme"].state is ItemState.CONFLICT
    assert office.crm.accounts["acme"]["renewal"] == "2025-01-01"


@pytest.mark.parametrize("given_up", [False, True])
def test_the_net_begins_before_the_unseen_call_and_never_restores_what_it_left(
    office: Office, *, given_up: bool
) -> None:
    run = office.begin()
    killed(office, run, account_id="acme", renewal="2025-01-01")
    office.do(run, UPDATE, account_id="acme", renewal="2025-02-02")
    office.wait(minutes=10 if given_up else 0)
    trouble = opened(office, run)
    audited(trouble)
    plan, item = planned(trouble)
    assert item.target == BEFORE
    trouble.recover(trouble.approve(plan))
    assert office.crm.accounts["acme"]["renewal"] == "2025-02-02", "a conflict, not the unseen call's value"


# --- settling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_up", [False, True])
def test_a_call_that_a_person_settles_as_done_is_undone_like_any_other(
    office: Office, *, given_up: bool
) -> None:
    run = office.begin()
    call = killed(office, run, account_id="acme", renewal="2025-01-01")
    office.wait(minutes=10 if given_up else 0)
    settle(office, call, Outcome.SUCCEEDED)
    [effect] = office.read(lambda view: list(view.each(Effect, call=call.call)))
    assert (effect.before, effect.operation, office.call(call.call).effects) == (
        BEFORE,
        Operation.MODIFIED,
        1,
    )
    assert effect.after.content == {"renewal": "2025-01-01", "owner": "lee"}
    assert effect.after.note == "as it was when lee@acme.test settled the call"
    trouble = opened(office, run)
    audited(trouble)
    plan, _ = planned(trouble)
    trouble.recover(trouble.approve(plan))
    assert office.crm.accounts["acme"] == BEFORE.content
    assert fsck(office.store).clean


def test_what_a_settled_call_left_is_what_the_next_call_found(office: Office) -> None:
    run = office.begin()
    call = killed(office, run, account_id="acme", renewal="2025-01-01")
    then = office.do(run, UPDATE, account_id="acme", renewal="2025-02-02")
    settle(office, call, Outcome.SUCCEEDED)
    [effect] = office.read(lambda view: list(view.each(Effect, call=call.call)))
    assert effect.after.content == {"renewal": "2025-01-01", "owner": "lee"}
    assert effect.after.note == f"as {then.call} found it"
    trouble = opened(office, run)
    audited(trouble)
    plan, item = planned(trouble)
    assert item.changes == {"renewal": ["2025-02-02", "2026-06-01"]}
    trouble.recover(trouble.approve(plan))
    assert office.crm.accounts["acme"] == BEFORE.content


def test_a_call_that_a_person_settles_as_failed_has_changed_nothing(office: Office) -> None:
    run = office.begin()
    call = killed(office, run, account_id="acme", renewal="2025-01-01")
    office.wait(minutes=10)
    office.crm.accounts["acme"]["renewal"] = "2026-06-01"
    settle(office, call, Outcome.FAILED)
    trouble = opened(office, run)
    audited(trouble)
    _, item = planned(trouble)
    assert item.preview == f"nothing to do for {ACME}: {UPDATE} left it as it was"


def test_where_nobody_can_look_it_stays_unknown_and_says_why(tmp_path: Path) -> None:
    with Office(tmp_path / "data", systems={}) as office:
        run = office.begin()
        call = killed(office, run, account_id="acme", renewal="2025-01-01")
        settle(office, call, Outcome.SUCCEEDED)
        [effect] = office.read(lambda view: list(view.each(Effect, call=call.call)))
        assert effect.after == Image.unknown("no system crm is connected here")


# --- the key of a settled call ---------------------------------------------------------------------


def test_a_call_settled_without_a_result_is_not_answered_with_none(office: Office) -> None:
    call = killed(office, office.begin(), account_id="acme", renewal="2025-01-01")
    settle(office, call, Outcome.SUCCEEDED)
    again = office.ask(office.begin(), UPDATE, account_id="acme", renewal="2025-01-01")
    [reason] = again.reasons
    assert (again.verdict, reason.kind, reason.source) == (Verdict.DENY, ReasonKind.IDEMPOTENCY, call.call)
    assert reason.text == f"{call.call} has done this: lee@acme.test settled it, without a result to return"


def test_a_call_settled_with_its_result_is_answered_with_that(office: Office) -> None:
    call = killed(office, office.begin(), account_id="acme", renewal="2025-01-01")
    settle(office, call, Outcome.SUCCEEDED, result={"ok": True})
    again = office.ask(office.begin(), UPDATE, account_id="acme", renewal="2025-01-01")
    assert (again.verdict, again.result) == (Verdict.REPLAY, {"ok": True})
