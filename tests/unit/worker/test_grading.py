"""Contract of the duty that grades: an incident that signals join becomes as grave as all its records say, soon after and not in the transaction
that permits wait for; what a person has said since, and what has ended, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from stopwork.ledger import records as r
from stopwork.ledger.events import SeverityChanged, SignalJoined, name_of
from stopwork.ledger.words import Severity, Stage
from stopwork.operations import incidents, triage
from stopwork.worker.grading import MOST_AT_ONCE, Grading
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW, Office
from tests.support.told import recording
from tests.support.triaging import noticed
from tests.unit.operations.test_demotion import at_approved_writes

_GATE: Final = """    gate: {when: "true", approvers: [business], expires: 4h}
"""
SENDS: Final = MANIFEST.replace(_GATE, "")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path, manifest=SENDS) as office:
        yield office


def opened(desk: Office) -> str:
    """Open an incident of which only a refused call is known."""
    return str(noticed(desk, severity=Severity.SEV2).incident)


def mailed(desk: Office) -> str:
    """Let a run send something that nobody can take back; answer it."""
    run = desk.begin("the week before")
    desk.do(run, "mail.send", to="csm@acme.test", subject="Renewal", body="It moved.")
    return run


def severity(desk: Office, incident: str) -> Severity:
    return desk.read(lambda view: view.need(r.Incident, incident)).severity


def stage(desk: Office) -> Stage:
    return desk.read(lambda view: view.need(r.Workflow, WORKFLOW)).stage


def changes(desk: Office) -> list[SeverityChanged]:
    entries = desk.read(lambda view: view.entries(kinds=[name_of(SeverityChanged)]))
    return [entry.event for entry in entries if isinstance(entry.event, SeverityChanged)]


def grown(desk: Office) -> str:
    """Answer an incident that a run has joined whose mail makes it graver."""
    incident = opened(desk)
    assert noticed(desk, severity=Severity.SEV2, run=mailed(desk)).incident == incident
    return incident


def test_it_becomes_as_grave_as_what_joined_it_and_says_why(desk: Office) -> None:
    incident = grown(desk)
    assert severity(desk, incident) is Severity.SEV2
    Grading(desk.inst).look()
    assert severity(desk, incident) is Severity.SEV1
    [change] = changes(desk)
    assert "outside" in change.reason


def test_it_is_graded_once_whoever_looks(desk: Office) -> None:
    grown(desk)
    for grading in (Grading(desk.inst), Grading(desk.inst)):
        grading.look()
        grading.look()
    assert len(changes(desk)) == 1


def test_what_is_graver_takes_autonomy_away_on_its_way_back(desk: Office) -> None:
    run = mailed(desk)
    at_approved_writes(desk)
    incident = opened(desk)
    noticed(desk, severity=Severity.SEV2, run=run)
    assert stage(desk) is Stage.APPROVED_WRITES
    Grading(desk.inst).look()
    assert (severity(desk, incident), stage(desk)) == (Severity.SEV1, Stage.READ_ONLY)


def test_what_a_person_said_since_stays(desk: Office) -> None:
    incident = grown(desk)
    change = partial(
        incidents.change_severity,
        manifests=desk.inst.manifests,
        incident=incident,
        severity=Severity.SEV0,
        reason="payroll as well",
    )
    desk.write(change, actor=LEE)
    Grading(desk.inst).look()
    assert [each.after for each in changes(desk)] == [Severity.SEV0]


def test_what_joins_after_a_person_has_said_something_is_looked_at(desk: Office) -> None:
    incident = opened(desk)
    Grading(desk.inst).look()
    assert changes(desk) == []
    noticed(desk, run=mailed(desk))
    Grading(desk.inst).look()
    assert severity(desk, incident) is Severity.SEV1


def test_an_incident_that_has_ended_is_left_alone(desk: Office) -> None:
    incident = grown(desk)
    decline = partial(triage.decline, incident=incident, reason="a drill")
    desk.write(decline, actor=DANA)
    Grading(desk.inst).look()
    assert changes(desk) == []


def test_it_comes_to_the_end_of_a_flood(desk: Office) -> None:
    known, run = noticed(desk, severity=Severity.SEV2), mailed(desk)
    first = str(known.incident)
    joined = SignalJoined(incident=first, workflow=WORKFLOW, signal=known.signal)
    desk.store.write(recording(*MOST_AT_ONCE * [joined], replace(joined, run=run)))
    Grading(desk.inst).look()
    assert severity(desk, first) is Severity.SEV1
