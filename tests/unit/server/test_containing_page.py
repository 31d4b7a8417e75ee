"""Contract of containment in the console: what an incident touched is made safe by its forms alone, each as the page offers it, and what a
form says is what was done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from stopwork.hooks.settings import load_hooks
from stopwork.ledger.records import Incident, Principal
from stopwork.ledger.words import IncidentStatus, IncidentType, RunStatus
from stopwork.operations import containment, runs
from tests.support.containing import CREDENTIALS
from tests.support.office import KIM, LEE, MANIFEST
from tests.support.trouble import Trouble
from tests.support.vault import Vault, vault
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House, house

TOKEN = "Revoke or rotate crm-integration of crm"
TOOL = "Keep crm.update_account from writing until its records are audited"
GRANT = "Reduce the grant mail.send to what the workflow needs"
NOTIFICATIONS = "Stop what mail.send still has to deliver, until it is reviewed"

UNGATED = MANIFEST.replace('    gate: {when: "true", approvers: [business], expires: 4h}\n', "")


@pytest.fixture
def kept() -> Iterator[Vault]:
    with vault() as made:
        yield made


@pytest.fixture
def opened(tmp_path: Path, kept: Vault) -> Iterator[House]:
    hooks = {
        "revoke": {
            "kind": "http",
            "serves": {"areas": ["secrets"]},
            "url": f"{kept.url}/tokens/{{target}}/revoke",
            "probe": {
                "kind": "http",
                "method": "GET",
                "url": f"{kept.url}/tokens/{{target}}",
                "expect": {"json": {"/token/active": False}},
            },
        },
        "dies": {
            "kind": "command",
            "serves": {"areas": ["notifications"]},
            "argv": [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"],
        },
        "drafts-only": {"kind": "hold", "serves": {"areas": ["write_tools"]}, "mode": "draft_only"},
    }
    made = load_hooks(hooks, env={}, folder=tmp_path)
    with house(tmp_path / "office", manifest=UNGATED + CREDENTIALS, hooks=made) as found:
        yield found


class Checklist:
    """The containment of one incident, as somebody sees it and fills its forms in."""

    def __init__(self, opened: House, who: Principal, incident: str) -> None:
        self.browser = Browser.signed_in(opened, who)
        self.path = f"/incidents/{incident}"

    def part(self, what: str = "") -> Tag:
        """Answer the part of the page about one item, or about all."""
        page = self.browser.page(self.path).select_one("#contain")
        assert page is not None
        found = (
            [each for each in page.select("ul.checks > li") if what in each.get_text()] if what else [page]
        )
        assert len(found) == 1, f"{what}: {page.get_text(' ', strip=True)}"
        return found[0]

    def text(self, what: str = "") -> str:
        return self.part(what).get_text(" ", strip=True)

    def buttons(self, what: str) -> list[str]:
        return [each.get_text(strip=True) for each in self.part(what).select("button")]

    def press(self, button: str, what: str = "", **filled: str) -> str:
        """Press a button that is there, with what its form holds and what is filled in; answer what the next page says."""
        part = self.part(what)
        (pressed,) = [each for each in part.select("form button") if each.get_text(strip=True) == button]
        form = pressed.find_parent("form")
        assert form is not None
        fields = {str(each["name"]): str(each.get("value", "")) for each in form.select("input")}
        assert set(filled) <= {str(each["name"]) for each in form.select("input, select")}
        if pressed.get("name"):
            fields[str(pressed["name"])] = str(pressed["value"])
        answer = self.browser.http.post(str(form["action"]), data=fields | filled)
        assert answer.status_code == 303
        return said(answer)

    def board(self) -> BeautifulSoup:
        return self.browser.page("/")


def checklist(opened: House, *, practice: bool = False) -> Checklist:
    """Answer the checklist of an incident in which the agent has written and sent, as lee sees it."""
    office = opened.office
    run = office.begin()
    office.do(run, "crm.update_account", account_id="acme", renewal="2025-01-01")
    office.do(run, "mail.send", to="ann@customer.test", subject="Renewal")
    office.write(lambda tx: runs.finish(tx, run=run, status=RunStatus.SUCCEEDED))
    trouble = Trouble.of_run(office, run, about=IncidentType.TOOL_MISUSE, practice=practice)
    trouble.seal()
    return Checklist(opened, LEE, trouble.incident)


def test_an_incident_is_contained_by_its_forms_alone(opened: House, kept: Vault) -> None:
    lee = checklist(opened)
    assert lee.press("Make the checklist").endswith("things to make safe.")
    listed = [each.get_text() for each in lee.part().select("ul.checks > li strong")]
    assert listed[0] == TOOL  # harm spreads from what writes first
    assert "drafts-only can hold it" in lee.text(TOOL)
    assert lee.press("Run drafts-only", TOOL) == f"{TOOL}: done."
    assert "Shown by the records: Hold" in lee.text(TOOL)

    kept.lies = True
    assert lee.press("Run revoke", TOKEN) == f"{TOKEN}: failed."
    assert "is not safe" in lee.press("Done", TOKEN, verified_how="trust me")
    assert lee.press("Look again", TOKEN) == f"{TOKEN}: failed."
    kept.lies = False
    assert lee.press("Try revoke again", TOKEN) == f"{TOKEN}: done."
    assert "Seen by a probe: POST at 127.0.0.1" in lee.text(TOKEN)
    assert lee.buttons(TOKEN) == []

    for each in listed:
        if each not in (TOOL, TOKEN):
            assert lee.press("Done", each, verified_how="I looked.") == "Recorded in your name."
    assert "Attested: I looked. lee@acme.test" in lee.text(GRANT)
    known = opened.office.read(lambda view: view.need(Incident, lee.path.rpartition("/")[2]))
    assert known.status is IncidentStatus.CONTAINED


def test_what_is_given_to_somebody_waits_for_them(opened: House) -> None:
    lee = checklist(opened)
    lee.press("Make the checklist")
    kim = Checklist(opened, KIM, lee.path.rpartition("/")[2])
    assert "Nothing waits for your approval." in kim.board().get_text()
    assert lee.press("Give it", GRANT, to="nobody@else.test") == "this server knows no nobody@else.test"
    assert lee.press("Give it", GRANT, to="kim@acme.test", hours="0") == "0 is no number of hours"
    assert lee.press("Give it", GRANT, to="kim@acme.test", hours="4") == "kim@acme.test has it."
    waiting = kim.board().select_one("[aria-labelledby=approvals]")
    assert waiting is not None
    assert GRANT in waiting.get_text()
    assert next(each["href"] for each in waiting.select("a")) == f"{kim.path}#contain"
    decisions = kim.browser.page(kim.path).select_one(".decisions")
    assert decisions is not None
    assert GRANT in decisions.get_text()
    assert (
        kim.press("Not applicable", GRANT, verified_how="It was reduced in May.") == "Recorded in your name."
    )
    assert "Nothing waits for your approval." in kim.board().get_text()


def test_only_what_can_be_done_is_offered(opened: House) -> None:
    lee = checklist(opened)
    lee.press("Make the checklist")
    ending = ["Done", "Not applicable", "Failed", "Give it"]
    assert lee.buttons(GRANT) == ending
    assert lee.buttons(NOTIFICATIONS) == ["Run dies", *ending]  # without a probe nobody but people can look
    assert lee.press("Run dies", NOTIFICATIONS) == f"{NOTIFICATIONS}: in doubt."
    assert lee.buttons(NOTIFICATIONS) == ending  # it may have taken hold
    assert lee.press("Failed", NOTIFICATIONS, verified_how="It still sends.") == "Recorded in your name."
    assert lee.buttons(NOTIFICATIONS) == ["Try dies again", *ending]


def test_a_drill_offers_holds_and_no_hooks(opened: House) -> None:
    lee = checklist(opened, practice=True)
    lee.press("Make the checklist")
    assert not any(each.startswith("Run") for each in lee.buttons(TOKEN))
    assert lee.buttons(TOOL)[:2] == ["Hold it", "Run drafts-only"]


def test_a_form_that_was_changed_by_hand_does_nothing(opened: House) -> None:
    lee = checklist(opened)
    lee.press("Make the checklist")
    send = partial(lee.browser.send, f"{lee.path}/containment")
    item = f"{lee.path.rpartition('/')[2]}/secrets/1"
    everything = partial(containment.listing, incident=item.partition("/")[0])
    before = opened.office.read(everything)
    assert said(send(item="AI-INC-2020-0101-001/secrets/1", state="done", verified_how="x")) == (
        "choose an item of this incident"
    )
    assert said(send(item=item, state="partial", verified_how="x")).endswith("cannot be recorded as partial")
    assert said(send(item=item, state="nothing", verified_how="x")) == "'nothing' cannot be chosen here"
    assert "verified" in said(send(item=item, state="done", verified_how="  "))
    gone = f"{item}0"
    assert said(send(item=gone, state="done", verified_how="x")) == f"there is no containment item '{gone}'"
    assert opened.office.read(everything) == before
