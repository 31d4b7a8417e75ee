"""Contract: every page of the console passes axe-core in light, in dark and on a phone, and fits on the phone's screen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scripts.chromium import Size
from stopwork.demo.company import Company
from stopwork.sdk import CallRefused
from tests.browser.conftest import Visit

LOOKS = {"light": (Size.WIDE, False), "dark": (Size.WIDE, True), "phone": (Size.PHONE, False)}


@pytest.fixture(scope="module")
def addresses(company: Company, incident: str) -> dict[str, str]:
    """Every kind of page, with something on it: the incident is sealed, audited, and its recovery is planned."""
    at = f"/v1/incidents/{incident}"
    for step in ("seal", "containment", "audit", "plan", "messages"):
        company.lee.post(f"{at}/{step}")
    run = company.lee.get(at)["runs"][0]
    hold = company.lee.get("/v1/holds")[0]["id"]
    with company.agents_tools("a question") as (tools, _run):
        refused = _refusal(lambda: tools.send_mail(to="dana@acme.test", subject="Renewals", body="Look."))
    assert refused
    approval = company.dana.get("/v1/approvals", state="pending")[0]["id"]
    return {
        "board": "/",
        "workflow": "/workflows/weekly-renewal-risk",
        "run": f"/runs/{run}",
        "incident": f"/incidents/{incident}",
        "report": f"/incidents/{incident}/report",
        "incidents": "/incidents",
        "open an incident": "/incidents/new",
        "pause": f"/pause?incident={incident}",
        "hold": f"/holds/{hold}",
        "holds": "/holds",
        "approval": f"/approvals/{approval}",
        "approvals": "/approvals",
        "journal": "/journal",
        "signals": "/signals",
        "report something": "/report",
    }


def _refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except CallRefused as refused:
        return refused.verdict.value
    return ""


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_passes_axe(
    company: Company, addresses: dict[str, str], visit: Visit, axe: str, look: str
) -> None:
    dana = visit(company.dana)
    size, dark = LOOKS[look]
    dana.page.show(size=size, dark=dark)
    wrong: dict[str, list[str]] = {}
    for name, address in addresses.items():
        dana.go(address)
        dana.page.value("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        if found := dana.violations(axe):
            wrong[name] = found
        if dana.page.value("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wrong.setdefault(name, []).append("wider than the screen")
    assert wrong == {}


def test_what_is_printed_has_no_controls(company: Company, addresses: dict[str, str], visit: Visit) -> None:
    dana = visit(company.dana)
    dana.page.show(paper=True)
    dana.go(addresses["report"])
    for control in (".bar", "main button", "main form", ".actions"):
        assert not dana.page.has(control)
