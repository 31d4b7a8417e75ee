"""Promise: an approval is of exact bytes, by a named person who did not ask for it, until it expires, for one use. An agent's credential
can approve, lift, sign, send, seal and declare nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import ApprovalEscalated
from stopwork.ledger.records import Approval, Call, Principal
from stopwork.ledger.words import (
    ApprovalState,
    ContainmentState,
    IncidentType,
    Outcome,
    PrincipalKind,
    ReenableCheck,
    Remedy,
    ScopeKind,
    Severity,
    Stage,
    Verdict,
)
from stopwork.operations import (
    approvals,
    audits,
    containment,
    credentials,
    drifting,
    evidence,
    holds,
    incidents,
    manifests,
    messages,
    outcomes,
    permits,
    plan_edits,
    planning,
    postmortems,
    preparedness,
    recovering,
    returning,
)
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, WORKFLOW, Office
from tests.support.trouble import Trouble

MAIL = {"to": "someone@customer.test", "subject": "Your renewal"}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path) as opened:
        yield opened


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


# --- what an agent's credential cannot do --------------------------------------------------------------


class Prepared:
    """An installation in which there is one of everything that somebody may decide about."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.trouble = Trouble(office)
        self.incident = self.trouble.incident
        self.manifests = office.inst.manifests
        self.waiting = ask(office, office.begin("tuesday"))
        self.in_flight = office.ask(office.begin("wednesday"), "crm.read_account", account_id="acme")
        self.hold = office.pause(ScopeKind.TRIGGER, "manual", workflow=WORKFLOW).hold
        self.credential = office.write(
            partial(credentials.issue, principal=DANA, administrator=True),
            actor=Principal(kind=PrincipalKind.SYSTEM, id="setup"),
        ).credential
        self.item = self.trouble.checklist()[0]
        self.trouble.seal()
        self.trouble.audit()
        self.plan = self.trouble.propose()
        self.message = self.trouble.draft()[0]
        postmortem = {"summary": "it went wrong"}
        office.write(
            partial(postmortems.save, incident=self.incident, fields=postmortem, follow_ups=()), actor=LEE
        )


Deed = Callable[[Prepared], Any]


def by_agent(operation: Callable[..., Any], **given: Callable[[Prepared], Any]) -> Deed:
    """Answer the operation, asked for by the agent with these arguments."""

    def deed(p: Prepared) -> Any:
        arguments = {name: value(p) for name, value in given.items()}
        return p.office.write(lambda tx: operation(tx, **arguments), actor=AGENT)

    return deed


def incident(p: Prepared) -> str:
    return p.incident


def rules(p: Prepared) -> Any:
    return p.manifests


def text(value: Any) -> Callable[[Prepared], Any]:
    return lambda _p: value


