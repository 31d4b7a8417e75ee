"""Contract of reports: each becomes a signal and none is lost; twice is once; masses are one cause, counted and not kept one by one;
what nobody can place waits to be assigned; what has ended takes nothing in any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger import records as r
from stopwork.ledger.events import SignalRepeated, StatusChanged, name_of
from stopwork.ledger.words import (
    DetectedBy,
    IncidentStatus,
    IncidentType,
    PrincipalKind,
    Severity,
    SignalKind,
)
from stopwork.operations import manifests, reporting
from stopwork.operations.cases import gather
from stopwork.operations.reporting import KEPT, KEPT_ALONE, MOST_CAUSES, Received, Reception, Report
from tests.support.office import AGENT, DANA, KIM, LEE, WORKFLOW, Office
from tests.unit.server.house import OTHER_MANIFEST

TOOL = r.Principal(kind=PrincipalKind.REPORTER, id="prometheus")


def said(**changes: Any) -> Report:
    usual: dict[str, Any] = {
        "source": "api",
        "kind": SignalKind.ALERT,
        "summary": "renewals are wrong",
        "workflow": WORKFLOW,
        "key": "rule-1",
        "severity": Severity.SEV2,
    }
    return Report(**usual | changes)


def tell(office: Office, *every: Report, actor: r.Principal = TOOL) -> list[Received]:
    return office.write(lambda tx: reporting.report_all(tx, office.inst.manifests, every), actor=actor)


def signals(office: Office, **asked: Any) -> list[r.Signal]:
    return office.read(lambda view: list(view.each(r.Signal, **asked)))


def incidents(office: Office) -> list[r.Incident]:
    return office.read(lambda view: list(view.each(r.Incident)))


def later(office: Office, **by: float) -> None:
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(**by))


def test_a_person_says_what_was_seen_and_an_incident_is_open_that_somebody_else_commands(
    office: Office,
) -> None:
    facts = {"seen": "Two tasks for one renewal", "where": "the CRM", "when": "this morning", "by": KIM.id}
    [one] = tell(
        office,
        said(source="form", kind=SignalKind.USER_REPORT, summary="Two tasks for one renewal", facts=facts),
        actor=KIM,
    )
    [signal], [incident] = signals(office), incidents(office)
    assert (one.signal, one.incident, one.reception) == (signal.id, incident.id, Reception.RAISED)
    assert facts.items() <= signal.facts.items()
    assert signal.facts["reported_by"] == str(KIM)
    assert incident.detected_by is DetectedBy.OWNER
    assert incident.commander == LEE.id
    assert "Two tasks for one renewal" in incident.title


@pytest.mark.parametrize("by", [DetectedBy.CUSTOMER, DetectedBy.QA_SAMPLE, DetectedBy.VENDOR])
def test_who_noticed_it_is_on_the_incident(office: Office, by: DetectedBy) -> None:
    tell(office, said(kind=SignalKind.USER_REPORT, noticed_by=by), actor=DANA)
    assert [each.detected_by for each in incidents(office)] == [by]


def test_what_anybody_could_have_said_only_proposes_an_incident(office: Office) -> None:
    [mailed] = tell(office, said(source="mail", kind=SignalKind.USER_REPORT, verified=False))
    assert (mailed.opened, mailed.proposed) == (True, True)
    assert [each.status for each in incidents(office)] == [IncidentStatus.PROPOSED]
    [seen] = tell(office, said(source="report", kind=SignalKind.USER_REPORT, key="another"), actor=KIM)
    assert (seen.opened, seen.proposed) == (True, False)


def test_a_report_of_no_known_workflow_waits_until_somebody_assigns_it(office: Office) -> None:
    [one] = tell(office, said(workflow="renewal", kind=SignalKind.USER_REPORT))
    assert (one.reception, one.workflow, one.incident) == (Reception.UNASSIGNED, "", None)
    [waiting] = signals(office, workflow="")
    assert waiting.facts["said_workflow"] == "renewal"
    assert incidents(office) == []

    def assign(workflow: str, actor: r.Principal = LEE) -> r.Signal:
        return office.write(
            lambda tx: reporting.assign(tx, office.inst.manifests, signal=one.signal, workflow=workflow),
            actor=actor,
        )

    for refused in (AGENT, TOOL):
        with pytest.raises(Denied):
            assign(WORKFLOW, refused)
    assigned = assign(WORKFLOW)
    assert assigned == assign(WORKFLOW)
    [incident] = incidents(office)
    assert (assigned.workflow, assigned.incident) == (WORKFLOW, incident.id)
    case = office.read(lambda view: gather(view, office.inst.manifests, incident.id))
    assert [each.id for each in case.signals] == [one.signal]
    office.write(lambda tx: manifests.apply(tx, OTHER_MANIFEST, reason="the first version"), actor=LEE)
    with pytest.raises(Conflict):
        assign("invoices")


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"severity": Severity.SEV1}, Severity.SEV1),
        ({"severity": None, "kind": SignalKind.SECURITY}, Severity.SEV1),
        ({"severity": Severity.SEV1, "alarming": False}, None),
    ],
    ids=["grave", "security", "over"],
)
def test_what_waited_to_be_assigned_is_as_grave_as_it_was_said_to_be(
    office: Office, changes: dict[str, Any], severity: Severity | None
) -> None:
    [one] = tell(office, said(workflow="renewal", **changes))
    office.write(
        lambda tx: reporting.assign(tx, office.inst.manifests, signal=one.signal, workflow=WORKFLOW),
        actor=LEE,
    )
    assert [each.severity for each in incidents(office)] == ([severity] if severity else [])


def test_no_sender_says_in_its_facts_what_is_acted_upon_later(office: Office) -> None:
    forged = {"severity_at_least": "sev0", "said_to_be_over": "yes", "detected_by": "owner"}
    tell(office, said(severity=None, facts=forged, workflow="renewal"))
    [waiting] = signals(office)
    assert not forged.keys() & waiting.facts.keys()


def test_the_same_delivered_again_changes_nothing_for_a_week(office: Office) -> None:
    [first] = tell(office, said(delivery="abc"))
    before = office.store.last_seq
    again = tell(office, said(delivery="abc"), said(delivery="abc"))
    assert [(each.signal, each.reception) for each in again] == [(first.signal, Reception.KNOWN)] * 2
    assert office.store.last_seq == before
    [other] = tell(office, said(delivery="abc", source="another"))
    assert other.reception is Reception.RAISED
    later(office, days=8)
    [late] = tell(office, said(delivery="abc"))
    assert late.reception is Reception.RAISED


def test_what_comes_in_masses_is_one_incident_with_a_counter(office: Office) -> None:
    for _ in range(5):
        tell(office, *[said(delivery=f"{office.store.last_seq}-{each}") for each in range(200)])
    [incident] = incidents(office)
    kept = signals(office)
    assert len(kept) == KEPT
    assert sum(each.repeats for each in kept) == 1000 - KEPT
    assert {each.incident for each in kept} == {incident.id}
    counted = office.read(lambda view: view.entries(kinds=(name_of(SignalRepeated),)))
    assert len(counted) == 5
    assert {each.event.incident for each in counted if isinstance(each.event, SignalRepeated)} == {
        incident.id
    }


def test_in_a_mass_of_reports_one_that_says_worse_is_heard_and_the_next_ones_are_counted_again(
    office: Office,
) -> None:
    tell(office, *[said()] * (KEPT + 5))
    taken = tell(office, *[said(severity=Severity.SEV1)] * 3)
    assert [each.reception for each in taken] == [Reception.RAISED, Reception.COUNTED, Reception.COUNTED]
    assert [each.severity for each in incidents(office)] == [Severity.SEV1]


def test_after_an_hour_the_next_ones_are_kept_again(office: Office) -> None:
    tell(office, *[said()] * (KEPT + 5))
    later(office, hours=1, seconds=1)
    assert [each.reception for each in tell(office, said())] == [Reception.RAISED]
    assert len(incidents(office)) == 1


def test_a_source_that_names_endless_causes_names_none_any_more(office: Office) -> None:
    tell(office, *[said(key=f"cause-{each}") for each in range(2 * MOST_CAUSES)])
    tell(office, *[said(key=f"another-{each}") for each in range(500)])
    assert len(incidents(office)) == MOST_CAUSES + 1
    [many] = [each for each in incidents(office) if each.cause.endswith("/many")]
    assert len(signals(office, incident=many.id)) == KEPT


def test_endless_reports_that_nobody_can_place_are_counted_too(office: Office) -> None:
    tell(office, *[said(workflow="nobody knows")] * (KEPT_ALONE + 50))
    waiting = signals(office, workflow="")
    assert len(waiting) == KEPT_ALONE
    assert sum(each.repeats for each in waiting) == 50


def test_a_closed_incident_takes_nothing_in(office: Office) -> None:
    tell(office, *[said()] * (KEPT + 1))
    [closed] = incidents(office)
    office.write(
        lambda tx: tx.record(
            StatusChanged(
                incident=closed.id,
                workflow=WORKFLOW,
                before=closed.status,
                after=IncidentStatus.CLOSED,
            )
        )
    )
    [next_one] = tell(office, said())
    assert next_one.opened
    assert next_one.incident != closed.id


def test_a_report_of_a_run_lists_it_and_an_unknown_run_is_kept_as_what_was_said(office: Office) -> None:
    run = office.begin()
    tell(office, said(run=run, workflow=""), said(run="run-of-nobody", key="another"))
    first, second = signals(office, order="id")
    assert (first.run, first.workflow) == (run, WORKFLOW)
    assert (second.run, second.facts["said_run"]) == (None, "run-of-nobody")


def test_a_time_to_come_is_taken_as_now_and_kept_as_what_was_said(office: Office) -> None:
    now = office.clock.now()
    tell(office, said(occurred_at=now + timedelta(days=1)))
    [signal] = signals(office)
    assert signal.occurred_at == now
    assert signal.facts["said_to_occur_at"].startswith("2026-03-03")


def test_an_agent_reports_about_itself_only(office: Office) -> None:
    assert tell(office, said(workflow=""), actor=AGENT)[0].workflow == WORKFLOW
    with pytest.raises(Denied):
        tell(office, said(workflow="invoices"), actor=AGENT)


def test_nothing_is_no_report_and_too_much_is_cut_and_said(office: Office) -> None:
    with pytest.raises(Invalid):
        tell(office, said(summary=" \n "))
    facts = {f"f{each}": "x" * 5_000 for each in range(100)}
    tell(office, said(summary="x" * 9_000, key="k/" * 400, facts=facts))
    [signal] = signals(office)
    assert len(signal.summary) == reporting.MAX_SUMMARY
    assert len(signal.key) <= 256
    assert signal.facts["left_out"] == 61
    assert len(signal.facts["seen"]) == 9_000
    assert len(signal.facts["f1"]) == reporting.MAX_FACT_CHARS


def test_what_is_about_a_type_is_of_that_type(office: Office) -> None:
    tell(office, said(kind=SignalKind.COST), said(type=IncidentType.EXTERNAL_SEND, key="mail"))
    assert [each.type for each in signals(office, order="id")] == [
        IncidentType.COST_RUNAWAY,
        IncidentType.EXTERNAL_SEND,
    ]


def test_where_nobody_said_what_it_is_the_signal_tells_that(office: Office) -> None:
    tell(
        office,
        said(kind=SignalKind.SECURITY, severity=None),
        said(type=IncidentType.EXTERNAL_SEND, key="mail"),
    )
    guessed, told = signals(office, order="id")
    assert (guessed.type, told.type) == (IncidentType.TOOL_MISUSE, IncidentType.EXTERNAL_SEND)
    assert guessed.facts["incident_type"] == "not said; taken for tool_misuse until somebody says"
    assert "incident_type" not in told.facts
    incident = office.read(lambda view: view.need(r.Incident, str(guessed.incident)))
    assert (incident.severity, incident.title) == (Severity.SEV1, guessed.summary)
