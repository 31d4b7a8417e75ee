"""Promise: calls with one idempotency key take effect at most once, and so do the steps of a recovery. What may have happened is looked
at before anything is tried again.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.records import Image, ObjectRef, Observed
from stopwork.ledger.words import Operation, Outcome, ReasonKind, ScopeKind, Verdict
from stopwork.operations import approvals, holds, manifests, outcomes
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW, Office

ACME = ObjectRef(system="crm", type="account", id="acme")


def update(office: Office, run: str, renewal: str = "2025-01-01") -> PermitAnswer:
    return office.ask(run, "crm.update_account", account_id="acme", renewal=renewal)


def why(permit: PermitAnswer) -> str:
    return " ".join(reason.text for reason in permit.reasons if reason.kind is ReasonKind.IDEMPOTENCY)


def reconcile(office: Office, call: str, outcome: Outcome) -> None:
    settled = partial(outcomes.reconcile, call=call, outcome=outcome, note="looked in the CRM", result="done")
    office.write(settled, actor=LEE)


def test_a_second_attempt_at_the_same_occasion_is_given_the_first_ones_result(office: Office) -> None:
    first = update(office, office.begin("monday"))
    office.attempt(first)
    office.finish(first, result={"version": 7})
    again = update(office, office.begin("monday"))
    assert (again.verdict, again.replay, again.result) == (Verdict.REPLAY, True, {"version": 7})
    assert update(office, office.begin("tuesday")).verdict is Verdict.ALLOW


def test_a_tool_without_a_declared_key_is_repeated_within_a_run_but_not_by_a_retry_of_it(
    office: Office,
) -> None:
    run, retry = office.begin("monday"), office.begin("monday")
    for nth in (1, 2):
        assert (
            office.do(run, "crm.create_task", account_id="acme", title="call", nth=nth).verdict
            is Verdict.ALLOW
        )
    for nth in (1, 2):
        again = office.do(retry, "crm.create_task", account_id="acme", title="call", nth=nth)
        assert (again.verdict, again.result) == (Verdict.REPLAY, {"id": f"task-{nth}"})
    assert len(office.crm.tasks) == 2


def test_a_failed_try_and_its_repetition_are_one_piece_of_work_also_for_a_retry_of_the_run(
    office: Office,
) -> None:
    run = office.begin("monday")
    first = office.ask(run, "crm.create_task", account_id="acme", title="call")
    office.attempt(first)
    office.finish(first, Outcome.FAILED)
    assert office.do(run, "crm.create_task", account_id="acme", title="call", nth=2).verdict is Verdict.ALLOW
    retry = office.begin("monday")
    again = office.do(retry, "crm.create_task", account_id="acme", title="call")
    assert (again.verdict, len(office.crm.tasks)) == (Verdict.REPLAY, 1)


def test_nothing_is_tried_again_in_the_same_run_while_nobody_knows_how_the_first_try_ended(
    office: Office,
) -> None:
    run = office.begin("monday")
    first = office.ask(run, "crm.create_task", account_id="acme", title="call")
    office.attempt(first)
    running = office.ask(run, "crm.create_task", account_id="acme", title="call", nth=2)
    assert (running.verdict, "is doing this right now" in why(running)) == (Verdict.DENY, True)
    office.finish(first, Outcome.UNKNOWN)
    for nth in (1, 2, 7):
        refused = office.ask(run, "crm.create_task", account_id="acme", title="call", nth=nth)
        assert (refused.verdict, "reconciled first" in why(refused)) == (Verdict.DENY, True)
    reconcile(office, first.call, Outcome.SUCCEEDED)
    assert office.ask(run, "crm.create_task", account_id="acme", title="call").verdict is Verdict.REPLAY


def test_an_approved_call_that_two_guards_take_up_runs_once(office: Office) -> None:
    run = office.begin("monday")
    ask = partial(office.ask, run, "mail.send", call="call_1", to="x@customer.test")
    waiting = ask(session="first")
    assert (waiting.verdict, ask(session="second").verdict) == (Verdict.WAIT, Verdict.WAIT)
    assert waiting.approval is not None
    office.write(partial(approvals.decide, approval=waiting.approval, approve=True, note="yes"), actor=DANA)

    permit = ask(session="second")
    with pytest.raises(Conflict, match="permitted to another session"):
        ask(session="first")
    with pytest.raises(Conflict, match="another session's"):
        office.attempt(permit, session="first")
    office.attempt(permit, session="second")
    office.attempt(permit, session="second")
    with pytest.raises(Conflict, match="another session's"):
        office.finish(permit, Outcome.FAILED, session="first")
    office.finish(permit, session="second")


def test_a_permit_that_its_session_never_used_may_be_taken_up_by_another(office: Office) -> None:
    run = office.begin("monday")
    ask = partial(office.ask, run, "crm.create_task", call="call_1", account_id="acme", title="call")
    gone = ask(session="first")
    office.wait(seconds=61)
    office.attempt(ask(session="second"), session="second")
    with pytest.raises(Conflict, match="another session's"):
        office.attempt(gone, session="first")


def test_what_was_done_while_only_observed_stays_done(tmp_path: Path) -> None:
    observed = MANIFEST.replace("title: W", "mode: observe\ntitle: W")
    with Office(tmp_path, manifest=observed) as office:
        run = office.begin("monday")
        assert office.do(run, "crm.update_account", account_id="acme", renewal="n").verdict is Verdict.ALLOW
        again = office.ask(run, "crm.update_account", account_id="acme", renewal="n")
        assert (again.verdict, again.would) == (Verdict.ALLOW, Verdict.REPLAY)
        office.attempt(again)
        office.finish(again, Outcome.FAILED)
        office.write(partial(manifests.apply, text=MANIFEST, reason="enforce"), actor=DANA)
        enforced = office.ask(run, "crm.update_account", account_id="acme", renewal="n")
        assert enforced.verdict is Verdict.REPLAY


def test_of_many_at_once_one_runs(tmp_path: Path) -> None:
    clock = SystemClock()
    with Office(tmp_path, clock=clock, ids=TimeOrderedIds(clock)) as office:
        many = [office.begin("monday") for _ in range(16)]
        with ThreadPoolExecutor(len(many)) as pool:
            permits = list(pool.map(partial(update, office), many))
    assert Counter(permit.verdict for permit in permits) == {Verdict.ALLOW: 1, Verdict.DENY: len(many) - 1}
    assert {why(p).partition(" is doing")[2][:10] for p in permits if p.verdict is Verdict.DENY} == {
        " this righ"
    }


def test_a_key_with_other_arguments_is_refused(tmp_path: Path) -> None:
    manifest = MANIFEST.replace("args.account_id, args.renewal]", "args.account_id]")
    with Office(tmp_path, manifest=manifest) as office:
        first = update(office, office.begin("monday"))
        office.attempt(first)
        office.finish(first, result={})
        other = update(office, office.begin("monday"), renewal="2030-01-01")
        assert other.verdict is Verdict.DENY
        assert why(other).endswith('with other arguments: renewal "2025-01-01" → "2030-01-01"')


def test_an_unknown_outcome_stands_in_the_way_until_somebody_has_looked(office: Office) -> None:
    first = update(office, office.begin("monday"))
    office.attempt(first)
    office.wait(minutes=10)
    assert office.call(first.call).outcome is Outcome.UNKNOWN

    refused = update(office, office.begin("monday"))
    assert refused.verdict is Verdict.DENY
    assert "has to be reconciled first" in why(refused)


@pytest.mark.parametrize(
    ("found", "then"), [(Outcome.FAILED, Verdict.ALLOW), (Outcome.SUCCEEDED, Verdict.REPLAY)]
)
def test_once_reconciled_it_may_run_or_never_again(office: Office, found: Outcome, then: Verdict) -> None:
    first = update(office, office.begin("monday"))
    office.attempt(first)
    office.wait(minutes=10)
    with pytest.raises(Invalid, match="unknown settles nothing"):
        reconcile(office, first.call, Outcome.UNKNOWN)
    reconcile(office, first.call, found)
    assert update(office, office.begin("monday")).verdict is then
    with pytest.raises(Conflict, match="needs no reconciling"):
        reconcile(office, first.call, found)
    with pytest.raises(Conflict):
        office.finish(first, Outcome.SUCCEEDED if found is Outcome.FAILED else Outcome.FAILED)


def test_a_call_that_failed_without_a_trace_may_be_tried_again(office: Office) -> None:
    first = update(office, office.begin("monday"))
    office.attempt(first)
    office.finish(first, Outcome.FAILED)
    assert update(office, office.begin("monday")).verdict is Verdict.ALLOW


def test_a_call_that_failed_after_it_had_changed_something_waits_for_a_person_who_can_settle_it(
    office: Office,
) -> None:
    first = update(office, office.begin("monday"))
    (before,) = office.attempt(first)
    half = Observed(
        object=ACME,
        operation=Operation.MODIFIED,
        before=before.image,
        after=Image.present({"renewal": "2025-01-01", "owner": ""}),
    )
    office.finish(first, Outcome.FAILED, observed=(half,))
    assert update(office, office.begin("monday")).verdict is Verdict.DENY
    reconcile(office, first.call, Outcome.FAILED)
    assert update(office, office.begin("monday")).verdict is Verdict.ALLOW


def test_a_permit_that_was_never_used_does_not_hold_its_key_for_ever(office: Office) -> None:
    """The permit ran out unused, and by then a hold forbids the call: once that is lifted, a retry may run."""
    run = office.begin("monday")
    first = update(office, run)
    hold = office.pause(ScopeKind.WORKFLOW, WORKFLOW).hold
    office.wait(seconds=61)
    assert (
        office.ask(
            run, "crm.update_account", call=first.call, account_id="acme", renewal="2025-01-01"
        ).verdict
        is Verdict.DENY
    )
    office.write(partial(holds.lift, hold=hold.id, reason="looked at it"), actor=DANA)
    assert update(office, office.begin("monday")).verdict is Verdict.ALLOW


def test_a_call_that_was_drafted_or_denied_holds_no_key(office: Office) -> None:
    office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    assert update(office, office.begin("monday")).verdict is Verdict.DENY
    office.write(partial(holds.lift, hold="hold_0001", reason="looked at it"), actor=DANA)
    assert update(office, office.begin("monday")).verdict is Verdict.ALLOW