DEEDS: dict[str, Deed] = {
    "approve a call": by_agent(approvals.decide, approval=lambda p: p.waiting.approval, approve=text(True)),
    "reject a call": by_agent(approvals.decide, approval=lambda p: p.waiting.approval, approve=text(False)),
    "lift a hold": by_agent(holds.lift, hold=lambda p: p.hold.id, reason=text("all is well")),
    "apply a manifest": by_agent(
        manifests.apply, text=text(MANIFEST.replace("gate:", "#")), reason=text("x")
    ),
    "settle a call": by_agent(
        outcomes.reconcile, call=lambda p: p.in_flight.call, outcome=text(Outcome.SUCCEEDED), note=text("x")
    ),
    "open an incident": by_agent(
        incidents.open_by_hand, manifests=rules, workflow=text(WORKFLOW), type=text(IncidentType.TOOL_MISUSE)
    ),
    "change the severity": by_agent(
        incidents.change_severity,
        manifests=rules,
        incident=incident,
        severity=text(Severity.SEV0),
        reason=text("x"),
    ),
    "write a note": by_agent(incidents.add_note, incident=incident, text=text("all is well")),
    "record the root cause": by_agent(incidents.record_root_cause, incident=incident, text=text("people")),
    "hand over a role": by_agent(
        incidents.hand_over, incident=incident, role=text("commander"), to=text("eve@acme.test")
    ),
    "schedule an update": by_agent(
        incidents.schedule_update, incident=incident, at=lambda p: p.office.clock.now().replace(year=2030)
    ),
    "seal the evidence": lambda p: evidence.seal(p.office.inst, AGENT, incident=p.incident),
    "take the evidence out": lambda p: evidence.fetch(p.office.inst, AGENT, incident=p.incident),
    "propose containment": by_agent(containment.checklist, manifests=rules, incident=incident),
    "record containment": by_agent(
        containment.record,
        item=lambda p: p.item.id,
        state=text(ContainmentState.DONE),
        verified_how=text("trust me"),
    ),
    "complete the audit": by_agent(audits.complete, manifests=rules, incident=incident),
    "propose a recovery": by_agent(
        planning.propose, manifests=rules, systems=lambda p: p.office.inst.systems, incident=incident
    ),
    "approve a recovery": by_agent(
        planning.approve, plan=lambda p: p.plan.id, digest=lambda p: p.plan.digest
    ),
    "approve a recovery by a rule": by_agent(
        planning.approve, plan=lambda p: p.plan.id, digest=lambda p: p.plan.digest, where=text("true")
    ),
    "edit a recovery": lambda p: plan_edits.edit(
        p.office.inst,
        AGENT,
        plan=p.plan.id,
        item=p.trouble.items(p.plan)["acme"].id,
        digest=p.plan.digest,
        reason="x",
        remedy=Remedy.TELL,
    ),
    "take an edit of a recovery back": by_agent(
        plan_edits.take_back,
        plan=lambda p: p.plan.id,
        item=lambda p: p.trouble.items(p.plan)["acme"].id,
        digest=lambda p: p.plan.digest,
        reason=text("x"),
    ),
    "look at an incident's objects": lambda p: drifting.look_at_objects(
        p.office.inst, AGENT, incident=p.incident
    ),
    "run a recovery": lambda p: (
        p.trouble.approve(p.plan),
        recovering.run(p.office.inst, AGENT, plan=p.plan.id),
    ),
    "take a recovery back": by_agent(planning.propose_reversal, plan=lambda p: p.plan.id),
    "draft messages": by_agent(messages.draft, manifests=rules, incident=incident),
    "edit a message": by_agent(
        messages.edit,
        message=lambda p: p.message.id,
        recipients=text(("eve@acme.test",)),
        subject=text("All is well"),
        body=text("Nothing happened."),
    ),
    "approve a message": by_agent(
        messages.approve, message=lambda p: p.message.id, digest=lambda p: p.message.digest
    ),
    "discard a message": by_agent(messages.discard, message=lambda p: p.message.id, reason=text("x")),
    "send a message": lambda p: messages.send(p.office.inst, AGENT, message=p.message.id),
    "write the postmortem": by_agent(
        postmortems.save, incident=incident, fields=text({}), follow_ups=text(())
    ),
    "close the postmortem": by_agent(postmortems.close, manifests=rules, incident=incident),
    "answer a check": by_agent(
        returning.answer,
        manifests=rules,
        incident=incident,
        check=text(ReenableCheck.TESTS_ADDED),
        note=text("x"),
    ),
    "raise a stage": by_agent(returning.raise_stage, manifests=rules, incident=incident),
    "lower a stage": by_agent(
        returning.change_stage, workflow=text(WORKFLOW), stage=text(Stage.READ_ONLY), reason=text("x")
    ),
    "close the incident": by_agent(returning.close, incident=incident, reason=text("all is well")),
    "review its preparedness": by_agent(preparedness.record, manifests=rules, workflow=text(WORKFLOW)),
    "make a credential": by_agent(credentials.issue, principal=text(AGENT)),
    "make a person's credential": by_agent(credentials.issue, principal=text(DANA)),
    "revoke a credential": by_agent(
        credentials.revoke, credential=lambda p: p.credential.id, reason=text("x")
    ),
}


@pytest.mark.parametrize("what", DEEDS)
def test_an_agent_cannot(office: Office, what: str) -> None:
    prepared = Prepared(office)
    before = office.store.last_seq
    with pytest.raises(Denied) as caught:
        DEEDS[what](prepared)
    assert caught.value.hint
    new = office.read(lambda view: [x for x in view.entries(after=before) if x.actor == AGENT])
    assert new == []
