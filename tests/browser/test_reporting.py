"""Contract: somebody reports from a phone with one sentence, and a time that they give is one of their own clock."""

from __future__ import annotations

from scripts.chromium import Size
from stopwork.demo.company import Company
from tests.browser.conftest import Visit


def test_a_report_from_a_phone_is_of_the_phones_time(company: Company, visit: Visit) -> None:
    kim = visit(company.kim)
    kim.page.show(size=Size.PHONE)
    kim.page.command("Emulation.setTimezoneOverride", timezoneId="Africa/Nairobi")
    kim.go("/report?workflow=weekly-renewal-risk")
    kim.page.fill("#what", "Globex has the same task three times.")
    kim.page.value("document.querySelector('main details').open = true")
    kim.page.value("document.querySelector('[name=when]').value = '2026-03-02T12:30'")
    kim.send("main form", "Report it")
    [signal] = company.kim.get("/v1/signals", kind="user_report")
    assert signal["occurred_at"] == "2026-03-02T09:30:00Z"
    assert signal["facts"]["when"] == "2026-03-02T12:30 Africa/Nairobi"
    assert signal["incident"] in kim.page.address
