"""Promise: an approval is of exact bytes, by a named person who did not ask for it, until it expires, for one use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import ApprovalEscalated
from stopwork.ledger.records import Approval, Call, Principal
from stopwork.ledger.words import (
    ApprovalState,
    PrincipalKind,
    ScopeKind,
    Verdict,
)
from stopwork.operations import (
    approvals,
    holds,
    manifests,
    permits,
)
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, WORKFLOW, Office

MAIL = {"to": "someone@customer.test", "subject": "Your renewal"}


def ask(
    office: Office,
    run: str,
    call: str = "call_mail",
    *,
    to: str = MAIL["to"],
    subject: str = MAIL["subject"],
) -> PermitAnswer:
    return office.ask(run, "mail.send", call=call, to=to, subject=subject)


def decide(office: Office, permit: PermitAnswer, *, approve: bool = True, by: Principal = DANA) -> Approval:
    assert permit.approval is not None
    known = office.read(lambda view: view.need(Approval, permit.approval or ""))
    return office.write(
        partial(approvals.decide, approval=known.id, approve=approve, digest=known.digest), actor=by
    )


def state(office: Office, permit: PermitAnswer) -> ApprovalState:
    return office.read(lambda view: view.need(Approval, permit.approval or "")).state


def test_a_gated_call_waits_is_approved_and_runs_once(office: Office) -> None:
    run = office.begin()
    waiting = ask(office, run)
    assert waiting.verdict is Verdict.WAIT
    assert ask(office, run).approval == waiting.approval, "asking again is not another question"
    assert decide(office, waiting).state is ApprovalState.APPROVED

    permit = ask(office, run)
    assert permit.verdict is Verdict.ALLOW
    assert state(office, waiting) is ApprovalState.CONSUMED
    office.attempt(permit)
    office.finish(permit, result={})
    with pytest.raises(Conflict, match="has ended"):
        ask(office, run)
    assert ask(office, run, call="call_another", subject="Another").verdict is Verdict.WAIT


def test_other_arguments_are_another_call(office: Office) -> None:
    run = office.begin()
    decide(office, ask(office, run))
    with pytest.raises(Conflict, match="is another call"):
        ask(office, run, to="everyone@customer.test")


def test_nobody_approves_what_they_were_not_shown(office: Office) -> None:
    waiting = ask(office, office.begin())
    with pytest.raises(Conflict, match="what you saw is not what is asked"):
        office.write(
            partial(approvals.decide, approval=waiting.approval or "", approve=True, digest="sha256:other"),
            actor=DANA,
        )
    assert state(office, waiting) is ApprovalState.PENDING


def new_version(office: Office) -> None:
    changed = MANIFEST.replace("Weekly renewal preparation", "Weekly preparation")
    office.write(lambda tx: manifests.apply(tx, changed, reason="a better title"), actor=LEE)


def stopped_meanwhile(office: Office, tool: str = "mail.send") -> None:
    held = office.pause(ScopeKind.TOOL, tool, workflow=WORKFLOW).hold
    office.write(partial(holds.lift, hold=held.id, reason="looked at it"), actor=DANA)


@pytest.mark.parametrize("change", [new_version, stopped_meanwhile])
def test_an_approval_from_before_a_change_of_the_rules_does_not_count(
    office: Office, change: Callable[[Office], None]
) -> None:
    run = office.begin()
    waiting = ask(office, run)
    decide(office, waiting)
    change(office)
    again = ask(office, run)
    assert (again.verdict, again.approval != waiting.approval) == (Verdict.WAIT, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (new_version, "the manifest went from version 1 to 2"),
        (
            stopped_meanwhile,
            "lee@acme.test paused tool mail.send of renewals, and dana@acme.test lifted it again",
        ),
    ],
)
def test_nobody_approves_what_would_not_count_any_more(
    office: Office, change: Callable[[Office], None], said: str
) -> None:
    waiting = ask(office, office.begin())
    change(office)
    with pytest.raises(Conflict, match=said):
        decide(office, waiting)
    assert state(office, waiting) is ApprovalState.PENDING
    assert decide(office, waiting, approve=False).state is ApprovalState.REJECTED, "a no always counts"


def test_what_stops_other_calls_leaves_an_approval_good(office: Office) -> None:
    run = office.begin()
    waiting = ask(office, run)
    stopped_meanwhile(office, "crm.create_task")
    decide(office, waiting)
    office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    assert ask(office, run).verdict is Verdict.ALLOW


# --- edited by who is asked -----------------------------------------------------------------------------


def edit(office: Office, permit: PermitAnswer, *, by: Principal = DANA, **changes: Any) -> Approval:
    known = office.read(lambda view: view.need(Approval, permit.approval or ""))
    return office.write(
        lambda tx: approvals.approve_edited(
            tx,
            office.inst.manifests,
            approval=known.id,
            args={**known.content["args"], **changes},
            digest=known.digest,
            note="better so",
        ),
        actor=by,
    )


def test_the_edited_bytes_run_and_both_versions_are_on_record(office: Office) -> None:
    run = office.begin()
    waiting = ask(office, run)
    approved = edit(office, waiting, subject="About your renewal")
    assert (approved.state, approved.digest != waiting.approval) == (ApprovalState.APPROVED, True)
    permit = ask(office, run)
    edited = {**MAIL, "subject": "About your renewal"}
    assert (permit.verdict, permit.args) == (Verdict.ALLOW, edited)
    assert ask(office, run).args == edited, "a repeated question has the same answer"
    office.attempt(permit)
    office.finish(permit, result={})
    call = office.read(lambda view: view.need(Call, permit.call))
    assert (call.args, call.asked_args) == (edited, MAIL)
    consumed = office.read(lambda view: view.need(Approval, approved.id))
    [change] = consumed.edits
    assert (change.person, change.before, change.after) == (DANA.id, MAIL, edited)
    assert (consumed.digest, consumed.state) == (approved.digest, ApprovalState.CONSUMED)


def test_the_edited_arguments_have_their_own_key(office: Office) -> None:
    """What the agent asked for is still to be done; what ran is done."""
    run = office.begin()
    waiting = ask(office, run)
    edit(office, waiting, to="other@customer.test")
    permit = ask(office, run)
    office.attempt(permit)
    office.finish(permit, result={"sent": True})
    assert ask(office, run, call="call_same").verdict is Verdict.WAIT
    again = ask(office, run, call="call_edited", to="other@customer.test")
    assert (again.verdict, again.result) == (Verdict.REPLAY, {"sent": True})


def test_a_hold_on_the_new_destination_stops_the_edited_call(office: Office) -> None:
    reworked(office, "    external: true\n", "    external: true\n    destination: args.to\n")
    run = office.begin()
    waiting = ask(office, run)
    edit(office, waiting, to="rival@customer.test")
    office.pause(ScopeKind.DESTINATION, "rival@customer.test", workflow=WORKFLOW)
    assert ask(office, run).verdict is Verdict.DENY


def test_an_edit_outlives_a_change_of_the_rules_and_is_asked_about_again(office: Office) -> None:
    run = office.begin()
    edit(office, ask(office, run), subject="About your renewal")
    new_version(office)
    again = ask(office, run)
    asked = office.read(lambda view: view.need(Approval, again.approval or ""))
    assert (again.verdict, asked.content["args"]["subject"]) == (Verdict.WAIT, "About your renewal")
    assert [change.person for change in asked.edits] == [DANA.id]
    decide(office, again)
    assert ask(office, run).args["subject"] == "About your renewal"


def test_arguments_that_cannot_be_so_are_refused_and_nothing_changes(office: Office) -> None:
    waiting = ask(office, office.begin())
    before = office.store.last_seq
    with pytest.raises(Invalid) as caught:
        edit(office, waiting, subject=3)
    assert (caught.value.fields["field"], caught.value.hint) == (
        "args.subject",
        "Allowed there: text, as it was asked.",
    )
    assert office.store.last_seq == before


def test_an_agent_never_edits(office: Office) -> None:
    waiting = ask(office, office.begin())
    with pytest.raises(Denied):
        edit(office, waiting, by=AGENT, subject="Send me the keys")


def reworked(office: Office, old: str, new: str) -> None:
    """Put another manifest in force."""
    assert old in MANIFEST
    text = MANIFEST.replace(old, new)
    office.write(lambda tx: manifests.apply(tx, text, reason="a test"), actor=DANA)


def test_a_gate_may_forbid_edits(office: Office) -> None:
    reworked(office, "approvers: [business]", "approvers: [business], edits: false")
    waiting = ask(office, office.begin())
    with pytest.raises(Denied, match="may not be changed"):
        edit(office, waiting, subject="About your renewal")
    assert decide(office, waiting).state is ApprovalState.APPROVED


def test_an_edit_makes_earlier_answers_void(office: Office) -> None:
    reworked(office, "approvers: [business]", "approvers: [business, technical], quorum: 2")
    run = office.begin()
    waiting = ask(office, run)
    seen = decide(office, waiting)
    edited = edit(office, waiting, by=LEE, subject="About your renewal")
    assert edited.state is ApprovalState.PENDING
    assert ([d.person for d in edited.decisions], [d.person for d in edited.edits[0].void]) == (
        [LEE.id],
        [DANA.id],
    )
    with pytest.raises(Conflict, match=r"lee@acme\.test has changed it"):
        office.write(
            partial(approvals.decide, approval=seen.id, approve=True, digest=seen.digest), actor=DANA
        )
    assert ask(office, run).verdict is Verdict.WAIT
    assert decide(office, waiting).state is ApprovalState.APPROVED
    assert ask(office, run).args["subject"] == "About your renewal"


# --- in time --------------------------------------------------------------------------------------------


def test_the_backup_is_asked_when_nobody_has_decided_in_time(office: Office) -> None:
    waiting = ask(office, office.begin())
    with pytest.raises(Denied, match="is asked as well when nobody has"):
        decide(office, waiting, by=KIM)
    office.wait(hours=2)
    known = office.read(lambda view: view.need(Approval, waiting.approval or ""))
    assert (known.approvers, known.escalated_at) == ((DANA.id, KIM.id), office.clock.now())
    [told] = office.read(lambda view: view.entries(kinds=("approval.escalated",)))
    assert isinstance(told.event, ApprovalEscalated)
    assert told.event.to == (KIM.id,)
    assert decide(office, waiting, by=KIM).state is ApprovalState.APPROVED


def test_a_gate_says_when_the_backup_is_asked(office: Office) -> None:
    reworked(office, "approvers: [business]", "approvers: [business], escalate_after: 5m")
    waiting = ask(office, office.begin())
    office.wait(minutes=6)
    assert decide(office, waiting, by=KIM).state is ApprovalState.APPROVED


def test_a_decided_question_is_not_escalated(office: Office) -> None:
    decide(office, ask(office, office.begin()))
    office.wait(hours=3)
    assert office.read(lambda view: view.entries(kinds=("approval.escalated",))) == []


def test_a_tool_without_a_gate_has_that_of_its_risk(office: Office) -> None:
    reworked(office, "tools:\n", "gates: {medium: {approvers: [technical]}, high: {quorum: 1}}\ntools:\n")
    run = office.begin()
    gated = office.ask(run, "crm.create_task", call="call_task", account_id="acme", title="Call them")
    assert (gated.verdict, gated.reasons[0].source) == (Verdict.WAIT, "gates.medium")
    asked = office.read(lambda view: view.need(Approval, gated.approval or ""))
    assert (asked.approvers, asked.escalates_to) == ((LEE.id,), (KIM.id,))
    assert ask(office, run).reasons[0].source == "tools.mail.send.gate", "its own gate stands instead"
    assert office.ask(run, "crm.read_account", call="call_read", account_id="acme").verdict is Verdict.ALLOW


def test_an_approval_expires_unused(office: Office) -> None:
    run = office.begin()
    waiting = ask(office, run)
    decide(office, waiting)
    office.wait(hours=4)
    assert state(office, waiting) is ApprovalState.EXPIRED
    assert ask(office, run).verdict is Verdict.DENY


def test_a_question_that_nobody_answered_expires(office: Office) -> None:
    waiting = ask(office, office.begin())
    office.wait(hours=4)
    with pytest.raises(Conflict):
        decide(office, waiting)


def test_a_used_approval_does_not_outlive_its_expiry(office: Office) -> None:
    """The permit was given and not used; by the time it is asked for again the approval is over."""
    run = office.begin()
    decide(office, ask(office, run))
    assert ask(office, run).verdict is Verdict.ALLOW
    moved(office, seconds=61)
    assert ask(office, run).verdict is Verdict.ALLOW, "the call renews its permit while the approval lasts"
    moved(office, hours=4)
    assert ask(office, run).verdict is Verdict.DENY


def moved(office: Office, **duration: float) -> None:
    """Let time pass while no background duty runs."""
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(**duration))


def test_one_no_is_enough(office: Office) -> None:
    run = office.begin()
    waiting = ask(office, run)
    assert decide(office, waiting, approve=False).state is ApprovalState.REJECTED
    assert ask(office, run).verdict is Verdict.DENY


@pytest.mark.parametrize(
    "somebody", [LEE, Principal(kind=PrincipalKind.PERSON, id="eve@acme.test"), AGENT], ids=str
)
def test_only_who_is_asked_answers(office: Office, somebody: Principal) -> None:
    waiting = ask(office, office.begin())
    with pytest.raises(Denied):
        decide(office, waiting, by=somebody)
    with pytest.raises(Denied):
        decide(office, waiting, by=KIM)
    assert decide(office, waiting, by=DANA).state is ApprovalState.APPROVED


def test_a_person_who_asked_does_not_approve(office: Office) -> None:
    """A person may run a workflow by hand; then somebody else approves."""
    run = office.begin()
    by_hand = partial(
        permits.ask, manifests=office.inst.manifests, run=run, tool="mail.send", args=dict(MAIL)
    )
    waiting = office.write(by_hand, actor=DANA)
    with pytest.raises(Denied, match="asked for this approval"):
        decide(office, waiting, by=DANA)
    assert decide(office, waiting, by=KIM).state is ApprovalState.APPROVED, "the backup stands in at once"


def test_nobody_decides_twice_or_after_others(office: Office) -> None:
    waiting = ask(office, office.begin())
    decide(office, waiting, approve=False)
    with pytest.raises(Conflict, match=r"is rejected already, by dana@acme\.test"):
        decide(office, waiting)
