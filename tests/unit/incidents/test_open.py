"""Contract of opening: one incident for one cause, filled from the manifest, never without an owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.detect.detector import Finding
from stopwork.incidents.open import (
    cause_key,
    day_prefix,
    detected_by,
    first_update_at,
    home_of,
    incident_id,
    next_update_at,
    opening,
    title_of,
)
from stopwork.incidents.severity import Circumstances, assess
from stopwork.ledger.events import IncidentOpened
from stopwork.ledger.records import Incident, Principal
from stopwork.ledger.words import (
    DetectedBy,
    IncidentStatus,
    IncidentType,
    PrincipalKind,
    Severity,
    SignalKind,
)
from tests.unit.detect.manifests import OWNERS, manifest
from tests.unit.detect.story import START, WORKFLOW
from tests.unit.incidents.cases import DANA, DETECTORS, INCIDENT, bad_monday


def finding(**changed: Any) -> Finding:
    fields: dict[str, Any] = {
        "type": IncidentType.DUPLICATE_WORK,
        "kind": SignalKind.ALERT,
        "detector": "duplicate_action",
        "key": "crm.create_task",
        "workflow": WORKFLOW,
        "summary": "twice",
        "occurred_at": START,
        "facts": {},
        "run": "r1",
    }
    return Finding(**(fields | changed))


@pytest.fixture
def incident() -> Incident:
    return bad_monday().case().incident


def test_the_same_cause_joins(incident: Incident) -> None:
    assert home_of(finding(run="r9"), [incident]) is incident


# Each case: its name, then what differs from the finding that joins.
OTHERS: dict[str, dict[str, Any]] = {
    "another tool": {"key": "mail.send"},
    "another type": {"type": IncidentType.COST_RUNAWAY},
    "another workflow": {"workflow": "other"},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_cause_opens_its_own(name: str, incident: Incident) -> None:
    assert home_of(finding(**OTHERS[name]), [incident]) is None


def test_a_closed_incident_absorbs_nothing(incident: Incident) -> None:
    assert home_of(finding(), [replace(incident, status=IncidentStatus.CLOSED)]) is None


def test_a_failed_run_joins_the_incident_that_lists_it(incident: Incident) -> None:
    failed = {"kind": SignalKind.FAILED_RUN, "type": IncidentType.BAD_WRITEBACK, "key": "run"}
    assert home_of(finding(**failed), [incident]) is incident
    assert (
        home_of(
            finding(
                **failed,
                run="r2",
            ),
            [incident],
        )
        is None
    )
    retried = {**failed, "run": "r2", "facts": {"retry_of": "r1"}}
    assert home_of(finding(**retried), [incident]) is incident


def test_a_write_that_failed_joins_the_incident_that_lists_its_run(incident: Incident) -> None:
    failed = {"type": IncidentType.BAD_WRITEBACK, "detector": "write_failure", "key": "crm.update_account"}
    assert home_of(finding(**failed), [incident]) is incident
    assert home_of(finding(**failed, run="r2"), [incident]) is None


def test_a_cause_names_type_workflow_and_key() -> None:
    assert cause_key(finding()) == "1/duplicate_work/weekly-renewal-risk/crm.create_task"


@pytest.mark.parametrize(
    ("opened_at", "earlier", "expected"),
    [
        (datetime(2026, 3, 2, tzinfo=UTC), 0, "AI-INC-2026-0302-001"),
        (datetime(2026, 3, 2, tzinfo=UTC), 41, "AI-INC-2026-0302-042"),
        (datetime(2026, 3, 2, tzinfo=UTC), 999, "AI-INC-2026-0302-1000"),
        (datetime(2026, 3, 2, 20, tzinfo=timezone(timedelta(hours=-8))), 0, "AI-INC-2026-0303-001"),
    ],
)
def test_an_id_counts_within_the_utc_day(opened_at: datetime, earlier: int, expected: str) -> None:
    assert incident_id(opened_at, earlier) == expected
    assert expected.startswith(day_prefix(opened_at))


@pytest.mark.parametrize(
    ("severity", "first_s", "later_s"),
    [("sev0", 300, 1_200), ("sev1", 300, 1_200), ("sev2", 3_600, 14_400), ("sev3", 86_400, 86_400)],
)
def test_updates_are_due(severity: str, first_s: int, later_s: int) -> None:
    level = Severity(severity)
    assert first_update_at(level, START) == START + timedelta(seconds=first_s)
    assert next_update_at(level, START) == START + timedelta(seconds=later_s)


@pytest.mark.parametrize("kind", SignalKind)
def test_every_kind_of_signal_says_who_noticed(kind: SignalKind) -> None:
    assert detected_by(kind) in DetectedBy


@pytest.mark.parametrize("incident_type", IncidentType)
def test_every_type_has_a_title(incident_type: IncidentType) -> None:
    title = title_of(incident_type, manifest(), tool="crm.create_task")
    assert title.startswith("Weekly renewal risk prep ")
    assert title.endswith("(crm.create_task)")


def opened(**changed: Any) -> IncidentOpened:
    declared = changed.pop("manifest", manifest())
    fields: dict[str, Any] = {
        "incident": INCIDENT,
        "cause": "c",
        "incident_type": IncidentType.DUPLICATE_WORK,
        "manifest": declared,
        "version": 3,
        "assessment": assess(Circumstances(type=IncidentType.DUPLICATE_WORK, manifest=declared)),
        "noticed_by": DetectedBy.ALERT,
        "detected_at": START,
        "now": START,
        "opener": DETECTORS,
    }
    return opening(**(fields | changed))


def test_an_incident_is_filled_from_the_manifest() -> None:
    declared = manifest(data_classes=["customer_commitments"], affected_parties=["customer"])
    event = opened(manifest=declared, tools=["crm.create_task", "crm.create_task", "unknown"])
    assert (event.business_owner, event.technical_owner, event.backup_owner) == (
        "dana@acme.test",
        "lee@acme.test",
        "kim@acme.test",
    )
    assert (event.commander, event.communication_owner) == ("lee@acme.test", "dana@acme.test")
    assert (event.affected_systems, event.data_classes) == (("crm",), ("customer_commitments",))
    assert event.affected_parties == ("customer",)
    assert event.title == "Weekly renewal risk prep did the same work twice (crm.create_task)"
    assert event.next_update_at == START + timedelta(hours=1)


def test_who_opens_it_commands_it() -> None:
    assert opened(opener=DANA).commander == "dana@acme.test"
    assert opened(opener=Principal(kind=PrincipalKind.AGENT, id=WORKFLOW)).commander == "lee@acme.test"


def test_an_empty_role_falls_to_the_administrators() -> None:
    few = manifest(owners={key: OWNERS[key] for key in ("business", "technical")})
    assert opened(manifest=few, administrators=["root@acme.test"]).backup_owner == "root@acme.test"
    assert opened(manifest=few).backup_owner == "dana@acme.test"


def test_a_given_title_stands() -> None:
    assert opened(title=" Tasks flood the team ").title == "Tasks flood the team"
