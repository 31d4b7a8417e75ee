"""Contract of looks over the wire: whichever way a person asks for what a sensitive incident or its calls hold, it is on record, once for
some minutes; an agent that reads its own leaves no trace, and an answer that is refused is no look.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.protocol import PermitAnswer
from stopwork.ledger.words import CustodyDeed, HoldMode, ScopeKind
from stopwork.operations import custody
from tests.support.office import DANA, LEE, MANIFEST
from tests.support.trouble import Trouble
from tests.unit.server.browser import Browser
from tests.unit.server.house import House, house

SENSITIVE = MANIFEST.replace("title: Weekly", "data_classes: [banking]\ntitle: Weekly")
WAYS = {
    "/v1/calls/{call}": "call {call}",
    "/v1/calls?run={run}": "calls",
    "/v1/calls": "calls",
    "/v1/calls/{call}/effects": "what calls changed",
    "/v1/runs/{run}/steps": None,  # this run has none
    "/v1/journal": "the journal",
    "/v1/journal?run={run}": "the journal",
    "/v1/runs/{run}": None,  # that it ran, and no content
    "/runs/{run}": "run {run}",
    "/incidents/{incident}": "its page",
    "/incidents/{incident}/objects": "its objects",
    "/incidents/{incident}/report": "its report",
    "/incidents/{incident}/timeline": "its timeline",
    "/v1/incidents/{incident}/timeline": "its timeline",
    "/v1/incidents/{incident}/objects": "its objects",
    "/v1/incidents/{incident}/audit": "its audit",
    "/v1/incidents/{incident}/report": "its report",
    "/v1/incidents/{incident}/report?format=markdown": "its report",
    "/v1/incidents/{incident}/messages": "its messages",
    "/v1/incidents/{incident}/postmortem": "its postmortem",
    "/v1/plans/{plan}/items": "its plan",
    "/v1/incidents/{incident}/similar": "its similar calls",
    "/approvals/{approval}": "approval {approval}",
    "/v1/approvals/{approval}": "approval {approval}",
    "/v1/approvals": "approvals",
    "/drafts/{draft}": "draft {draft}",
    "/v1/drafts/{draft}": "draft {draft}",
    "/v1/drafts": "drafts",
    "/v1/incidents/{incident}": None,  # that there is one, how grave it is, and no content
    "/v1/incidents/{incident}/phases": None,
    "/v1/incidents/{incident}/custody": None,
    "/incidents": None,
    "/incidents/AI-INC-2026-0302-999": None,
    "/v1/calls/call_nowhere": None,
    "/runs/run_nowhere": None,
}


class Sensitive:
    """An incident whose workflow works with sensitive data."""

    def __init__(self, opened: House, trouble: Trouble) -> None:
        self.opened = opened
        self.trouble = trouble
        self.names = {
            "run": trouble.run,
            "call": trouble.update.call,
            "incident": trouble.incident,
            "plan": trouble.approved_plan().id,
            "approval": self._asked("mail.send", to="customer@acme.test").approval or "",
            "draft": self._drafted("crm.update_account", account_id="acme", renewal="2026-01-01").call,
        }

    def _asked(self, tool: str, **args: Any) -> PermitAnswer:
        return self.opened.office.ask(self.trouble.run, tool, **args)

    def _drafted(self, tool: str, **args: Any) -> PermitAnswer:
        self.opened.office.pause(ScopeKind.TOOL, tool, mode=HoldMode.DRAFT_ONLY)
        return self._asked(tool, **args)

    def looks(self) -> list[str]:
        lines = self.opened.office.read(lambda view: list(custody.custody(view, self.trouble.incident)))
        return [line.what for line in lines if line.deed is CustodyDeed.VIEWED and line.by == DANA]


@pytest.fixture
def sensitive(tmp_path: Path) -> Iterator[Sensitive]:
    made: list[Trouble] = []
    with house(tmp_path, first=lambda office: made.append(Trouble(office)), manifest=SENSITIVE) as opened:
        yield Sensitive(opened, made[0])


@pytest.mark.parametrize(("way", "what"), WAYS.items(), ids=WAYS)
def test_every_way_to_read_it_is_one_look(sensitive: Sensitive, way: str, what: str | None) -> None:
    address = way.format(**sensitive.names)
    dana = (
        sensitive.opened.as_(DANA)
        if address.startswith("/v1/")
        else Browser.signed_in(sensitive.opened, DANA).http
    )
    for _ in range(2):
        dana.get(address)
    assert sensitive.looks() == ([] if what is None else [what.format(**sensitive.names)])


def test_an_older_part_of_the_journal_is_no_look_at_it(sensitive: Sensitive) -> None:
    assert sensitive.opened.as_(DANA).get("/v1/journal?limit=1").status_code == 200
    assert sensitive.looks() == []


def test_who_looked_is_told_to_whoever_asks(sensitive: Sensitive) -> None:
    sensitive.opened.as_(DANA).get("/v1/calls")
    lines = sensitive.opened.as_(LEE).get(f"/v1/incidents/{sensitive.trouble.incident}/custody").json()
    assert lines[-1]["by"] == {"kind": "person", "id": DANA.id}
