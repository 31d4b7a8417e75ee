"""A visitor who signs in with the printed link and does what the incident's page asks next comes to its close.

The console is used as a browser without scripts does: links, forms, buttons. The demo tells each step that comes next, applies
the patched manifest at the press of Enter, and runs the repaired agent once on each stage that dana gives back.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bs4
import httpx
import pytest

from stopwork.demo.company import Company, eventually, open_company
from stopwork.demo.narrator import Narrator
from stopwork.demo.visit import Visit
from stopwork.ledger.words import Stage

Fields = dict[str, Any]

pytestmark = pytest.mark.slow


class ScriptedKeyboard:
    """Types what the test gives it."""

    listens = True

    def __init__(self) -> None:
        self.lines = [""]

    def line(self, wait_s: float) -> str | None:
        if self.lines:
            return self.lines.pop(0)
        time.sleep(min(wait_s, 0.05))
        return None


class Browser:
    """Looks at pages and presses their buttons; a button that is not there, or not enabled, fails the test."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, follow_redirects=True, trust_env=False, timeout=30)
        self._path = "/"
        self.page = bs4.BeautifulSoup("", "html.parser")

    def open(self, address: str) -> None:
        self._show(self._http.get(address))
        self._path = address

    def buttons(self, words: str) -> list[bs4.Tag]:
        """The enabled buttons that say these words, but for the one that repeats them as what comes next."""
        return [
            button
            for button in self.page.select("main button")
            if " ".join(button.get_text().split()).startswith(words)
            and not button.has_attr("disabled")
            and button.find_parent(id="next") is None
        ]

    def press(self, words: str, **fields: Any) -> None:
        """Press the first such button, with what its form holds already and ``fields`` typed into it."""
        found = self.buttons(words)
        assert found, f"there is no button {words!r}; there are {self._what_there_is()}"
        form = found[0].find_parent("form")
        assert form is not None
        held = self._held(form) | fields
        if found[0].get("name"):
            held[str(found[0]["name"])] = found[0].get("value", "")
        self._show(
            self._http.post(str(form["action"]), data=held, headers={"Origin": str(self._http.base_url)})
        )
        refusal = self.page.select_one(".flash[data-kind=problem]")
        assert refusal is None, (
            f"{words!r} was refused: {refusal.get_text(' ', strip=True)}" if refusal else ""
        )

    @property
    def next(self) -> str:
        """What the page asks for next."""
        title = self.page.select_one("#next-title")
        return title.get_text(" ", strip=True) if title else ""

    def close(self) -> None:
        self._http.close()

    def _show(self, answer: httpx.Response) -> None:
        assert answer.is_success, (
            f"{answer.request.method} {answer.request.url}: {answer.status_code}\n{answer.text[:2000]}"
        )
        self.page = bs4.BeautifulSoup(answer.text, "html.parser")

    def _held(self, form: bs4.Tag) -> Fields:
        held: dict[str, list[str]] = {}
        for field in form.select("input, textarea, select"):
            if not field.get("name") or (field.get("type") == "checkbox" and not field.has_attr("checked")):
                continue
            if field.name == "textarea":
                value = field.get_text().removeprefix("\n")
            elif field.name == "select":
                chosen = field.select_one("option[selected]")
                value = str(chosen.get("value", "")) if chosen else ""
            else:
                value = str(field.get("value", "on"))
            held.setdefault(str(field["name"]), []).append(value)
        return dict(held)

    def _what_there_is(self) -> list[str]:
        return [" ".join(each.get_text().split()) for each in self.page.select("main button")]


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with open_company(tmp_path / "world", tmp_path / "data") as company:
        yield company


def test_the_page_leads_a_visitor_through_all_ten_phases(company: Company) -> None:
    said, keyboard = io.StringIO(), ScriptedKeyboard()
    visit, dana = Visit(company, Narrator(said), keyboard), Browser(company.url)

    def until(words: str) -> None:
        def look() -> bool | None:
            visit.step()
            return words in said.getvalue() or None

        eventually(look, within_s=60, what=f"{words!r}, after:\n{said.getvalue()}")

    visit.begin()
    link = re.search(r"dana@acme\.test .*:\n +(http\S+)", said.getvalue())
    assert link is not None
    dana.open(link[1])
    dana.press("Sign in as dana@acme.test")
    until("Next, preserve")
    assert "ms later the tool crm.create_task is held" in said.getvalue()
    address = re.search(r"http\S+/incidents/AI-INC-\S+", said.getvalue())
    assert address is not None
    incident = address[0]

    def at(task: str) -> None:
        dana.open(incident)
        assert dana.next.startswith(task)

    until("Next, communicate")  # its evidence is sealed by itself
    at("Draft messages")
    dana.press("Draft the messages")
    for button in ("Approve this text", "Send it to"):
        while dana.buttons(button):
            dana.press(button)

    at("Start the containment checklist")
    dana.press("Make the checklist")
    while dana.buttons("Done"):
        dana.press("Done", verified_how="looked at it with lee")

    at("Audit the side effects")
    dana.press("Run the audit")
    at("Propose the recovery plan")
    dana.press("Make the recovery plan")
    at("Approve the recovery plan")
    dana.press("Approve what is ticked")
    at("Run the recovery plan")
    dana.press("Run the plan")

    at("Record the root cause")
    dana.press("Record the root cause", text="A repeated call could not be told from a new one.")
    at("Write the postmortem")
    dana.press("Save", control_gap="No key on crm.create_task.", detection_gap="None for stale dates.")
    at("Close the postmortem")
    dana.press("Close the postmortem")

    at("Apply a patched manifest")
    until("stopwork apply")
    keyboard.lines.append("")
    until("Version 2 is in force")
    for task in (
        "Say which test",
        "Say how it is noticed",
        "Say what changed in the runbook",
        "Sign the return",
    ):
        at(task)
        row = next(li for li in dana.page.select("#reenable li") if li.select_one("form") and _is_open(li))
        field, press = row.select_one("input[name=check]"), row.select_one("button")
        assert field is not None
        assert press is not None
        dana.press(press.get_text(strip=True), check=str(field["value"]), note="as agreed with lee")

    for number, stage in enumerate(Stage, start=2):
        at(f"{'Return the workflow at' if stage is Stage.READ_ONLY else 'Raise'} the stage")
        dana.press("Return it at the stage" if stage is Stage.READ_ONLY else "Raise one stage")
        until(f"starts a run at the stage {stage.value.replace('_', ' ')}")
        _until_run_ends(company, visit, dana, said, number)

    at("Review how prepared the workflow is")
    dana.press("Record this review")
    at("Close the incident")
    dana.press("Close AI-INC", reason="back to normal")
    assert dana.next.startswith("Nothing is left to do here")
    until("is closed")
    dana.close()


def _is_open(row: bs4.Tag) -> bool:
    button = row.select_one("button")
    state = row.select_one("[data-state]")
    return button is not None and (
        state is None or state["data-state"] not in ("passed", "attested", "excepted")
    )


def _until_run_ends(company: Company, visit: Visit, dana: Browser, said: io.StringIO, number: int) -> None:
    def ended() -> bool | None:
        dana.open("/approvals?state=pending")
        for each in company.dana.get("/v1/approvals", state="pending"):
            dana.open(f"/approvals/{each['id']}")
            dana.press("Approve exactly this")
        visit.step()
        return said.getvalue().count("The agent's run ") == number or None

    eventually(ended, within_s=60, what=f"the end of run {number}, after:\n{said.getvalue()}")
