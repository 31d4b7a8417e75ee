"""Contract of reconciling: a call whose end nobody saw is settled by what its system shows, with what that was on record, as a person
would settle it; not before it has rested, and never where another call has been there since.
"""

from __future__ import annotations

from pathlib import Path

from stopwork.control.protocol import PermitAnswer
from stopwork.ledger.records import Effect
from stopwork.ledger.words import Outcome, Verdict
from stopwork.storage.fsck import fsck
from tests.support.office import Office


def lost(office: Office, *, done: bool) -> PermitAnswer:
    """Begin an update, do it or not, and never learn how it ended."""
    permit = update(office)
    office.attempt(permit)
    if done:
        office.crm.run("crm.update_account", permit.args)
    office.finish(permit, Outcome.UNKNOWN)
    return permit


def update(office: Office) -> PermitAnswer:
    return office.ask(office.begin("monday"), "crm.update_account", account_id="acme", renewal="2025-01-01")


def test_what_took_effect_is_done_and_says_how_that_is_known(office: Office) -> None:
    permit = lost(office, done=True)
    office.wait(minutes=11)
    known = office.call(permit.call)
    assert (known.outcome, known.reconciled) == (Outcome.SUCCEEDED, True)
    assert known.error == (
        "reconciled by reconciling: crm/account/acme now holds what the call was to leave there, and did not before"
    )
    again = update(office)
    assert (again.verdict, "reconciling settled it" in again.reasons[0].text) == (Verdict.DENY, True)
    [effect] = office.read(lambda view: view.find(Effect, call=permit.call, limit=10))
    assert (effect.before.content["renewal"], effect.after.content["renewal"]) == ("2026-06-01", "2025-01-01")
    assert fsck(office.store).clean


def test_what_did_not_may_be_tried_again(office: Office) -> None:
    permit = lost(office, done=False)
    office.wait(minutes=11)
    assert office.call(permit.call).outcome is Outcome.FAILED
    assert update(office).verdict is Verdict.ALLOW


def test_nothing_counts_before_the_call_has_rested(office: Office) -> None:
    permit = lost(office, done=False)
    office.wait(minutes=9)
    assert office.call(permit.call).outcome is Outcome.UNKNOWN
    office.crm.run("crm.update_account", permit.args)  # what was cut off arrives late
    office.wait(minutes=2)
    assert office.call(permit.call).outcome is Outcome.SUCCEEDED


def test_a_change_by_somebody_else_leaves_it_to_a_person(office: Office) -> None:
    permit = lost(office, done=False)
    office.crm.accounts["acme"]["owner"] = "kim"
    office.wait(days=30)
    assert office.call(permit.call).outcome is Outcome.UNKNOWN
    assert update(office).verdict is Verdict.DENY


def test_where_another_call_has_been_since_nothing_is_told(office: Office) -> None:
    permit = lost(office, done=True)
    office.do(office.begin("tuesday"), "crm.update_account", account_id="acme", renewal="2026-06-01")
    office.wait(days=1)
    assert office.call(permit.call).outcome is Outcome.UNKNOWN


def test_a_system_that_does_not_answer_is_asked_again_ever_more_rarely(office: Office) -> None:
    permit = lost(office, done=True)
    looks = []

    def fail(ref: object) -> None:
        looks.append(ref)
        raise OSError("the CRM is away")

    office.crm.before_read = fail
    for _ in range(60):
        office.wait(minutes=1)
    assert len(looks) == 3
    office.crm.before_read = lambda _ref: None
    office.wait(hours=1)
    assert office.call(permit.call).outcome is Outcome.SUCCEEDED


def test_a_call_with_no_connected_system_stays_for_a_person(tmp_path: Path) -> None:
    with Office(tmp_path, systems={}) as office:
        permit = lost(office, done=True)
        office.wait(days=1)
        assert office.call(permit.call).outcome is Outcome.UNKNOWN
