"""Contract: whoever is woken takes an incident with one key, and the keys say so."""

from __future__ import annotations

from stopwork.demo.company import Company
from tests.browser.conftest import Visit


def test_an_incident_is_taken_with_one_key(company: Company, incident: str, visit: Visit) -> None:
    lee = visit(company.lee)
    lee.go(f"/incidents/{incident}")
    assert "Take the incident" in lee.page.text("#shortcuts")
    lee.page.until("document.querySelector('[data-take]') !== null")
    with lee.page.loading():
        lee.page.press("t")
    assert lee.said() == "lee@acme.test has taken the incident."
    assert not lee.page.has("main", "Nobody has taken it yet")
