"""Contract of long lists in the console: what does not fit on a page is on the next one, and a page that leaves something out says so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from stopwork.ledger.records import Scope
from stopwork.ledger.words import ScopeKind
from stopwork.operations import holds
from stopwork.server.pages.builders.controls import MAX_LISTED
from tests.support.office import DANA, LEE, WORKFLOW
from tests.unit.server.browser import Browser
from tests.unit.server.house import House, house

LIFTED = MAX_LISTED + 3


@pytest.fixture(scope="module")
def dana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with house(tmp_path_factory.mktemp("house")) as found:
        for number in range(LIFTED):
            _lifted(found, f"list-{number}@acme.test")
        yield Browser.signed_in(found, DANA)


def test_lifted_holds_go_on_on_the_next_page(dana: Browser) -> None:
    first = dana.page("/holds")
    older = first.select_one("nav.paging a[href*=after]")
    assert older is not None
    second = dana.page(str(older["href"]))
    shown = [{str(link["href"]) for link in page.select("#lifted ~ ul a")} for page in (first, second)]
    assert [len(each) for each in shown] == [MAX_LISTED, LIFTED - MAX_LISTED]
    assert not shown[0] & shown[1]


def test_a_short_list_has_no_pages(dana: Browser) -> None:
    assert dana.page("/approvals").select_one("nav.paging") is None


def _lifted(found: House, to: str) -> None:
    write = found.office.store.write
    scope = Scope(kind=ScopeKind.DESTINATION, name=to, workflow=WORKFLOW)
    held = write(partial(holds.pause, scope=scope, reason="looks wrong"), actor=DANA).hold
    write(partial(holds.lift, hold=held.id, reason="it was in order"), actor=LEE)
