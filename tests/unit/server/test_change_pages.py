"""Contract of the pages about change: whoever may sign a version sees what it changes and signs exactly that; a run stands beside the last good
one, and where there is none the page says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.ledger.records import Workflow
from stopwork.ledger.words import RunStatus
from stopwork.operations import manifests, runs
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House, house

CONTROLLED = MANIFEST + "change_control: {approver: business}\n"
LOOSER = CONTROLLED.replace("risk: high", "risk: medium")
VERSIONS = f"/workflows/{WORKFLOW}/versions"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as found:
        for text in (CONTROLLED, LOOSER):
            found.office.write(partial(manifests.apply, text=text, reason="less to ask"), actor=LEE)
        yield found


def in_force(opened: House) -> int:
    return opened.office.read(lambda view: view.need(Workflow, WORKFLOW)).version


def main(browser: Browser, path: str) -> str:
    return browser.page(path).select_one("main").get_text(" ", strip=True)  # type: ignore[union-attr]


def test_the_workflow_leads_to_what_waits_and_the_signer_signs_it(opened: House) -> None:
    dana = Browser.signed_in(opened, DANA)
    assert "Version 3 waits to be signed." in main(dana, f"/workflows/{WORKFLOW}")
    assert "Version 3 of renewals may give the agent more room" in main(dana, "/approvals")
    page = dana.page(VERSIONS)
    form = page.select_one("#version-3 form")
    assert form is not None
    assert "tools[mail.send].risk" in page.select_one("#version-3").text  # type: ignore[union-attr]
    digest = form.select_one("input[name=digest]")["value"]  # type: ignore[index]
    answer = dana.send(f"{VERSIONS}/3", decision="approve", digest=digest)
    assert said(answer) == "Signed: version 3 is in force."
    assert in_force(opened) == 3
    assert "Signed by dana@acme.test" in main(dana, VERSIONS)


def test_who_wrote_it_is_offered_no_signature_and_gets_none(opened: House) -> None:
    lee = Browser.signed_in(opened, LEE)
    page = lee.page(VERSIONS)
    assert "a second person has to sign" in page.select_one("#version-3").text  # type: ignore[union-attr]
    assert page.select_one("#version-3 button[value=approve]") is None
    digest = page.select_one("#version-3 input[name=digest]")["value"]  # type: ignore[index]
    assert "does not sign it as well" in said(
        lee.send(f"{VERSIONS}/3", decision="approve", digest=str(digest))
    )
    assert in_force(opened) == 2


def test_declining_needs_a_reason_for_the_author(opened: House) -> None:
    dana = Browser.signed_in(opened, DANA)
    assert said(dana.send(f"{VERSIONS}/3", decision="decline")) == "say why it is declined"
    assert said(dana.send(f"{VERSIONS}/3", decision="decline", note="Not yet.")) == "Version 3 is declined."
    assert "“Not yet.”" in main(dana, VERSIONS)
    assert "it is declined" in said(dana.send(f"{VERSIONS}/3", decision="approve", digest="x"))
    assert "there is no version 0" in said(dana.send(f"{VERSIONS}/three", decision="approve", digest="x"))


def test_a_run_beside_the_last_good_one(opened: House) -> None:
    office, dana = opened.office, Browser.signed_in(opened, DANA)
    good = office.begin("first")
    office.do(good, "crm.read_account", account_id="acme")
    office.write(partial(runs.finish, run=good, status=RunStatus.SUCCEEDED))
    office.wait(seconds=1)
    bad = office.begin("second", trigger="manual")
    office.do(bad, "crm.create_task", account_id="acme", title="Call")
    picked = main(dana, f"/runs/{bad}/difference")
    assert "What differs from the last good run" in picked
    assert "crm.create_task" in picked
    assert (
        picked.replace("the last good run", "an earlier run").split("trigger", 1)[1]
        == (main(dana, f"/runs/{good}/difference/{bad}").split("trigger", 1)[1])
    )
    nothing = dana.http.get(f"/runs/{good}/difference")
    assert (nothing.status_code, "no run before" in nothing.text.lower()) == (404, True)
    assert dana.http.get(f"/runs/run_x/difference/{bad}").status_code == 404
