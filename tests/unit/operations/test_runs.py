"""Contract of runs, steps and guards: said twice is done once, ended once is ended, and nobody speaks for another workflow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from stopwork.control.protocol import RunTicket
from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.records import Point, Principal, Run, Step
from stopwork.ledger.words import Outcome, PrincipalKind, RunStatus, StepKind, Verdict
from stopwork.operations import outcomes, permits, points, runs
from stopwork.storage.transaction import Tx
from stopwork.worker.crew import ABANDON_AFTER
from tests.support.office import AGENT, WORKFLOW, Office

STRANGER = Principal(kind=PrincipalKind.AGENT, id="payroll")


def start(office: Office, **changes: Any) -> RunTicket:
    given: dict[str, Any] = {"workflow": WORKFLOW, "trigger": "manual", "run": "run_mine"} | changes
    return office.write(lambda tx: runs.start(tx, office.inst.manifests, **given))


def need(office: Office, run: str) -> Run:
    return office.read(lambda view: view.need(Run, run))


def test_a_start_said_twice_is_one_run(office: Office) -> None:
    assert start(office) == start(office)
    assert office.read(lambda view: view.count(Run)) == 1
    assert need(office, "run_mine").trigger_id == "run_mine", "an occasion of its own"


def test_an_id_that_was_used_for_another_start_is_refused(office: Office) -> None:
    start(office)
    for other in ({"trigger": "schedule"}, {"trigger_id": "monday"}, {"attempt": 2}):
        with pytest.raises(Conflict, match="for another occasion"):
            start(office, **other)


@pytest.mark.parametrize("kind", [PrincipalKind.FEED, PrincipalKind.MONITOR, PrincipalKind.REPORTER])
def test_what_is_neither_agent_nor_person_speaks_for_no_workflow(office: Office, kind: PrincipalKind) -> None:
    other = Principal(kind=kind, id=WORKFLOW)
    begun = partial(runs.start, manifests=office.inst.manifests, workflow=WORKFLOW, trigger="manual")
    with pytest.raises(Denied, match="speaks for no workflow"):
        office.write(begun, actor=other)


def test_attempts_count_from_one(office: Office) -> None:
    with pytest.raises(Invalid, match="counts from 1"):
        start(office, attempt=0)


def test_a_run_ends_once(office: Office) -> None:
    start(office)
    end = partial(runs.finish, run="run_mine")
    with pytest.raises(Invalid, match="does not end as running"):
        office.write(partial(end, status=RunStatus.RUNNING))
    assert office.write(partial(end, status=RunStatus.FAILED, error="it broke")).error == "it broke"
    office.write(partial(end, status=RunStatus.FAILED))
    with pytest.raises(Conflict, match="has already failed"):
        office.write(partial(end, status=RunStatus.SUCCEEDED))
    assert office.ask("run_mine", "crm.read_account").verdict is Verdict.DENY


def test_steps_add_up_and_an_unknown_price_is_not_nothing(office: Office) -> None:
    start(office)
    step = partial(runs.step, run="run_mine", kind=StepKind.MODEL_CALL, name="think")
    office.write(partial(step, tokens=100, cost_usd=0.25))
    office.write(partial(step, tokens=50, model="a-model-nobody-sells"))
    known = need(office, "run_mine")
    assert (known.tokens, known.cost_usd, known.unpriced) == (150, 0.25, 1)
    prices = office.read(lambda view: [each.cost_usd for each in view.each(Step)])
    assert prices == [0.25, None]
    with pytest.raises(Invalid, match="cannot be negative"):
        office.write(partial(step, tokens=-1))


def test_a_run_that_nobody_watches_is_abandoned(office: Office) -> None:
    start(office)
    office.wait(seconds=ABANDON_AFTER.total_seconds() + 1)
    assert need(office, "run_mine").status is RunStatus.ABANDONED
    with pytest.raises(Conflict, match="has already abandoned"):
        office.write(partial(runs.finish, run="run_mine", status=RunStatus.SUCCEEDED))


def test_a_run_that_works_is_not_abandoned(office: Office) -> None:
    start(office)
    for n in range(5):
        office.wait(minutes=20)
        office.ask("run_mine", "crm.read_account", account_id=str(n))
    assert need(office, "run_mine").status is RunStatus.RUNNING


def test_a_guard_says_goodbye_once(office: Office) -> None:
    point, _epoch = office.write(partial(points.register, workflow=WORKFLOW, name="guard"))
    for _ in range(2):
        office.write(partial(points.retire, point=point, reason="it said goodbye"))
    assert office.read(lambda view: view.need(Point, point)).retired_at == office.clock.now()
    with pytest.raises(NotFound, match="no longer counted on"):
        office.write(partial(points.heartbeat, point=point, epoch=0))


def test_a_running_agents_call_is_not_given_up_while_its_guard_lives(office: Office) -> None:
    point, epoch = office.write(partial(points.register, workflow=WORKFLOW, name="guard"))
    permit = office.ask(office.begin(), "crm.create_task", title="a long one")
    office.attempt(permit)
    for _ in range(20):
        office.write(partial(points.heartbeat, point=point, epoch=epoch))
        office.wait(seconds=30)
    assert office.call(permit.call).in_flight
    office.wait(minutes=3)
    assert office.call(permit.call).outcome is Outcome.UNKNOWN


Deed = Callable[[Tx], object]


def test_an_agent_speaks_for_its_own_workflow_only(office: Office) -> None:
    start(office)
    permit = office.ask("run_mine", "crm.create_task", title="call")
    point, _epoch = office.write(partial(points.register, workflow=WORKFLOW, name="guard"))
    ours = office.inst.manifests
    deeds: list[Deed] = [
        lambda tx: runs.start(tx, ours, workflow=WORKFLOW, trigger="manual"),
        lambda tx: runs.finish(tx, run="run_mine", status=RunStatus.SUCCEEDED),
        lambda tx: runs.step(tx, run="run_mine", kind=StepKind.MESSAGE, name="said"),
        lambda tx: permits.ask(tx, ours, run="run_mine", tool="crm.read_account", args={}),
        lambda tx: permits.attempt(tx, call=permit.call, before=()),
        lambda tx: outcomes.finish(tx, ours, call=permit.call, outcome=Outcome.SUCCEEDED),
        lambda tx: outcomes.observe(tx, ours, call=permit.call, observed=()),
        lambda tx: points.register(tx, workflow=WORKFLOW, name="spy"),
        lambda tx: points.heartbeat(tx, point=point, epoch=99),
        lambda tx: points.retire(tx, point=point, reason="gone"),
    ]
    before = office.store.last_seq
    for deed in deeds:
        with pytest.raises(Denied, match="speaks for payroll"):
            office.write(deed, actor=STRANGER)
    assert office.store.last_seq == before
    office.write(deeds[3], actor=AGENT)
