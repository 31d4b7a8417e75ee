"""Contract of the pause page: without an incident too, a person says what must not happen again and is offered the smallest hold for it."""

from __future__ import annotations

import pytest

from stopwork.ledger.records import Hold, Scope
from stopwork.ledger.words import PauseRisk, ScopeKind
from tests.support.office import DANA, WORKFLOW
from tests.unit.server.browser import Browser
from tests.unit.server.house import House


@pytest.fixture(scope="module")
def dana(shared: House) -> Browser:
    return Browser.signed_in(shared, DANA)


def offered(dana: Browser, query: str) -> list[str]:
    return [
        str(each["value"])
        for each in dana.page(f"/pause?workflow={WORKFLOW}{query}").select("input[name=hold]")
    ]


def test_it_asks_for_the_risk_and_the_tool(dana: Browser) -> None:
    page = dana.page(f"/pause?workflow={WORKFLOW}")
    risks = [str(each["value"]) for each in page.select("select[name=risk] option")]
    tools = [each.get_text() for each in page.select("select[name=tool] option")]
    assert risks == ["", *PauseRisk]
    assert "crm.create_task" in tools
    assert page.select_one("form[method=get] input[name=workflow]") is not None


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("&risk=external_send", "tool:approval_required:mail.send"),
        ("&risk=external_send&destination=all@acme.test", "destination:block:all@acme.test"),
        ("&risk=bad_writeback&tool=crm.create_task", "tool:block:crm.create_task"),
        ("&risk=bad_writeback", "workflow:draft_only:renewals"),
        ("&risk=bad_scheduled_run", "trigger:block:schedule"),
        ("&tool=crm.create_task", "tool:block:crm.create_task"),
    ],
)
def test_the_smallest_hold_for_the_risk_comes_first_and_is_chosen(
    dana: Browser, query: str, first: str
) -> None:
    page = dana.page(f"/pause?workflow={WORKFLOW}{query}")
    chosen = page.select_one("input[name=hold][checked]")
    assert offered(dana, query)[0] == first
    assert chosen is not None
    assert chosen["value"] == first


def test_nothing_is_chosen_for_who_has_not_said_what_it_is_about(dana: Browser) -> None:
    assert not dana.page(f"/pause?workflow={WORKFLOW}").select("input[name=hold][checked]")


def test_a_risk_that_does_not_exist_is_told(dana: Browser) -> None:
    answer = dana.http.get(f"/pause?workflow={WORKFLOW}&risk=bogus")
    assert answer.status_code == 422
    assert "bogus" in answer.text
    assert "external_send" in answer.text


def test_a_destination_is_held(shared: House, dana: Browser) -> None:
    option = "destination:block:all@acme.test"
    sent = dana.send("/pause", workflow=WORKFLOW, hold=option, reason="the list is wrong")
    assert sent.status_code == 303
    [held] = shared.office.read(lambda view: view.find(Hold, active=True, limit=5))
    assert held.scope == Scope(kind=ScopeKind.DESTINATION, name="all@acme.test", workflow=WORKFLOW)
