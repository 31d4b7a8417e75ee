"""Contract of the alert rules for reports: the manifest says what it comes to when people, or other tools, say that something is wrong.
Whatever it says, nothing that is said is lost, and what anybody could have said pauses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger.words import IncidentStatus, Severity, SignalKind
from stopwork.operations import manifests, reporting
from stopwork.operations.reporting import KEPT, Received, Reception, Report
from tests.support.office import DANA, KIM, MANIFEST, WORKFLOW, Office

SEEN = Report(
    source="report", kind=SignalKind.USER_REPORT, summary="Globex has it three times", workflow=WORKFLOW
)
MAILED = Report(
    source="mail", kind=SignalKind.USER_REPORT, summary="It is wrong", workflow=WORKFLOW, verified=False
)
ALERTED = Report(
    source="alertmanager",
    kind=SignalKind.ALERT,
    summary="Too many tasks",
    key="tasks",
    workflow=WORKFLOW,
    severity=Severity.SEV2,
)


def ruled(office: Office, rules: str) -> None:
    """Write these rules among those of the office's manifest."""
    text = MANIFEST.replace("alerts:\n", f"alerts:\n  {rules}\n", 1)
    assert rules in text
    office.write(lambda tx: manifests.apply(tx, text, reason="other rules"), actor=DANA)


def tell(office: Office, said: Report) -> Received:
    return office.write(lambda tx: reporting.report(tx, office.inst.manifests, said), actor=KIM)


def of(office: Office, kind: Any) -> list[Any]:
    return office.read(lambda view: list(view.each(kind)))


def test_reports_of_people_and_of_tools_have_a_rule_each(office: Office) -> None:
    ruled(office, "user_report: {open: propose}\n  tool_report: {open: log}")
    seen, alerted = tell(office, SEEN), tell(office, ALERTED)
    assert (seen.opened, seen.proposed) == (True, True)
    assert (alerted.incident, alerted.opened) == (None, False)
    [incident] = of(office, r.Incident)
    assert (incident.status, incident.rule) == (IncidentStatus.PROPOSED, "user_report")
    assert {each.id for each in of(office, r.Signal)} == {seen.signal, alerted.signal}


def test_what_people_say_through_another_tool_is_still_what_people_say(office: Office) -> None:
    ruled(office, "tool_report: {open: log}")
    assert tell(office, Report(**{**_fields(SEEN), "source": "webhook desk"})).opened


def test_a_rule_that_is_off_records_what_is_said(office: Office) -> None:
    ruled(office, "user_report: {enabled: false}")
    assert tell(office, SEEN).incident is None
    assert len(of(office, r.Signal)) == 1
    assert tell(office, ALERTED).opened


def test_a_threshold_counts_reports_of_one_cause_and_takes_the_earlier_ones_in(office: Office) -> None:
    ruled(office, "user_report: {threshold: {count: 3, within: 1h}}")
    assert [tell(office, SEEN).opened for _ in range(3)] == [False, False, True]
    [incident] = of(office, r.Incident)
    assert len(incident.signals) == 3


def test_the_rule_says_how_grave_a_report_is_at_least(office: Office) -> None:
    ruled(office, "user_report: {severity: sev1}\n  tool_report: {severity: sev3}")
    tell(office, SEEN)
    tell(office, ALERTED)
    assert {each.rule: each.severity for each in of(office, r.Incident)} == {
        "user_report": Severity.SEV1,
        "tool_report": Severity.SEV2,
    }


def test_in_a_mass_of_reports_the_rule_says_which_are_graver_than_is_known(office: Office) -> None:
    quiet = replace(ALERTED, severity=None)
    for _ in range(KEPT + 1):
        tell(office, ALERTED)
    ruled(office, "tool_report: {severity: sev1}")
    assert [tell(office, quiet).reception for _ in range(2)] == [Reception.RAISED, Reception.COUNTED]
    assert of(office, r.Incident)[0].severity is Severity.SEV1


def test_in_a_mass_of_reports_a_rule_that_is_off_has_none_kept_for_what_it_says(office: Office) -> None:
    for _ in range(KEPT + 1):
        tell(office, ALERTED)
    ruled(office, "tool_report: {enabled: false}")
    grave = replace(ALERTED, severity=Severity.SEV1)
    assert [tell(office, grave).reception for _ in range(2)] == [Reception.COUNTED] * 2


def test_a_report_holds_what_its_rule_says_and_a_mail_holds_nothing(office: Office) -> None:
    ruled(office, "user_report: {hold: workflow}")
    mailed = tell(office, MAILED)
    assert mailed.proposed
    assert of(office, r.Hold) == []
    tell(office, SEEN)
    [hold] = of(office, r.Hold)
    assert (hold.scope.name, hold.rule) == (WORKFLOW, "user_report")


@pytest.mark.parametrize("hold", ["tool", "permission", "source"])
def test_a_report_names_no_call_so_its_rule_cannot_hold_one(office: Office, hold: str) -> None:
    with pytest.raises(Invalid, match="this alert is not about"):
        ruled(office, f"user_report: {{hold: {hold}}}")


def _fields(said: Report) -> dict[str, Any]:
    return {name: getattr(said, name) for name in said.__struct_fields__}
