"""Contract of a changed severity: what becomes graver is reported on as soon as that asks, and never later than was promised."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stopwork.ledger import records as r
from stopwork.ledger.events import SeverityChanged, SignalJoined
from stopwork.ledger.words import IncidentType, Severity
from stopwork.operations import incidents
from tests.support.office import WORKFLOW, Office
from tests.support.triaging import does, incident, new_incident, noticed


def opened(office: Office) -> r.Incident:
    return does(
        office,
        lambda tx: incidents.open_by_hand(
            tx, office.inst.manifests, workflow=WORKFLOW, type=IncidentType.DUPLICATE_WORK
        ),
    )


def raised(office: Office, incident: r.Incident) -> r.Incident:
    return does(
        office,
        lambda tx: incidents.change_severity(
            tx, office.inst.manifests, incident=incident.id, severity=Severity.SEV0, reason="payroll as well"
        ),
    )


def test_what_becomes_graver_is_reported_on_as_if_it_had_been_opened_so(office: Office) -> None:
    known = opened(office)
    assert known.next_update_at == office.clock.now() + timedelta(hours=1)
    assert raised(office, known).next_update_at == office.clock.now() + timedelta(minutes=5)


def test_an_update_that_is_due_sooner_stays_so(office: Office) -> None:
    known = opened(office)
    office.wait(minutes=57)
    assert raised(office, known).next_update_at == known.next_update_at


def test_what_joins_an_incident_raises_it_to_what_it_says_of_itself(office: Office) -> None:
    known = new_incident(office, severity=Severity.SEV2)
    noticed(office, severity=Severity.SEV1, summary="a hundred more")
    assert incident(office, known).severity is Severity.SEV1
    entries = office.read(lambda view: view.entries(incident=known))
    # It has joined after that: else the duty that grades would take it as known to whoever said so.
    changed, joined = [
        each.event for each in entries if isinstance(each.event, SeverityChanged | SignalJoined)
    ][-2:]
    assert isinstance(changed, SeverityChanged)
    assert isinstance(joined, SignalJoined)
    assert "a hundred more" in changed.reason


@pytest.mark.parametrize(
    "said", [{"severity": Severity.SEV3}, {"severity": None}, {"alarming": False}, {"verified": False}]
)
def test_what_says_less_or_is_over_or_anybody_could_have_said_leaves_it(
    office: Office, said: dict[str, Any]
) -> None:
    known = new_incident(office, severity=Severity.SEV2)
    assert noticed(office, **said).incident == known
    assert incident(office, known).severity is Severity.SEV2
