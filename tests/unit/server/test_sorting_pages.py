"""Contract of sorting in the console: what is proposed stands first and is decided there, by a button or a key; what has ended asks for
nothing; and what the forms say is what was done.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.ledger.words import IncidentStatus
from stopwork.operations import manifests
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW
from tests.support.triaging import (
    PROPOSES,
    accept,
    decline,
    held,
    incident,
    merge,
    new_incident,
    noticed,
)
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House, house


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        found.office.write(
            partial(manifests.apply, text=MANIFEST + PROPOSES, reason="it asks first"), actor=DANA
        )
        yield found


def main(browser: Browser, path: str) -> str:
    return browser.page(path).select_one("main").get_text(" ", strip=True)  # type: ignore[union-attr]


@pytest.mark.parametrize("path", ["/", "/incidents"])
def test_a_proposal_stands_first_with_what_is_held_and_who_decides(opened: House, path: str) -> None:
    raised = held(opened.office)
    page = Browser.signed_in(opened, LEE).page(path)
    row = page.select_one("main section [data-proposal]")
    assert row is not None
    text = row.get_text(" ", strip=True)
    assert "by the rule policy_violation" in text
    assert "SEV1" in text
    assert str(raised.incident) in text
    assert "paus" in text.lower() or "held" in text.lower()
    assert {each["data-key"] for each in row.select("[data-key]")} == {"a", "d"}
    assert page.select_one("main section").select_one("[data-proposal]") is row  # type: ignore[union-attr]


def test_it_is_accepted_with_one_click(opened: House) -> None:
    proposed = new_incident(opened.office)
    lee = Browser.signed_in(opened, LEE)
    answer = lee.send(f"/incidents/{proposed}/accept")
    assert answer.headers["location"] == f"/incidents/{proposed}"
    assert said(answer) == f"{proposed} is open. You are its commander until you hand it over."
    assert lee.page("/incidents").select_one("[data-proposal]") is None


def test_it_is_declined_with_a_reason_and_what_its_rule_held_goes_on(opened: House) -> None:
    raised = held(opened.office)
    at = f"/incidents/{raised.incident}"
    refused = Browser.signed_in(opened, LEE).send(f"{at}/decline", reason="a test")
    assert "business owner" in said(refused)
    answer = Browser.signed_in(opened, DANA).send(f"{at}/decline", reason="a test")
    assert said(answer) == f"{raised.incident} is declined. 1 hold lifted."
    assert incident(opened.office, str(raised.incident)).status is IncidentStatus.DECLINED


def test_the_page_of_a_proposal_asks_for_the_decision_and_that_of_a_declined_one_for_nothing(
    opened: House,
) -> None:
    proposed, other = new_incident(opened.office), new_incident(opened.office, "mail.send")
    lee = Browser.signed_in(opened, LEE)
    page = lee.page(f"/incidents/{proposed}")
    assert page.select_one(f'#next form[action="/incidents/{proposed}/accept"]') is not None
    assert [each["value"] for each in page.select('#next select[name="into"] option')] == [other]
    lee.send(f"/incidents/{proposed}/decline", reason="a test")
    page = lee.page(f"/incidents/{proposed}")
    assert "Nothing is left to do here" in page.text
    assert "Declined A test lee@acme.test" in main(lee, f"/incidents/{proposed}")
    assert page.select("#open form, #close") == []


def test_what_was_merged_leads_to_where_it_went_on(opened: House) -> None:
    first, home = new_incident(opened.office), new_incident(opened.office, "mail.send")
    lee = Browser.signed_in(opened, LEE)
    answer = lee.send(f"/incidents/{first}/merge", into=home, reason="one cause")
    assert answer.headers["location"] == f"/incidents/{home}"
    assert f"Went on in {home}" in main(lee, f"/incidents/{first}")
    assert "Merged One cause lee@acme.test" in main(lee, f"/incidents/{first}")
    assert "One cause" not in main(lee, f"/incidents/{home}").split("Timeline")[0]
    assert f"{first} was merged into it" in main(lee, f"/incidents/{home}")


def test_what_is_about_another_cause_is_chosen_and_split_off(opened: House) -> None:
    home = new_incident(opened.office)
    other = new_incident(opened.office, "mail.send")
    merge(opened.office, other, home)
    accept(opened.office, home)
    lee = Browser.signed_in(opened, LEE)
    boxes = lee.page(f"/incidents/{home}").select('input[name="signals"]')
    assert len(boxes) == 2
    answer = lee.send(f"/incidents/{home}/split", signals=boxes[1]["value"], reason="another tool")
    assert incident(opened.office, answer.headers["location"].rsplit("/", 1)[1]).split_from == home


# --- opening ------------------------------------------------------------------------------------------


def test_a_signal_that_was_only_logged_is_opened_with_one_click(opened: House) -> None:
    raised = noticed(opened.office, alarming=False)
    lee = Browser.signed_in(opened, LEE)
    field = lee.page("/signals").select_one('form[action="/incidents"] input[name=signal]')
    assert field is not None
    assert field["value"] == raised.signal
    answer = lee.send("/incidents", signal=raised.signal)
    new = answer.headers["location"].rpartition("/")[2]
    assert incident(opened.office, new).signals == (raised.signal,)
    assert lee.page("/signals").select_one('form[action="/incidents"]') is None


def test_a_signal_whose_incident_was_declined_can_be_opened_again(opened: House) -> None:
    raised = noticed(opened.office)
    decline(opened.office, str(raised.incident))
    lee = Browser.signed_in(opened, LEE)
    assert "Open another incident" in main(lee, "/signals")
    answer = lee.send("/incidents", signal=raised.signal)
    assert answer.headers["location"] != f"/incidents/{raised.incident}"


def test_a_drill_is_opened_from_the_form_and_counts_nowhere(opened: House) -> None:
    lee = Browser.signed_in(opened, LEE)
    assert lee.page("/incidents/new").select_one("input[type=checkbox][name=practice]") is not None
    answer = lee.send("/incidents", text="The mailer runs wild.", workflow=WORKFLOW, practice="yes")
    drill = incident(opened.office, answer.headers["location"].rpartition("/")[2])
    assert drill.practice
    board = lee.page("/")
    assert board.select_one("#incidents .count").get_text() == "0"  # type: ignore[union-attr]
    assert drill.id not in main(lee, f"/workflows/{WORKFLOW}")


def test_every_open_incident_of_a_workflow_is_named_there_also_when_the_newest_has_ended(
    opened: House,
) -> None:
    first, second = (accept(opened.office, new_incident(opened.office, each)).id for each in ("a", "b"))
    lee = Browser.signed_in(opened, LEE)
    assert f"There are open incidents: {second} , {first}" in main(lee, f"/workflows/{WORKFLOW}")
    decline(opened.office, second)
    for path in (f"/workflows/{WORKFLOW}", "/"):
        assert first in main(lee, path)
    assert f"There is an open incident: {first}" in main(lee, f"/workflows/{WORKFLOW}")


# --- many signals --------------------------------------------------------------------------------------


def test_of_many_signals_an_incident_shows_some_and_leads_to_all(opened: House) -> None:
    (home,) = {noticed(opened.office).incident for _ in range(25)}
    new_incident(opened.office, "mail.send")
    lee = Browser.signed_in(opened, LEE)
    page = lee.page(f"/incidents/{home}")
    heading = next(each for each in page.select("#open h3") if each.text.startswith("Signals"))
    listed = heading.find_next_sibling("ul")
    assert listed is not None
    assert len(listed.find_all("li")) == 20
    every = heading.find_next_sibling("p")
    assert every is not None
    assert every.text == "All 25 signals"
    shown = lee.page(str(every.find_all("a")[0]["href"])).select("ul.rows > li")
    assert len(shown) == 25


def test_what_several_signals_say_alike_is_told_once_at_the_head(opened: House) -> None:
    (home,) = {noticed(opened.office).incident for _ in range(3)}
    noticed(opened.office, summary="it went on")
    happened = Browser.signed_in(opened, LEE).page(f"/incidents/{home}").select_one(".gist dd")
    assert happened is not None
    assert happened.get_text(" ", strip=True).startswith(
        "It does what it should not. It went on. 2 more signals ."
    )
