"""Contract: two people who do only what the page asks next bring an incident from its first minute to its close.

They click what "Do this next" leads to and fill in what it asks for. The agent's developer applies the patched manifest,
and the agent is started once on each stage that is given back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from stopwork.demo.company import Company
from stopwork.demo.world import MANIFEST_FIXED, AgentMode
from stopwork.ledger.words import Phase, Stage
from tests.browser.conftest import RUN_ENDS_WITHIN_S, Visit
from tests.browser.visitor import NEXT, Visitor

MOST_STEPS: Final = 60
CLOSED: Final = "Nothing is left to do here"

pytestmark = pytest.mark.slow


class Walk:
    """The two owners in front of one incident. ``asked`` holds what they were asked, in order."""

    def __init__(self, company: Company, incident: str, lee: Visitor, dana: Visitor) -> None:
        self._company, self._incident = company, incident
        self._people = {each.address: each for each in (lee, dana)}
        self.lee, self.dana = lee, dana
        self.asked: list[str] = []

    def to_the_end(self) -> None:
        """Do what is asked next until nothing is."""
        for _ in range(MOST_STEPS):
            person = self._who_is_asked()
            task = person.asked()
            if task == CLOSED:
                return
            self.asked.append(task)
            self._do(person, task)
            assert not person.said().startswith("problem"), f"{task}: {person.said()}"
        raise AssertionError(f"the incident is not closed after {MOST_STEPS} steps: {self.asked}")

    def _who_is_asked(self) -> Visitor:
        person = self.lee
        person.go(f"/incidents/{self._incident}")
        if of := person.asked_of():
            person = self._people[of]
            person.go(f"/incidents/{self._incident}")
        return person

    def _do(self, person: Visitor, task: str) -> None:
        page = person.page
        if page.has(f"{NEXT} form button"):
            person.send(NEXT, task)
            return
        page.click(f"{NEXT} a.button")
        phase = Phase(page.value(f"document.querySelector('{NEXT}').dataset.phase"))
        if task == "Close the incident":
            page.fill("#close input[name=reason]", "It runs by itself again, and its control is patched.")
            person.send("#close form", "Close")
        else:
            _ANSWERS[phase](self, person, task)

    # --- what is answered in each phase ----------------------------------------------------------

    def contain(self, person: Visitor, _task: str) -> None:
        person.page.fill("#contain details[open] input[name=verified_how]", "Looked at it in the CRM.")
        person.send("#contain details[open] form", "Done")

    def recover(self, person: Visitor, _task: str) -> None:
        person.send("#recover form", "Approve what is ticked")

    def communicate(self, person: Visitor, task: str) -> None:
        assert "What happened:" in person.page.text("#communicate .message[open] .letter")
        person.send(
            "#communicate .message[open] form", "Send it" if task.startswith("Send") else "Approve and send"
        )

    def learn(self, person: Visitor, task: str) -> None:
        page = person.page
        if task.startswith("Record the root cause"):
            page.fill("#root-cause", "A repeated call could not be told from a new one.")
            person.send("#learn form", "Record the root cause")
        elif task.startswith("Write the postmortem"):
            page.fill("#pm-control_gap", "crm.create_task declared no key.")
            person.send("#learn .postmortem", "Save")
        else:
            person.send("#learn .postmortem", "Close the postmortem")

    def reenable(self, person: Visitor, task: str) -> None:
        if task == "Apply a patched manifest":
            assert "stopwork apply" in person.page.text("#reenable")
            self._company.apply(
                MANIFEST_FIXED, reason=f"{self._incident}: keys, fresh inputs, fewer permissions"
            )
        elif task.startswith("Watch a run"):
            self._run()
        elif task.startswith(("Return", "Raise")):
            person.send("#reenable form", "Return it" if task.startswith("Return") else "Raise one stage")
        else:
            answer = "#reenable .checks details[open]"
            person.page.fill(f"{answer} input[name=note]", "We went through it together.")
            person.send(f"{answer} form", "")

    def _run(self) -> None:
        """Let the repaired agent run once; dana answers what it asks, on the page that shows it to her."""
        agent = self._company.start_agent(
            AgentMode.STAGE_RUN, accounts=1, pace_s=0.0, approval_wait_s=RUN_ENDS_WITHIN_S
        )
        page = self.dana.page
        self.dana.go("/approvals")
        while agent.exit_code is None:
            if page.has("section:has(#waiting) a.button"):
                self.dana.follow("Decide", within="section:has(#waiting)")
                self.dana.send("form.decide", "Approve exactly this")
                assert self.dana.said() == "Approved: it runs when the agent asks again."
                self.dana.go("/approvals")
            else:
                page.wait(0.1)
        assert agent.exit_code == 0


_ANSWERS: Final[dict[Phase, Callable[[Walk, Visitor, str], None]]] = {
    Phase.CONTAIN: Walk.contain,
    Phase.RECOVER: Walk.recover,
    Phase.COMMUNICATE: Walk.communicate,
    Phase.LEARN: Walk.learn,
    Phase.REENABLE: Walk.reenable,
}


def test_two_people_are_led_through_all_ten_phases(company: Company, incident: str, visit: Visit) -> None:
    before = company.contents()
    walk = Walk(company, incident, visit(company.lee), visit(company.dana))
    walk.to_the_end()

    workflow = company.lee.get("/v1/workflows/weekly-renewal-risk")
    assert workflow["stage"] == Stage.NORMAL
    assert company.lee.get("/v1/holds", active=True) == []
    assert company.lee.get(f"/v1/incidents/{incident}")["status"] == "closed"
    raised = [task for task in walk.asked if task.startswith(("Return the workflow", "Raise the stage"))]
    assert len(raised) == len(Stage), "each stage is given back by itself"
    assert before["A-101"]["renewal_date"] != company.contents()["A-101"]["renewal_date"]
    walk.dana.go("/")
    assert walk.dana.page.has("#calm", "No open incident")
    walk.dana.go(f"/incidents/{incident}/report")
    assert "Status closed" in walk.dana.page.text(".report-lines")
