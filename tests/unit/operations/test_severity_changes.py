"""Contract of a changed severity: what becomes graver is reported on as soon as that asks, and never later than was promised."""

from __future__ import annotations

from datetime import timedelta

from stopwork.ledger import records as r
from stopwork.ledger.words import IncidentType, Severity
from stopwork.operations import incidents
from tests.support.office import WORKFLOW, Office
from tests.support.triaging import does


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
