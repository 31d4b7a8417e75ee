"""Contract: a file of changes is told at the command line, in any number and twice without harm; a line that cannot be read says which one, and who
may not tell is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stopwork.cli.exits import Exit
from tests.acceptance.office import TECHNICAL, Office

CHANGES = 450


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A server at which an administrator and the technical owner are signed in."""
    made = Office(tmp_path)
    with made.server() as serving:
        made.ask("login", serving["sign_in"], person="admin")
        link = made.ask("user", "link", TECHNICAL, person="admin")["link"]
        made.ask("login", link, person=TECHNICAL)
        yield made


def line(number: int, **more: Any) -> str:
    change = {
        "id": f"log-{number}",
        "at": "2026-03-02T09:00:00Z",
        "by": "jo@acme.test",
        "object": {"type": "task", "id": f"task-{number}"},
        "operation": "modified",
        "fields": {"state": ["open", "done"]},
    }
    return json.dumps(change | more)


def test_a_file_is_told_and_told_again(office: Office) -> None:
    file = office.folder / "changes.jsonl"
    file.write_text("\n".join(line(number) for number in range(CHANGES)) + "\n\n")
    told = ("feed", "office", str(file))
    assert office.ask(*told, person="admin") == {"taken": CHANGES, "known": 0}
    assert f"no changes taken, {CHANGES} known already." in office.read(*told, person="admin")

    file.write_text(line(1, by="somebody@else.test") + "\n" + line(CHANGES) + "\n")
    refused = office.ask(*told, person="admin", code=Exit.REFUSED)
    assert "log-1" in refused["detail"]
    assert office.ask(*told, person="admin", code=Exit.REFUSED)["found"] == ["log-1"]

    file.write_text(line(1) + "\n{not json\n")
    assert "line 2" in office.ask(*told, person="admin", code=Exit.INVALID)["detail"]
    file.write_text(line(7, at="yesterday") + "\n")
    assert office.ask(*told, person="admin", code=Exit.INVALID)["code"] == "invalid"


def test_an_owner_cannot_tell_and_a_feed_can_do_nothing_else(office: Office) -> None:
    file = office.folder / "changes.jsonl"
    file.write_text(line(1))
    refused = office.ask("feed", "office", str(file), person=TECHNICAL, code=Exit.DENIED)
    assert "stopwork token create --feed office" in refused["hint"]
    made = office.ask("token", "create", "--feed", "office", person="admin")
    assert made["credential"]["principal"] == {"kind": "feed", "id": "office"}
