"""An office with real processes, and its server with two people signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.office import OWNER, TECHNICAL, WORKFLOW, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture
def running(office: Office) -> Iterator[dict[str, Any]]:
    """A server at which the owner and the technical owner are signed in, and the workflow is declared."""
    with office.server() as serving:
        office.ask("login", serving["sign_in"], person="admin")
        for person in (OWNER, TECHNICAL):
            office.ask("login", office.ask("user", "link", person, person="admin")["link"], person=person)
        office.ask("apply", "--reason", "first version", "--yes", person=TECHNICAL)
        serving["agent"] = office.ask("token", "create", "--agent", WORKFLOW, person="admin")["secret"]
        yield serving
