"""Contract: a draft that was discarded, replaced or done otherwise never runs, also not as the call it was; of the same work one is done."""

from __future__ import annotations

import pytest

from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import Draft
from stopwork.ledger.words import (
    DraftState,
    Verdict,
)
from stopwork.operations import drafts, manifests
from stopwork.operations.draft_standing import standing
from tests.support.drafting import (
    TASK,
    ask,
    asked_for,
    claim,
    drafted,
    edit,
    lift,
    look,
    release,
)
from tests.support.office import DANA, LEE, MANIFEST, Office

# --- set aside -------------------------------------------------------------------------------------


def test_a_discarded_draft_never_runs(office: Office) -> None:
    draft = release(office, drafted(office))
    [claimed] = claim(office)
    office.write(lambda tx: drafts.discard(tx, draft=draft.id, reason="The customer has left."), actor=LEE)
    with pytest.raises(Conflict, match="is discarded, not released"):
        ask(office, claimed)
    assert look(office, draft.id).note == "The customer has left."


def again(office: Office, draft: Draft) -> PermitAnswer:
    """The agent asks for the call that was drafted once more."""
    return office.ask(draft.run, draft.tool, call=draft.id, **draft.asked)


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize("lifted", [True, False], ids=["the hold is lifted", "the hold is there"])
def test_a_discarded_draft_does_not_run_by_itself_either(office: Office, mode: str, lifted: bool) -> None:
    if mode == "observe":
        office.write(
            lambda tx: manifests.apply(tx, MANIFEST + "mode: observe\n", reason="to see"), actor=DANA
        )
    draft = asked_for(office)
    office.write(lambda tx: drafts.discard(tx, draft=draft.id, reason="The customer has left."), actor=LEE)
    if lifted:
        lift(office)
    for _ in range(2):
        answer = again(office, draft)
        assert answer.verdict is Verdict.DENY
        assert "lee@acme.test discarded its draft: The customer has left." in [
            each.text for each in answer.reasons
        ]
    assert look(office, draft.id).state is DraftState.DISCARDED
    assert office.do(draft.run, draft.tool, nth=2, **TASK).verdict is (
        Verdict.ALLOW if lifted else Verdict.DRAFT
    ), "a call of its own"


def test_what_ran_edited_does_not_run_as_it_was_asked(office: Office) -> None:
    """The edit gives it another key, so no key tells that it is the same work."""
    args = {"account_id": "acme", "renewal": "2026-09-01"}
    draft = asked_for(office, "crm.update_account", **args)
    release(office, edit(office, draft, account_id="globex"))
    [claimed] = claim(office)
    permit = ask(office, claimed)
    lift(office)
    assert again(office, draft).verdict is Verdict.DENY, "it is under way"
    office.attempt(permit, session="guard-1")
    office.finish(permit, result=office.crm.run(claimed.tool, permit.args), session="guard-1")
    assert look(office, draft.id).state is DraftState.DONE
    answer = again(office, draft)
    assert answer.verdict is Verdict.DENY
    assert f"{claimed.call} has done what a person released in its place" in [
        each.text for each in answer.reasons
    ]


def test_what_is_being_carried_out_is_not_discarded(office: Office) -> None:
    draft = release(office, drafted(office))
    ask(office, claim(office)[0])
    with pytest.raises(Conflict, match="is being carried out"):
        office.write(lambda tx: drafts.discard(tx, draft=draft.id, reason="Stop."), actor=LEE)


def test_the_same_work_drafted_again_takes_the_older_drafts_place(office: Office) -> None:
    first = drafted(office)
    second = drafted(office)
    older = look(office, first.id)
    assert (older.state, older.superseded_by) == (DraftState.SUPERSEDED, second.id)


def test_the_same_work_drafted_again_while_it_is_released_waits_for_nobody(office: Office) -> None:
    first = release(office, drafted(office))
    assert first.release is not None
    again = drafted(office)
    assert look(office, first.id).state is DraftState.RELEASED
    assert (again.state, again.superseded_by) == (DraftState.SUPERSEDED, first.release.call)
    [claimed] = claim(office)
    assert claimed.draft == first.id


def test_of_two_drafts_of_the_same_work_one_is_released(office: Office) -> None:
    """Other arguments, the same key: the newer says that the older is released, and waits until that is discarded."""
    renewal = {"account_id": "acme", "renewal": "2026-06-02"}
    first = release(office, drafted(office, "crm.update_account", **renewal))
    second = drafted(office, "crm.update_account", **renewal, note="another")
    assert second.state is DraftState.OPEN
    stands = office.read(
        lambda view: standing(view, office.inst.manifests, {}, draft=second.id, now=office.clock.now())
    )
    assert stands.against[0] == f"the same work has been released already, as draft {first.id}"
    with pytest.raises(Conflict, match="released already"):
        release(office, second)
    office.write(lambda tx: drafts.discard(tx, draft=first.id, reason="The newer is right."), actor=LEE)
    assert release(office, second).state is DraftState.RELEASED


def test_work_that_was_done_meanwhile_closes_its_draft(office: Office) -> None:
    draft = drafted(office)
    lift(office)
    done = office.do(office.begin(), "crm.create_task", **TASK)
    assert done.verdict is Verdict.ALLOW
    with pytest.raises(Conflict, match="has done this already"):
        release(office, draft)
    office.wait(seconds=1)
    closed = look(office, draft.id)
    assert (closed.state, closed.superseded_by) == (DraftState.SUPERSEDED, done.call)


def test_somebody_elses_edit_is_seen_before_it_is_released(office: Office) -> None:
    draft = drafted(office)
    edit(office, draft, actor=LEE, title="Call before May")
    with pytest.raises(Conflict, match="what you saw is not what would run now"):
        release(office, draft, digest=draft.digest)


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_reason_is_needed(office: Office, reason: str) -> None:
    draft = drafted(office)
    with pytest.raises(Invalid, match="a reason is needed"):
        office.write(
            lambda tx: drafts.release(tx, office.inst.manifests, draft=draft.id, reason=reason), actor=DANA
        )
