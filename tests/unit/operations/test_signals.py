"""Contract of signals: what is alarming opens an incident, what is not is logged and joins one that is open, and what
follows from an incident joins it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stopwork.ledger.records import Hold, Incident, Signal
from stopwork.ledger.words import IncidentType, Outcome, RunStatus
from stopwork.operations import runs
from tests.support.office import MANIFEST, Office


def signals(office: Office) -> list[tuple[str, str | None]]:
    office.wait(seconds=1)
    found = office.read(lambda view: list(view.each(Signal, order="id")))
    return [(each.detector, each.incident) for each in found]


def incidents(office: Office) -> list[Incident]:
    return office.read(lambda view: list(view.each(Incident)))


def refuse(office: Office, run: str, *, times: int) -> None:
    for nth in range(1, times + 1):
        office.ask(run, "crm.set_discount", percent="1", nth=nth)


def test_a_refused_call_is_logged_and_opens_no_incident(office: Office) -> None:
    run = office.begin()
    office.do(run, "crm.update_account", account_id="acme", renewal="2026-06-02")
    refuse(office, run, times=2)
    assert signals(office) == [("policy_violation", None)]
    assert incidents(office) == []


def test_an_agent_that_does_not_take_no_for_an_answer_opens_one(office: Office) -> None:
    refuse(office, office.begin(), times=3)
    assert len(signals(office)) == 2
    (incident,) = incidents(office)
    assert (incident.type, incident.severity) == (IncidentType.TOOL_MISUSE, "sev2")


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ("hold: workflow", True),
        ("hold: workflow, open: propose", True),
        ("hold: workflow, open: log", False),
        ("hold: workflow, threshold: {count: 9}", False),
    ],
)
def test_a_rule_holds_with_its_incident_and_with_what_is_only_recorded_nothing(
    tmp_path: Path, rule: str, held: bool
) -> None:
    asked = MANIFEST.replace("alerts:\n", f"alerts:\n  policy_violation: {{{rule}}}\n")
    with Office(tmp_path, manifest=asked) as office:
        refuse(office, office.begin(), times=3)
        assert signals(office)
        holds = office.read(lambda view: list(view.each(Hold)))
        assert [hold.rule for hold in holds] == (["policy_violation"] if held else [])
        assert bool(incidents(office)) is held


def test_once_it_is_open_what_is_only_logged_joins_it(office: Office) -> None:
    refuse(office, office.begin(), times=3)
    signals(office)
    (incident,) = incidents(office)
    office.wait(minutes=2)
    refuse(office, office.begin("tuesday"), times=1)
    assert signals(office)[-1] == ("policy_violation", incident.id)


def test_a_write_that_was_lost_in_a_flood_joins_the_flood(office: Office) -> None:
    run = office.begin()
    office.do(run, "crm.create_task", account_id="acme", title="call")
    lost = office.ask(run, "crm.create_task", account_id="globex", title="call")
    office.attempt(lost)
    office.finish(lost, Outcome.UNKNOWN)
    office.do(run, "crm.create_task", account_id="acme", title="call", nth=2)
    office.write(lambda tx: runs.finish(tx, run=run, status=RunStatus.FAILED))
    told = signals(office)
    (incident,) = incidents(office)
    assert incident.type is IncidentType.DUPLICATE_WORK
    assert sorted(told) == [
        (detector, incident.id) for detector in ("duplicate_action", "failed_run", "write_failure")
    ]


def test_a_hiccup_that_is_made_good_is_not_told(office: Office) -> None:
    run = office.begin()
    refused = office.ask(run, "crm.update_account", account_id="acme", renewal="2026-06-02")
    office.attempt(refused)
    office.finish(refused, Outcome.FAILED)
    office.do(run, "crm.update_account", account_id="acme", renewal="2026-06-02")
    office.write(lambda tx: runs.finish(tx, run=run, status=RunStatus.SUCCEEDED))
    assert signals(office) == []
