"""Contract of the draft pages: a person sees exactly what would run, changes, releases or discards it, and is told what it waits for."""

from __future__ import annotations

import pytest

from stopwork.ledger.records import Draft
from stopwork.ledger.words import DraftState, HoldMode, ScopeKind
from tests.support.office import DANA, LEE, WORKFLOW
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House


@pytest.fixture
def draft(opened: House) -> str:
    """A change of an account that an agent was not let to make."""
    office = opened.office
    office.pause(ScopeKind.WORKFLOW, WORKFLOW, mode=HoldMode.DRAFT_ONLY)
    return office.ask(office.begin(), "crm.update_account", account_id="acme", renewal="2026-09-01").call


def look(opened: House, draft: str) -> Draft:
    return opened.office.read(lambda view: view.need(Draft, draft))


def text(browser: Browser, path: str) -> str:
    return browser.page(path).select_one("main").get_text(" ", strip=True)  # type: ignore[union-attr]


def test_the_list_the_board_and_the_run_lead_to_it(opened: House, draft: str) -> None:
    dana = Browser.signed_in(opened, DANA)
    run = look(opened, draft).run
    for path in ("/drafts", f"/drafts?workflow={WORKFLOW}", f"/runs/{run}"):
        assert dana.page(path).select_one(f'main a[href="/drafts/{draft}"]') is not None, path
    assert "1 draft to decide" in text(dana, "/")
    assert dana.page(f"/drafts/{draft}").select_one("nav a[aria-current] .count") is not None


def test_the_page_shows_what_would_run_and_what_is_there(opened: House, draft: str) -> None:
    shown = text(Browser.signed_in(opened, DANA), f"/drafts/{draft}")
    for part in ("Exactly this would run", "2026-09-01", "crm / account / acme", "2026-06-01", "held by"):
        assert part in shown, part


def test_changed_then_released_it_waits_for_a_guard(opened: House, draft: str) -> None:
    dana = Browser.signed_in(opened, DANA)
    page = f"/drafts/{draft}"
    before = look(opened, draft).digest
    changed = dana.send(
        page, decision="edit", reason="a day later", digest=before, **{"arg:renewal": "2026-09-02"}
    )
    assert said(changed) == "Changed. Release it now, or leave it to somebody else."
    stale = dana.send(page, decision="release", reason="fine", digest=before, referer=f"{opened.url}{page}")
    assert said(stale) == "what you saw is not what would run now"
    sent = dana.send(page, decision="release", reason="fine", digest=look(opened, draft).digest)
    assert (said(sent), sent.headers["location"]) == ("Released: a guard of its workflow runs it.", page)
    shown = text(dana, page)
    assert f"It waits for a guard of {WORKFLOW}, since" in shown
    assert "2026-09-02" in shown
    assert look(opened, draft).args == {"account_id": "acme", "renewal": "2026-09-02"}


def test_who_may_not_release_it_is_told_who_may(opened: House, draft: str) -> None:
    lee = Browser.signed_in(opened, LEE)
    page = lee.page(f"/drafts/{draft}")
    assert page.select_one('button[value="release"]') is None
    assert page.select_one('button[value="discard"]') is not None
    assert "It can be released by dana@acme.test" in page.get_text(" ", strip=True)


def test_what_a_hold_would_stop_cannot_be_released(opened: House, draft: str) -> None:
    opened.office.pause(ScopeKind.TOOL, "crm.update_account", workflow=WORKFLOW)
    page = Browser.signed_in(opened, DANA).page(f"/drafts/{draft}")
    assert page.select_one('button[value="release"]') is None
    assert "Released now it would not run:" in page.get_text(" ", strip=True)


def test_discarded_it_is_closed_with_its_reason(opened: House, draft: str) -> None:
    lee = Browser.signed_in(opened, LEE)
    sent = lee.send(f"/drafts/{draft}", decision="discard", reason="The customer has left.")
    assert said(sent) == "Discarded: it will not run."
    assert "The customer has left." in text(lee, f"/drafts/{draft}")
    assert look(opened, draft).state is DraftState.DISCARDED


def test_the_journal_leads_to_it(opened: House, draft: str) -> None:
    lee = Browser.signed_in(opened, LEE)
    lee.send(f"/drafts/{draft}", decision="discard", reason="No.")
    assert lee.page("/journal").select_one(f'main a[href="/drafts/{draft}"]') is not None
