"""Contract: with scripts turned off, people still sign in, read, stop the work and do what is asked next."""

from __future__ import annotations

from stopwork.demo.company import Company
from tests.browser.conftest import Visit


def test_an_incident_is_worked_on_without_scripts(company: Company, incident: str, visit: Visit) -> None:
    lee = visit(company.lee, script=False)
    assert lee.page.has(".noscript", "works without JavaScript")
    lee.follow("did the same work twice")
    lee.page.fill("#note-text", "I am looking.")
    lee.send(".note", "Add note")
    assert "I am looking." in lee.page.text(".timeline")
    lee.until_sealed(incident)
    lee.send("#preserve", "Seal again, with what came since")
    assert lee.said().startswith("Sealed ")
    lee.page.click("#pause summary")
    lee.follow("Hold more", within="#pause")
    lee.page.click(".option", "Runs started by schedule")
    lee.page.fill("#reason", "No further run before I have looked.")
    lee.send(".pause-form", "Set the hold")
    assert lee.said() == "Held: runs started by schedule. No call that it covers is in flight."
    assert len(company.lee.get("/v1/holds", incident=incident, active=True)) == 2


def test_a_refused_form_says_why_on_the_page_it_came_from(
    company: Company, incident: str, visit: Visit
) -> None:
    kim = visit(company.kim, script=False)
    kim.go(f"/incidents/{incident}")
    kim.page.click("#close > summary")
    kim.page.fill("#close input[name=reason]", "I have had enough of it.")
    kim.send("#close form", "Close")
    assert kim.said().startswith("problem: ")
    assert incident in kim.page.address
    assert company.kim.get(f"/v1/incidents/{incident}")["status"] != "closed"
