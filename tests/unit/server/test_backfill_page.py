"""Contract of the page of missed runs: a person sees every check, orders what passes, and takes an order back."""

from __future__ import annotations

import pytest

from stopwork.ledger.records import Backfill, Hold, Scope
from stopwork.ledger.words import BackfillState, HoldMode, ScopeKind
from tests.support.office import DANA, WORKFLOW
from tests.unit.server.browser import Browser
from tests.unit.server.house import House

HERE = f"/workflows/{WORKFLOW}/backfills"
OCCASION = "2020-03-02T08:00"


@pytest.fixture
def dana(opened: House) -> Browser:
    return Browser.signed_in(opened, DANA)


def orders(opened: House) -> list[Backfill]:
    return opened.office.read(lambda view: view.find(Backfill, limit=10))


def test_it_is_checked_ordered_and_withdrawn(opened: House, dana: Browser) -> None:
    assert dana.page(f"/workflows/{WORKFLOW}").select(f'a[href="{HERE}"]')
    page = dana.page(f"{HERE}?occasion={OCCASION}")
    assert "no run of 2020-03-02" in page.get_text().lower()
    form = page.select_one(f'form[method=post][action="{HERE}"]')
    assert form is not None
    occasion = form.select_one("input[name=occasion]")
    assert occasion is not None
    sent = dana.send(HERE, occasion=str(occasion["value"]), reason="the sheet is needed")
    assert sent.status_code == 303
    [ordered] = orders(opened)
    assert ordered.state is BackfillState.ORDERED
    assert "ordered already" in dana.page(f"{HERE}?occasion={OCCASION}").get_text()
    dana.send(f"/backfills/{ordered.id}/withdraw", reason="it came by mail")
    assert orders(opened)[0].state is BackfillState.WITHDRAWN


def test_what_nobody_was_due_at_is_told(dana: Browser) -> None:
    assert "Nothing was due" in dana.page(f"{HERE}?occasion=2020-03-02T09:00").get_text()


def test_what_stands_in_the_way_leaves_nothing_to_order(opened: House, dana: Browser) -> None:
    opened.office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    page = dana.page(f"{HERE}?occasion={OCCASION}")
    assert page.select_one(f'form[method=post][action="{HERE}"]') is None
    assert "It cannot be ordered like this." in page.get_text()


def test_an_item_is_put_in_quarantine_from_the_pause_page(opened: House, dana: Browser) -> None:
    option = "source:block:class:external\x1fmail-17"
    sent = dana.send("/pause", workflow=WORKFLOW, hold=option, reason="it gives orders")
    assert sent.status_code == 303
    [held] = opened.office.read(lambda view: view.find(Hold, active=True, limit=5))
    assert held.scope == Scope(
        kind=ScopeKind.SOURCE, name="class:external", workflow=WORKFLOW, item="mail-17"
    )
    assert held.mode is HoldMode.BLOCK
    assert "mail-17" in dana.page(f"/holds/{held.id}").get_text()
