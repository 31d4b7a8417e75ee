"""Contract of the plan on an incident's page: each field from what to what, what has become of the objects, rules that tick, changes with a why.

What a person sees is what they sign: a plan that was changed meanwhile has to be read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup

from stopwork.ledger.events import PlanApproved
from stopwork.ledger.records import Plan
from stopwork.ledger.words import PlanState, Remedy
from tests.support.office import DANA, LEE, Office
from tests.support.trouble import Trouble
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House, house


class Planned(Trouble):
    """A plan: a date to be set back, a copy to be deleted, and an original that is proposed to stay."""

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self.seal()
        self.audit()
        self.plan = self.propose()


@pytest.fixture
def planned() -> list[Planned]:
    return []


@pytest.fixture
def opened(tmp_path: Path, planned: list[Planned]) -> Iterator[House]:
    # Made before the server is there: its detectors would hold the tool between two calls.
    with house(tmp_path, first=lambda office: planned.append(Planned(office))) as found:
        yield found


@pytest.fixture
def trouble(opened: House, planned: list[Planned]) -> Planned:
    assert opened.office is planned[0].office
    return planned[0]


def page(browser: Browser, trouble: Planned, where: str = "") -> BeautifulSoup:
    query = f"?where={quote(where)}" if where else ""
    return browser.page(f"/incidents/{trouble.incident}{query}")


def ticked(found: BeautifulSoup) -> set[str]:
    return {str(box["value"]) for box in found.select("#recover input[name=item][type=checkbox][checked]")}


def change(browser: Browser, trouble: Planned, item: str, **fields: str) -> str:
    """Send the form of one item as the page has it, with some fields filled in otherwise."""
    form = page(browser, trouble).select_one(f"form#edit-{item}")
    assert form is not None
    hidden = {str(field["name"]): str(field["value"]) for field in form.select("input")}
    answer = browser.send(str(form["action"]), **(hidden | fields))
    assert answer.status_code == 303
    return said(answer)


def now(trouble: Planned) -> Plan:
    return trouble.office.read(lambda view: view.need(Plan, trouble.plan.id))


def test_a_rule_ticks_what_it_chooses_and_is_kept_with_the_approval(opened: House, trouble: Planned) -> None:
    dana = Browser.signed_in(opened, DANA)
    items = trouble.items(trouble.plan)
    assert ticked(page(dana, trouble)) == {items["acme"].id, items["task-2"].id}
    rule = "situation == 'duplicate_records'"
    found = page(dana, trouble, rule)
    assert ticked(found) == {items["task-2"].id}
    assert "The rule ticks 1 item of 3." in found.get_text(" ", strip=True)
    approved = dana.send(
        f"/incidents/{trouble.incident}/plan/approve",
        plan=trouble.plan.id,
        digest=trouble.plan.digest,
        where=rule,
        item=[items["task-2"].id],
        note="The date was agreed.",
    )
    assert said(approved) == "1 item approved."
    entries = opened.office.read(lambda view: list(view.entries(incident=trouble.incident)))
    [event] = [entry.event for entry in entries if isinstance(entry.event, PlanApproved)]
    assert event.where == rule


def test_a_rule_that_cannot_be_told_ticks_nothing_else_and_says_why(opened: House, trouble: Planned) -> None:
    dana = Browser.signed_in(opened, DANA)
    found = page(dana, trouble, "situation == 'copies'")
    assert ticked(found) == ticked(page(dana, trouble))
    assert "There is no situation 'copies'" in found.get_text(" ", strip=True)
    assert found.select_one("input[name=where][aria-invalid=true]") is not None


def test_an_item_is_changed_and_changed_back(opened: House, trouble: Planned) -> None:
    lee, dana = Browser.signed_in(opened, LEE), Browser.signed_in(opened, DANA)
    acme = trouble.items(trouble.plan)["acme"].id
    told = change(lee, trouble, acme, **{"field:renewal": "2026-07-01", "reason": "as agreed"})
    assert told == "Changed. The plan has to be read again before it is approved."
    text = page(dana, trouble).select_one("#recover").get_text(" ", strip=True)  # type: ignore[union-attr]
    assert "Changed by lee@acme.test" in text
    assert "as agreed" in text
    stale = dana.send(
        f"/incidents/{trouble.incident}/plan/approve",
        plan=trouble.plan.id,
        digest=trouble.plan.digest,
        item=[acme],
    )
    assert said(stale) == "this is not the plan you saw"
    assert change(dana, trouble, acme, undo="1", reason="no") == "The last change is taken back."
    assert trouble.items(trouble.plan)["acme"].edits == ()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reason": ""}, "nothing is said that should be otherwise"),
        ({"field:renewal": "2026-07-01", "reason": ""}, "say why, lee@acme.test"),
        ({"remedy": "merge", "reason": "x"}, "merge is not possible for crm/account/acme"),
        ({"order": "first", "reason": "x"}, "'first' is no turn"),
    ],
)
def test_a_change_that_cannot_be_says_why(
    opened: House, trouble: Planned, fields: dict[str, str], told: str
) -> None:
    lee = Browser.signed_in(opened, LEE)
    assert change(lee, trouble, trouble.items(trouble.plan)["acme"].id, **fields) == told
    assert now(trouble).digest == trouble.plan.digest


def test_what_would_be_deleted_may_be_corrected_instead(opened: House, trouble: Planned) -> None:
    lee = Browser.signed_in(opened, LEE)
    copy = trouble.items(trouble.plan)["task-2"].id
    change(
        lee, trouble, copy, **{"remedy": "correct", "field:title": "Call Globex", "reason": "it is wanted"}
    )
    item = trouble.items(trouble.plan)["task-2"]
    assert (item.remedy, item.changes["title"][1]) == (Remedy.CORRECT, "Call Globex")


def test_what_has_become_of_the_objects_is_shown_with_its_time(opened: House, trouble: Planned) -> None:
    lee = Browser.signed_in(opened, LEE)
    assert "Nobody has looked yet" in page(lee, trouble).get_text(" ", strip=True)
    del opened.office.crm.tasks["task-2"]
    told = said(lee.send(f"/incidents/{trouble.incident}/drift", place="recover"))
    assert told == "Looked at 3 objects: 2 as the calls left them."
    found = page(lee, trouble)
    assert "2 of 3 are as the calls left them" in found.select_one("#recover").get_text(" ", strip=True)  # type: ignore[union-attr]
    assert "Gone" in found.select_one("#audit").get_text(" ", strip=True)  # type: ignore[union-attr]


def steer(browser: Browser, trouble: Planned, way: str) -> str:
    """Send the form that pauses, resumes and cancels, as the page has it."""
    form = page(browser, trouble).select_one("form[action$='/recover/steer']")
    assert form is not None
    assert form.select_one(f"button[value={way}]") is not None, f"the page does not offer to {way}"
    hidden = {str(field["name"]): str(field["value"]) for field in form.select("input[type=hidden]")}
    answer = browser.send(str(form["action"]), **hidden, way=way, reason="Kim is asked")
    assert answer.status_code == 303
    return said(answer)


def test_a_recovery_is_paused_resumed_and_cancelled_for_a_reason(opened: House, trouble: Planned) -> None:
    trouble.approve(trouble.plan)
    del opened.office.inst.systems["crm"]  # only the agent's process can reach it: so it goes on for a while
    trouble.recover(trouble.plan)
    lee = Browser.signed_in(opened, LEE)
    assert steer(lee, trouble, "pause") == "Paused: no further change begins."
    assert "Paused by lee@acme.test: Kim is asked" in page(lee, trouble).get_text(" ", strip=True)
    assert steer(lee, trouble, "resume") == "It goes on."
    assert steer(lee, trouble, "cancel") == "Cancelled: what had not begun is as it was."
    assert now(trouble).state is PlanState.FINISHED
