"""Contract: in the first minutes of an incident its page says what happened, and each step is a click away."""

from __future__ import annotations

import pytest

from stopwork.demo.company import Company, eventually
from stopwork.sdk import CallRefused
from tests.browser.conftest import Visit


def test_the_head_of_an_incident_tells_a_stranger_what_happened(
    company: Company, incident: str, visit: Visit
) -> None:
    kim = visit(company.kim)
    kim.go(f"/incidents/{incident}")
    gist = kim.page.text(".gist")
    assert "crm.create_task was permitted 2 times for the same action" in gist
    assert "mail.send may still run" in gist
    assert "accounts changed in crm. Not audited yet." in gist
    assert "Held: tool crm.create_task" in kim.page.text(".vitals")
    assert "sig_" not in kim.page.text("main"), "what a signal said stands in the place of its id"


def test_the_evidence_of_a_grave_incident_is_sealed_by_itself_and_again_with_one_click(
    company: Company, incident: str, visit: Visit
) -> None:
    lee = visit(company.lee)
    lee.until_sealed(incident)
    assert lee.asked() != "Seal the evidence"
    assert "by itself" in lee.page.text("#preserve .callout")
    lee.send("#preserve", "Seal again, with what came since")
    assert lee.said().startswith("Sealed ")
    assert f"by {lee.address}" in lee.page.text("#preserve .callout")


def test_a_pause_proposes_the_smallest_scope_and_answers_with_three_sets(
    company: Company, incident: str, visit: Visit
) -> None:
    lee = visit(company.lee)
    lee.go(f"/pause?workflow=weekly-renewal-risk&incident={incident}&tool=crm.update_account")
    assert "Tool crm.update_account block every call smallest that fits" in lee.page.text(
        ".option:has(:checked)"
    )
    lee.page.fill("#reason", "Its dates are wrong.")
    lee.send(".pause-form", "Set the hold")
    assert lee.said() == "Held: tool crm.update_account. No call that it covers is in flight."
    assert lee.page.text("#closed") == "Closed"
    assert lee.page.text("#flight") == "In flight"
    assert lee.page.text("#unconfirmed") == "Enforcement points"
    assert lee.page.has(".badge", "In force")
    lee.go(f"/incidents/{incident}")
    assert "crm.create_task and tool crm.update_account" in lee.page.text(".vitals")
    assert "crm.list_accounts, crm.read_export and mail.send may still run" in lee.page.text(".gist")
    lee.go(f"/pause?incident={incident}")
    assert lee.page.has(".option:has(:disabled) .badge", "held already")


def test_a_pause_needs_no_mouse(company: Company, incident: str, visit: Visit) -> None:
    dana = visit(company.dana)
    dana.page.press("p")
    dana.page.until("location.pathname === '/pause'")
    dana.page.until("document.readyState === 'complete'")
    dana.reach("input[type=radio][name=hold]")
    dana.page.press("Space")
    dana.reach("#reason")
    dana.page.type("Nobody touches anything until I have looked.")
    dana.reach("button.stop[type=submit]")
    with dana.page.loading():
        dana.page.press("Enter")
    assert dana.said() == "Paused. No call that it covers is in flight."
    assert dana.page.text("h1") == "Hold: workflow weekly-renewal-risk"
    dana.page.until("document.activeElement.id === 'flash'")
    (hold,) = (
        each for each in company.kim.get("/v1/holds", active=True) if each["scope"]["kind"] == "workflow"
    )
    company.kim.post(f"/v1/holds/{hold['id']}/lift", reason="That was only to see that it can be done.")


def test_a_call_that_nobody_knows_the_end_of_is_settled_on_its_run(
    company: Company, incident: str, visit: Visit
) -> None:
    kim = visit(company.kim)
    kim.go(f"/incidents/{incident}")
    kim.follow("crm.create_task", within=".gist")
    kim.page.until("document.querySelector('.call[open] form')")
    assert "Did it happen?" in kim.page.text(".call[open]")
    kim.page.fill(".call[open] input[name=note]", "The task is in the CRM.")
    kim.send(".call[open] form", "It happened")
    assert kim.said() == "Settled in your name: it happened."
    assert not kim.page.has("main .badge", "Outcome unknown")
    assert "reconciled by kim@acme.test: The task is in the CRM." in kim.page.text(".call[open]")


def test_an_approval_is_of_exactly_what_is_shown(company: Company, incident: str, visit: Visit) -> None:
    dana = visit(company.dana)
    with company.agents_tools("a question") as (tools, _run), pytest.raises(CallRefused):
        tools.send_mail(to="dana@acme.test", subject="Renewals", body="Three accounts need a call.")
    asked = eventually(
        lambda: next(iter(company.dana.get("/v1/approvals", state="pending")), None),
        within_s=5,
        what="a question",
    )
    dana.go("/approvals")
    dana.follow("Decide", within="#main section:has(#waiting)")
    assert "Three accounts need a call." in dana.page.text(".arguments")
    lee = visit(company.lee)
    lee.go(f"/approvals/{asked['id']}")
    assert not lee.page.has("form.decide"), "lee is not asked"
    dana.send("form.decide", "Approve exactly this")
    assert dana.said() == "Approved: it runs when the agent asks again."
    assert company.dana.get(f"/v1/approvals/{asked['id']}")["state"] == "approved"
