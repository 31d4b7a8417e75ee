"""Contract: a page that is open shows what happens, without being loaded again."""

from __future__ import annotations

from stopwork.demo.company import Company
from stopwork.demo.world import AgentMode
from tests.browser.conftest import RUN_ENDS_WITHIN_S, Visit


def test_the_board_shows_an_incident_without_being_reloaded(company: Company, visit: Visit) -> None:
    lee = visit(company.lee)
    assert lee.page.has("#calm", "No open incident")
    lee.page.until("document.getElementById('live').dataset.state === 'on'")
    lee.page.value("window.stayed = true")
    agent = company.start_agent(AgentMode.FLAWED)
    lee.page.until("document.getElementById('incidents')", within_s=RUN_ENDS_WITHIN_S)
    lee.page.until("document.querySelector('main').innerText.includes('Held: tool crm.create_task')")
    assert "did the same work twice" in lee.page.text(".board-main")
    lee.page.until("document.querySelector('main').innerText.includes('Draft messages for 5 audiences')")
    assert lee.page.value("window.stayed"), "the page was not loaded again"
    agent.wait(RUN_ENDS_WITHIN_S)
