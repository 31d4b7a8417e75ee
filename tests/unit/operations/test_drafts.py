"""Contract of drafts: a call that was stored instead of run runs once, exactly as a person released it, or never."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.records import Approval, Draft, Principal, Signal
from stopwork.ledger.words import (
    ApprovalState,
    DraftState,
    HoldMode,
    Outcome,
    PrincipalKind,
    ScopeKind,
    Verdict,
)
from stopwork.operations import approvals, holds, manifests, permits, runs, settling
from stopwork.operations.approval_evidence import evidence
from tests.support.drafting import (
    TASK,
    approval_of,
    ask,
    carry,
    claim,
    drafted,
    edit,
    lift,
    look,
    release,
)
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, WORKFLOW, Office

STRANGER = Principal(kind=PrincipalKind.PERSON, id="stranger@acme.test")


# --- released and carried out ----------------------------------------------------------------------


def test_a_released_draft_runs_once_after_its_run_has_ended(office: Office) -> None:
    draft = release(office, drafted(office))
    assert draft.state is DraftState.RELEASED
    [claimed] = claim(office)
    carry(office, claimed)
    done = look(office, draft.id)
    assert (done.state, claim(office)) == (DraftState.DONE, ())
    assert list(office.crm.tasks.values()) == [TASK]
    with pytest.raises(Conflict, match="done and cannot be released"):
        release(office, done)


def test_what_people_have_released_raises_no_alarm(office: Office) -> None:
    release(office, drafted(office))
    carry(office, claim(office)[0])
    office.wait(minutes=5)
    assert office.read(lambda view: view.count(Signal)) == 0


def test_nothing_runs_that_nobody_has_released(office: Office) -> None:
    draft = drafted(office)
    assert claim(office) == ()
    with pytest.raises(Conflict, match="is open, not released"):
        office.write(
            lambda tx: permits.ask(
                tx,
                office.inst.manifests,
                run=draft.run,
                tool=draft.tool,
                args=draft.args,
                call="call_forged",
                draft=draft.id,
            )
        )


def test_the_drafted_call_itself_stays_what_it_was(office: Office) -> None:
    draft = release(office, drafted(office))
    carry(office, claim(office)[0])
    assert office.call(draft.id).verdict is Verdict.DRAFT
    assert draft.release is not None
    assert office.call(draft.release.call).draft == draft.id


def test_a_release_is_an_approval_of_exact_bytes_that_is_consumed_once(office: Office) -> None:
    draft = release(office, drafted(office))
    assert draft.release is not None
    [claimed] = claim(office)
    with pytest.raises(Conflict, match="not what was released"):
        ask(office, claimed, title="Something else")
    carry(office, claimed)
    approval = office.read(lambda view: view.need(Approval, approval_of(draft)))
    assert (approval.state, approval.consumed_by) == (ApprovalState.CONSUMED, draft.release.call)


def test_edited_arguments_run_and_both_versions_stay_on_record(office: Office) -> None:
    draft = edit(office, drafted(office), title="Call before May")
    assert (draft.asked["title"], draft.args["title"]) == (TASK["title"], "Call before May")
    release(office, draft, digest=draft.digest)
    permit = carry(office, claim(office)[0])
    assert permit.args["title"] == "Call before May"
    assert [task["title"] for task in office.crm.tasks.values()] == ["Call before May"]
    [change] = look(office, draft.id).edits
    assert (change.person, change.before["title"]) == (DANA.id, TASK["title"])


def test_an_edited_draft_is_still_the_work_that_the_agent_asked_for(office: Office) -> None:
    draft = edit(office, drafted(office), title="Call before May")
    release(office, draft)
    carry(office, claim(office)[0])
    lift(office)
    again = office.ask(office.begin(), "crm.create_task", **TASK)
    assert again.verdict is Verdict.DENY
    assert "other arguments" in again.reasons[-1].text


# --- who may ---------------------------------------------------------------------------------------


def test_an_agent_releases_nothing(office: Office) -> None:
    with pytest.raises(Denied, match="cannot release a draft"):
        release(office, drafted(office), actor=AGENT)


@pytest.mark.parametrize("actor", [LEE, STRANGER], ids=str)
def test_only_those_who_would_be_asked_release(office: Office, actor: Principal) -> None:
    draft = drafted(office)
    with pytest.raises(Denied, match="not an approver"):
        release(office, draft, actor=actor)
    assert look(office, draft.id).state is DraftState.OPEN
    assert release(office, draft, actor=KIM).state is DraftState.RELEASED


def test_nobody_releases_what_they_asked_for(office: Office) -> None:
    office.pause(ScopeKind.WORKFLOW, WORKFLOW, mode=HoldMode.DRAFT_ONLY)
    run = office.write(
        lambda tx: runs.start(tx, office.inst.manifests, workflow=WORKFLOW, trigger="manual"), actor=DANA
    ).run
    asked = office.write(
        lambda tx: permits.ask(tx, office.inst.manifests, run=run, tool="crm.create_task", args=TASK),
        actor=DANA,
    )
    with pytest.raises(Denied, match="asked for this call"):
        release(office, look(office, asked.call))


def test_an_agent_of_another_workflow_claims_nothing(office: Office) -> None:
    release(office, drafted(office))
    other = Principal(kind=PrincipalKind.AGENT, id="invoices")
    with pytest.raises(Denied, match="speaks for invoices"):
        claim(office, actor=other)


# --- every control decides again -------------------------------------------------------------------


def test_a_hold_that_blocks_refuses_the_release_and_names_itself(office: Office) -> None:
    draft = drafted(office)
    office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    with pytest.raises(Conflict, match="it would not run: held by"):
        release(office, draft)


def test_a_hold_after_the_release_stops_it_and_opens_the_draft_again(office: Office) -> None:
    draft = release(office, drafted(office))
    office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    [claimed] = claim(office)
    assert ask(office, claimed).verdict is Verdict.DENY
    back = look(office, draft.id)
    assert back.state is DraftState.OPEN
    assert "held by" in back.note
    assert office.crm.tasks == {}


def test_a_manifest_applied_after_the_release_makes_it_worth_nothing(office: Office) -> None:
    draft = release(office, drafted(office))
    changed = MANIFEST.replace("Weekly renewal preparation", "Renewals")
    office.write(lambda tx: manifests.apply(tx, changed, reason="a new name"), actor=DANA)
    assert ask(office, claim(office)[0]).verdict is Verdict.DRAFT
    assert look(office, draft.id).state is DraftState.OPEN


def test_the_manifests_conditions_hold_for_edited_arguments(office: Office) -> None:
    draft = drafted(office, "crm.set_discount", percent=10)
    with pytest.raises(Invalid, match="the manifest denies these arguments"):
        edit(office, draft, percent=1)
    with pytest.raises(Invalid, match=r"args\.percent: it is text"):
        edit(office, draft, percent="lots")
    with pytest.raises(Invalid, match=r"args\.colour: the tool is not called with it"):
        edit(office, draft, colour="red")


def test_where_a_gate_asks_its_approvers_release(office: Office) -> None:
    draft = drafted(office, "mail.send", to="someone@example.test")
    released = release(office, draft)
    approval = office.read(lambda view: view.need(Approval, approval_of(released)))
    assert approval.expires_at - approval.requested_at == timedelta(hours=4)
    carry(office, claim(office)[0])


def test_where_a_gate_wants_two_the_second_agrees_on_the_approval(office: Office) -> None:
    two = MANIFEST.replace("approvers: [business]", "approvers: [business, technical], quorum: 2")
    office.write(lambda tx: manifests.apply(tx, two, reason="two people"), actor=DANA)
    released = release(office, drafted(office, "mail.send", to="someone@example.test"))
    assert claim(office) == ()
    office.write(lambda tx: approvals.decide(tx, approval=approval_of(released), approve=True), actor=LEE)
    assert len(claim(office)) == 1


def test_a_release_that_another_approver_rejects_opens_the_draft_again(office: Office) -> None:
    two = MANIFEST.replace("approvers: [business]", "approvers: [business, technical], quorum: 2")
    office.write(lambda tx: manifests.apply(tx, two, reason="two people"), actor=DANA)
    released = release(office, drafted(office, "mail.send", to="someone@example.test"))
    office.write(
        lambda tx: approvals.decide(tx, approval=approval_of(released), approve=False, note="No."),
        actor=LEE,
    )
    office.wait(seconds=1)
    back = look(office, released.id)
    assert (back.state, back.note) == (DraftState.OPEN, f"{LEE} rejected its release")


@pytest.fixture
def half_released(office: Office) -> Draft:
    """A draft that two people have to release, and one of them has."""
    two = MANIFEST.replace("approvers: [business]", "approvers: [business, technical], quorum: 2")
    office.write(lambda tx: manifests.apply(tx, two, reason="two people"), actor=DANA)
    return release(office, drafted(office, "mail.send", to="someone@example.test"))


def test_the_second_person_sees_exactly_what_the_first_released(office: Office, half_released: Draft) -> None:
    shown = office.read(
        lambda view: evidence(
            view, office.inst.manifests, office.inst.systems, approval=approval_of(half_released)
        )
    )
    assert shown.will_run is not None
    assert (shown.will_run.args, shown.stale) == (half_released.args, ())
    assert shown.origins


def test_a_half_release_that_a_hold_has_met_is_worth_nothing_and_opens_the_draft_again(
    office: Office, half_released: Draft
) -> None:
    held = office.pause(ScopeKind.TOOL, "mail.send").hold
    office.write(lambda tx: holds.lift(tx, hold=held.id, reason="a drill"), actor=KIM)
    with pytest.raises(Conflict, match="lifted it again"):
        office.write(
            lambda tx: approvals.decide(tx, approval=approval_of(half_released), approve=True), actor=LEE
        )
    office.wait(seconds=1)
    back = look(office, half_released.id)
    assert back.state is DraftState.OPEN
    assert back.note.startswith("before all had agreed to its release")
    assert (
        office.read(lambda view: view.need(Approval, approval_of(half_released))).state
        is ApprovalState.EXPIRED
    )


def test_who_wants_to_release_it_again_is_sent_to_the_approval(office: Office, half_released: Draft) -> None:
    with pytest.raises(Conflict) as caught:
        release(office, half_released, actor=LEE)
    assert approval_of(half_released) in caught.value.hint


# --- several guards, and guards that die -----------------------------------------------------------


def test_two_guards_never_have_the_same_draft(office: Office) -> None:
    release(office, drafted(office))
    [claimed] = claim(office, "guard-1")
    assert claim(office, "guard-2") == ()
    assert claim(office, "guard-1") == (claimed,)
    with pytest.raises(Conflict, match="claimed by another guard"):
        ask(office, claimed, "guard-2")


def test_a_guard_that_dies_before_its_permit_keeps_nobody_from_the_work(office: Office) -> None:
    release(office, drafted(office))
    claim(office, "guard-1")
    office.wait(seconds=61)
    [claimed] = claim(office, "guard-2")
    carry(office, claimed, "guard-2")


def test_a_guard_that_dies_with_a_permit_unused_leaves_a_failure_that_may_be_released_again(
    office: Office,
) -> None:
    draft = release(office, drafted(office))
    ask(office, claim(office)[0])
    office.wait(minutes=4)
    failed = look(office, draft.id)
    assert (failed.state, claim(office, "guard-2")) == (DraftState.FAILED, ())
    assert "never started" in failed.note
    release(office, failed)
    carry(office, claim(office, "guard-2")[0], "guard-2")


def test_a_guard_that_dies_halfway_leaves_an_unknown_outcome_and_nothing_runs_again(office: Office) -> None:
    draft = release(office, drafted(office))
    permit = ask(office, claim(office)[0])
    office.attempt(permit, session="guard-1")
    office.wait(minutes=4)
    assert look(office, draft.id).state is DraftState.UNKNOWN
    assert claim(office, "guard-2") == ()
    with pytest.raises(Conflict, match="unknown and cannot be released"):
        release(office, draft)
    settling.settle(office.inst, DANA, call=permit.call, outcome=Outcome.SUCCEEDED, note="I looked.")
    assert look(office, draft.id).state is DraftState.DONE


def test_no_guard_comes_and_the_release_runs_out(office: Office) -> None:
    draft = release(office, drafted(office))
    office.wait(days=8)
    back = look(office, draft.id)
    assert (back.state, back.note) == (DraftState.OPEN, "no guard carried it out in time")
