"""Contract: what people see and other tools notice is reported at the command line alone, tried before it is sent, and assigned."""

from __future__ import annotations

import json
from typing import Any

from stopwork.cli.exits import Exit
from tests.acceptance.office import WORKFLOW, Office

INTAKE = f"""\
webhooks:
  desk:
    summary: item.title
    workflow: {WORKFLOW}
    kind: user_report
    when: item.title != "spam"
    secret: env:NOT_SET_HERE
"""


def test_people_and_tools_report_and_somebody_assigns(office: Office, running: dict[str, Any]) -> None:
    told = office.read(
        "signals", "report", "Acme has it twice.", "--workflow", WORKFLOW, "--where", "the CRM"
    )
    assert "It is recorded as sig_" in told
    mail = "From: jo@customer.test\nTo: reports@acme.test\nSubject: It is wrong\n\nLook at it.\n"
    piped = office.command("signals", "report", "--mail", stdin=mail)
    assert piped.returncode == 0, piped.stderr
    assert "Nobody could tell which workflow" in piped.stdout
    (unplaced,) = office.ask("signals", "--workflow", "")
    assert office.ask("signals", "--state", "unplaced", "--kind", "user_report") == [unplaced]
    (found,) = office.ask("signals", "--text", "TWICE acme")
    assert found["workflow"] == WORKFLOW
    assert office.ask("signals", "--text", "acme nowhere") == []
    shown = office.read("signals", "show", found["id"])
    for said in ("Acme has it twice.", "where", "the CRM", "not said", found["incident"]):
        assert said in shown
    assert "no signal" in office.ask("signals", "show", "sig_none", code=Exit.NOT_FOUND)["detail"]
    assert unplaced["facts"]["by"] == "jo@customer.test"
    assert WORKFLOW in office.read("signals", "assign", unplaced["id"], WORKFLOW)
    assert office.ask("signals", "--workflow", "") == []
    made = office.ask("token", "create", "--reporter", "prometheus", person="admin")
    assert made["credential"]["principal"] == {"kind": "reporter", "id": "prometheus"}
    assert "not known" not in office.read("signals")
    late = office.ask("signals", "report", "x", "--when", "soon", code=Exit.USAGE)
    assert "2026-03-02T08:00+01:00" in late["detail"]


def test_a_mapping_is_tried_without_a_server_or_a_secret(office: Office) -> None:
    (office.folder / "intake.yaml").write_text(INTAKE)
    (office.folder / "sample.json").write_text(json.dumps({"title": "Acme has it twice"}))
    tried = ["webhook", "test", "desk", str(office.folder / "sample.json"), "--intake"]
    found = office.ask(*tried, str(office.folder / "intake.yaml"))
    assert found["reports"][0]["summary"] == "Acme has it twice"
    assert "1 report would come in" in office.read(*tried, str(office.folder / "intake.yaml"))
    assert office.ask(
        "webhook", "test", "till", *tried[3:], str(office.folder / "intake.yaml"), code=Exit.NOT_FOUND
    )
    (office.folder / "intake.yaml").write_text(INTAKE.replace("item.title !=", "item.title ="))
    refused = office.ask(*tried, str(office.folder / "intake.yaml"), code=Exit.INVALID)
    assert "webhooks.desk.when" in refused["detail"]
