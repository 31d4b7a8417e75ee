"""Contract: at the command line a version that gives more room is proposed by one person and signed by another, and a held workflow does not
escape under a new name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stopwork.cli.exits import Exit
from tests.acceptance.office import MANIFEST, OWNER, TECHNICAL, WORKFLOW, Office

CONTROLLED = MANIFEST + "change_control: {approver: business}\n"
LOOSER = CONTROLLED.replace("risk: high", "risk: medium")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    with made.server() as serving:
        made.ask("login", serving["sign_in"], person="admin")
        for person in (OWNER, TECHNICAL):
            made.ask("login", made.ask("user", "link", person, person="admin")["link"], person=person)
        yield made


def apply(office: Office, text: str, *more: str, code: int = Exit.OK) -> dict[str, object]:
    office.manifest.write_text(text, encoding="utf-8")
    answer: dict[str, object] = office.ask(
        "apply", "--reason", "better", "--yes", *more, person=TECHNICAL, code=code
    )
    return answer


def test_one_proposes_and_another_signs(office: Office) -> None:
    apply(office, CONTROLLED)
    asked = apply(office, LOOSER)
    assert (asked["proposed"], asked["version"], asked["signers"]) == (True, 2, [OWNER])
    refused = office.ask("versions", "approve", WORKFLOW, "2", "--yes", person=TECHNICAL, code=Exit.DENIED)
    assert "does not sign it as well" in refused["detail"]
    shown = office.command("versions", "show", WORKFLOW, "2").stdout
    assert "waits for" in shown
    assert "! tools[mail.send].risk" in shown
    office.ask("versions", "approve", WORKFLOW, "2", "--yes")
    listed = office.ask("versions", "list", WORKFLOW)
    assert [(each["version"], each["state"]) for each in listed] == [(2, "applied"), (1, "applied")]
    assert listed[0]["decided_by"]["id"] == OWNER
    apply(office, LOOSER.replace("risk: medium", "risk: low"))
    gone = office.ask("versions", "decline", WORKFLOW, "3", "--reason", "no")
    assert (gone["state"], gone["note"]) == ("declined", "no")


def test_a_held_workflow_under_a_new_name(office: Office) -> None:
    apply(office, MANIFEST)
    office.ask("pause", "--workflow", WORKFLOW, "--reason", "wrong", "--yes")
    renamed = MANIFEST.replace(f"workflow: {WORKFLOW}", "workflow: follow-ups-2")
    refused = apply(office, renamed, code=Exit.REFUSED)
    assert f"formerly: {WORKFLOW}" in str(refused["hint"])
    apply(office, f"formerly: {WORKFLOW}\n{renamed}")
    held = {each["scope"]["name"] for each in office.ask("holds", "list")}
    assert held == {WORKFLOW, "follow-ups-2"}
