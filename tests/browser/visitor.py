"""A person in front of the console: sees what a page shows, and clicks and types what a person would."""

from __future__ import annotations

import json
from typing import Final

from scripts.chromium import Browser, Page
from stopwork.demo.company import Company, eventually
from stopwork.demo.people import Person

NEXT: Final = "#next"
_FOR: Final = "Next, for "


class Visitor:
    """Somebody in a browser of their own. ``page`` is what they look at."""

    def __init__(self, browser: Browser, company: Company, person: Person, *, script: bool = True) -> None:
        self.url, self.address = company.url, person.address
        self.page: Page = browser.page(script=script)
        self.page.show()
        self.page.open(company.sign_in_link(person))
        self.send("main form", f"Sign in as {person.address}")

    def go(self, path: str) -> None:
        """Open a page of the console."""
        self.page.open(f"{self.url}{path}")

    def send(self, form: str, button: str) -> None:
        """Press a form's button and wait for the page that it leads to."""
        with self.page.loading():
            self.page.click(f"{form} button", button)

    def follow(self, text: str, *, within: str = "main") -> None:
        """Follow a link to another page."""
        with self.page.loading():
            self.page.click(f"{within} a", text)

    def said(self) -> str:
        """Answer what came of the form that was sent last; ``problem: …`` when it was refused."""
        text = self.page.text("#flash .flash")
        return f"problem: {text}" if self.page.has('#flash .flash[data-kind="problem"]') else text

    def reach(self, selector: str, *, most: int = 60) -> int:
        """Go to an element by the keyboard alone; answer how many keys that took."""
        for pressed in range(most):
            if self.page.value(f"document.activeElement?.matches({json.dumps(selector)}) ?? false"):
                return pressed
            self.page.press("Tab")
        raise AssertionError(f"{selector} is not reached by {most} presses of Tab")

    def violations(self, axe: str) -> list[str]:
        """Answer what axe-core finds wrong with the page as it is shown now."""
        if not self.page.value("typeof axe === 'object'"):
            self.page.value(f"{axe}; true")
        found = self.page.value(
            "axe.run(document, {resultTypes: ['violations']}).then((it) => it.violations)"
        )
        return [
            f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
            for each in found
        ]

    # --- an incident ---------------------------------------------------------------------------

    def until_sealed(self, incident: str) -> None:
        """Open what is preserved of an incident, once its evidence is sealed: by itself, where the incident is grave."""

        def sealed() -> bool | None:
            self.go(f"/incidents/{incident}")
            return self.page.has("#preserve summary", "sealed") or None

        eventually(sealed, within_s=20, what="a bundle of the evidence")
        self.page.click("#preserve > summary")

    def asked(self) -> str:
        """Answer what the incident asks for next."""
        return self.page.text("#next-title")

    def asked_of(self) -> str:
        """Answer who is asked for it; empty when this visitor may do it."""
        kicker = self.page.text(f"{NEXT} .next-kicker")
        return kicker.removeprefix(_FOR) if kicker.startswith(_FOR) else ""
