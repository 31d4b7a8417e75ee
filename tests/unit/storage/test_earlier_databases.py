"""Contract: a database of an earlier version is brought to this one, what it says is what its journal says, and its open incident goes on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import Approval, Call, Incident, Message, Plan, Run
from stopwork.ledger.words import ApprovalState, IncidentStatus, PlanState, RunStatus, StepKind
from stopwork.operations import approvals, incidents, permits, runs
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from stopwork.worker.crew import Crew
from tests.support import earlier
from tests.support.office import AGENT, DANA, LEE, START, Crm


@pytest.fixture
def inst(tmp_path: Path) -> Iterator[Installation]:
    earlier.install(tmp_path)
    opened = Installation.open(tmp_path, systems={"crm": Crm()}, clock=ManualClock(START))
    yield opened
    opened.close()


def only(inst: Installation, kind: type[Any], **equals: Any) -> Any:
    [found] = inst.store.read(lambda view: list(view.each(kind, **equals)))
    return found


def test_what_it_says_is_what_its_journal_says(inst: Installation) -> None:
    report = fsck(inst.store)
    assert report.faults == ()
    assert report.entries == 47


def test_the_same_holds_after_the_duties_have_worked_on_it(inst: Installation) -> None:
    Crew(inst).catch_up()
    assert fsck(inst.store).faults == ()


def test_the_incident_goes_on(inst: Installation) -> None:
    incident = only(inst, Incident)
    assert (incident.id, incident.status) == (earlier.INCIDENT, IncidentStatus.RECOVERING)
    assert only(inst, Plan).state is PlanState.RUNNING
    assert len(inst.store.read(lambda view: list(view.each(Message)))) == 3
    inst.store.write(partial(incidents.add_note, incident=incident.id, text="after the upgrade"), actor=LEE)
    inst.store.write(
        partial(incidents.record_root_cause, incident=incident.id, text="a retry without a key"), actor=LEE
    )
    assert only(inst, Incident).root_cause == "a retry without a key"
    assert fsck(inst.store).faults == ()


def test_a_question_of_then_is_answered_now(inst: Installation) -> None:
    asked = only(inst, Approval)
    inst.store.write(partial(approvals.decide, approval=asked.id, approve=True, note="fine"), actor=DANA)
    assert only(inst, Approval).state is ApprovalState.APPROVED


def test_a_run_that_was_going_on_makes_calls_and_ends(inst: Installation) -> None:
    run = only(inst, Run, status=RunStatus.RUNNING)
    step = partial(
        runs.step,
        run=run.id,
        kind=StepKind.RETRIEVAL,
        name="read inbox",
        facts={"text": "Please read A-17."},
        source="inbox",
    )
    inst.store.write(step, actor=AGENT)
    ask = partial(permits.ask, manifests=inst.manifests, run=run.id, tool="mail.read", args={"item": "18"})
    answer = inst.store.write(ask, actor=AGENT)
    assert inst.store.read(lambda view: view.need(Call, answer.call)).run == run.id
    inst.store.write(partial(runs.finish, run=run.id, status=RunStatus.SUCCEEDED), actor=AGENT)
    assert fsck(inst.store).faults == ()


def test_what_a_run_of_then_has_read_is_not_made_up_afterwards(inst: Installation) -> None:
    every = inst.store.read(lambda view: list(view.each(Run)))
    assert [(run.id, run.notes_reads, run.foreign) for run in every] == [
        ("run_0001", False, ()),
        ("run_0002", False, ()),
    ]
