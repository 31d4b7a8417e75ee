"""Contract: what the rules find in real calls becomes a signal, and where it is alarming an incident of its type, with nothing written in the manifest but what it is about."""

from __future__ import annotations

from pathlib import Path

from stopwork.ledger.records import Incident, Signal
from stopwork.ledger.words import IncidentType, Severity
from stopwork.operations import runs
from tests.support.office import MANIFEST, WORKFLOW, Office

RULES = """\
runtime: {model: gpt-5-mini}
objects:
  crm/account:
    fields:
      renewal: {never: [decreases]}
tools:
"""


def signals(office: Office, kind: IncidentType) -> list[Signal]:
    return [each for each in office.read(lambda view: view.find(Signal, limit=100)) if each.type is kind]


def incident(office: Office, signal: Signal) -> Incident:
    assert signal.incident is not None
    return office.read(lambda view: view.need(Incident, str(signal.incident)))


def test_a_run_that_says_it_is_another_model(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST.replace("tools:\n", RULES)) as office:
        office.write(
            lambda tx: runs.start(
                tx,
                office.inst.manifests,
                workflow=WORKFLOW,
                trigger="manual",
                trigger_id="one",
                runtime={"model": "another"},
            )
        )
        office.wait(seconds=1)
        [signal] = signals(office, IncidentType.POLICY_DRIFT)
        assert (signal.facts["threshold"], signal.facts["value"]) == ("gpt-5-mini", "another")
        assert incident(office, signal).type is IncidentType.POLICY_DRIFT


def test_a_date_that_went_back(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST.replace("tools:\n", RULES)) as office:
        run = office.begin()
        held = office.crm.accounts["acme"]["renewal"]
        office.do(run, "crm.update_account", account_id="acme", renewal="1999-01-01")
        office.wait(seconds=1)
        [signal] = signals(office, IncidentType.BAD_WRITEBACK)
        assert signal.facts["rule"] == "objects.crm/account.fields.renewal.never"
        assert signal.facts["fields"][0]["before"] == held
        assert incident(office, signal).severity in (Severity.SEV1, Severity.SEV2)


def test_an_argument_that_nobody_has_given_before(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        for number in range(30):
            office.do(run, "crm.read_account", account_id=f"account-{number}")
        office.do(run, "crm.read_account", account_id="acme", everything=True)
        office.wait(seconds=1)
        [signal] = signals(office, IncidentType.TOOL_MISUSE)
        assert signal.facts["unit"] == "everything"
        assert signal.incident is None
