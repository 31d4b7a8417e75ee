"""Contract of the audit on the console: every record it rests on opens, objects are filtered and paged, a form says what it is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from stopwork.ledger.records import Audit, Call
from tests.support.office import LEE, Office
from tests.support.trouble import Trouble
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House, house


class Audited(Trouble):
    """An incident whose side effects are audited: one account changed, two tasks created."""

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self.audit()

    @property
    def newest(self) -> Audit:
        found = self.office.read(lambda view: view.first(Audit, incident=self.incident, order="-at"))
        assert found is not None
        return found

    @property
    def here(self) -> str:
        return f"/incidents/{self.incident}"


@pytest.fixture
def made() -> list[Audited]:
    return []


@pytest.fixture
def opened(tmp_path: Path, made: list[Audited]) -> Iterator[House]:
    with house(tmp_path, first=lambda office: made.append(Audited(office))) as found:
        yield found


@pytest.fixture
def trouble(opened: House, made: list[Audited]) -> Audited:
    assert opened.office is made[0].office
    return made[0]


def names(page: BeautifulSoup) -> list[str]:
    return [found.get_text() for found in page.select(".affected summary .object .mono")]


def test_every_record_that_an_answer_rests_on_opens(opened: House, trouble: Audited) -> None:
    browser = Browser.signed_in(opened, LEE)
    page = browser.page(trouble.here)
    links = {str(link["href"]) for link in page.select("#audit a.id, #audit a[href^='/records/']")}
    assert len(links) >= 4
    for link in links:
        answer = browser.http.get(link)
        if answer.status_code == 303:
            answer = browser.http.get(answer.headers["location"])
        assert answer.status_code == 200, link


def test_what_a_call_may_have_changed_stands_with_the_call(opened: House, trouble: Audited) -> None:
    call = trouble.update.call
    answer = Browser.signed_in(opened, LEE).http.get(f"/records/{call}:crm/account/acme")
    assert answer.headers["location"] == f"/runs/{trouble.run}#{call}"


def test_a_record_that_is_not_there_is_said_to_be_missing(opened: House) -> None:
    assert Browser.signed_in(opened, LEE).http.get("/records/call_nobody_made").status_code == 404


def test_objects_are_filtered_by_what_stands_in_the_address(opened: House, trouble: Audited) -> None:
    browser = Browser.signed_in(opened, LEE)
    objects = f"{trouble.here}/objects"
    assert names(browser.page(objects)) == ["acme", "task-1", "task-2"]
    assert names(browser.page(f"{objects}?type=task")) == ["task-1", "task-2"]
    assert names(browser.page(f"{objects}?operation=modified")) == ["acme"]
    assert names(browser.page(f"{objects}?call={trouble.update.call}")) == ["acme"]
    assert names(browser.page(f"{objects}?reversible=no")) == []
    assert names(browser.page(f"{objects}?after=crm/account/acme")) == ["task-1", "task-2"]


def test_the_form_says_which_calls_the_audit_is_about(opened: House, trouble: Audited) -> None:
    browser = Browser.signed_in(opened, LEE)
    answer = browser.send(
        f"{trouble.here}/audit", tool="crm.create_task", objects="crm/task/task-1", followed="yes"
    )
    assert said(answer) == "Audited: 1 object changed."
    scope = trouble.newest.scope
    assert (scope.tools, scope.followed, [each.id for each in scope.objects]) == (
        ("crm.create_task",),
        True,
        ["task-1"],
    )
    shown = browser.page(trouble.here).select_one("#audit")
    assert shown is not None
    text = shown.get_text(" ", strip=True)
    assert "in part" in text
    assert "What followed" in text
    assert "How complete this is" in text


@pytest.mark.parametrize(
    ("field", "value"),
    [("versions", "three"), ("since", "yesterday"), ("objects", "acme"), ("runs", "run-x")],
)
def test_what_cannot_be_understood_is_refused_in_words(
    opened: House, trouble: Audited, field: str, value: str
) -> None:
    before = trouble.newest
    Browser.signed_in(opened, LEE).send(f"{trouble.here}/audit", **{field: value})
    assert trouble.newest == before
    assert opened.office.read(lambda view: view.count(Call)) == 3
