"""The pictures of docs/images, taken of the demo's own company while its agent goes wrong: ``python -m scripts.screenshots``.

``python -m scripts.screenshots --storybook FOLDER`` takes every page in every state instead, for whoever works on the pages.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Final

from scripts.chromium import Browser, BrowserError, Page, Size
from stopwork.demo.company import Company, eventually, open_company
from stopwork.demo.people import Person
from stopwork.demo.world import MANIFEST, AgentMode
from stopwork.kernel.errors import StopworkError
from stopwork.sdk import CallRefused
from stopwork.server.pages.storybook import write

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"
MAX_BYTES: Final = 300_000
TALL_PX: Final = 1120
WHOLE_PX: Final = 1500
TALL_PHONE_PX: Final = 1600
RUN_ENDS_WITHIN_S: Final = 60.0


class Photographer:
    """Takes pictures of one company's console and puts them into a folder."""

    def __init__(self, browser: Browser, company: Company, folder: Path) -> None:
        self._browser, self._company, self._folder = browser, company, folder

    def sign_in(self, person: Person) -> Page:
        """Answer a page on which this person is signed in."""
        page = self._browser.page()
        page.show()
        page.open(self._company.sign_in_link(person))
        with page.loading():
            page.click("main form button")
        return page

    def take(
        self,
        page: Page,
        name: str,
        path: str,
        *,
        opened: str = "",
        dark: bool = False,
        paper: bool = False,
        max_height: int = TALL_PX,
    ) -> None:
        """Picture a page wide; ``opened`` names a part of it that is unfolded and pictured alone."""
        page.show(dark=dark, paper=paper)
        page.open(f"{self._company.url}{path}")
        if opened:
            page.value(f"document.querySelector('{opened}').open = true")
        self._keep(page, name, part=opened, max_height=max_height)

    def take_both(self, page: Page, name: str, path: str) -> None:
        """Picture a page wide and as on a phone."""
        self.take(page, f"{name}-wide", path)
        page.show(size=Size.PHONE)
        page.open(f"{self._company.url}{path}")
        self._keep(page, f"{name}-phone", part="", max_height=TALL_PHONE_PX)

    def _keep(self, page: Page, name: str, *, part: str, max_height: int) -> None:
        file = self._folder / f"{name}.png"
        page.picture(file, part=part, max_height=max_height)
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise BrowserError(f"{file.name} has {size} bytes, more than {MAX_BYTES}")
        print(f"{file.name}  {size // 1000} kB")


def take_all(browser: Browser, company: Company, folder: Path) -> None:
    """Let the agent go wrong and picture what the people then see."""
    camera = Photographer(browser, company, folder)
    company.introduce(MANIFEST)
    lee, dana = camera.sign_in(company.lee), camera.sign_in(company.dana)
    agent = company.start_agent(AgentMode.FLAWED)
    agent.wait(RUN_ENDS_WITHIN_S)
    found = eventually(
        lambda: next(iter(company.lee.get("/v1/incidents")), None), within_s=10, what="an incident"
    )
    incident = f"/incidents/{found['id']}"

    camera.take_both(lee, "board", "/")
    camera.take_both(lee, "run", f"/runs/{found['runs'][0]}")
    camera.take_both(lee, "incident", incident)
    camera.take(lee, "incident-dark", incident, dark=True)
    camera.take(lee, "pause", f"/pause?incident={found['id']}&tool=crm.update_account", max_height=WHOLE_PX)

    with company.agents_tools("a question") as (tools, _run), contextlib.suppress(CallRefused):
        tools.send_mail(
            to="dana@acme.test", subject="Renewals at risk", body="Seven accounts need a call this week."
        )
    asked = company.dana.get("/v1/approvals", state="pending")[0]
    camera.take(dana, "approval", f"/approvals/{asked['id']}")

    for step in ("seal", "containment", "audit", "plan", "messages"):
        company.lee.post(f"/v1{incident}/{step}")
    for phase in ("audit", "recover", "communicate", "reenable"):
        camera.take(dana, phase, incident, opened=f"#{phase}")
    camera.take(dana, "report", f"{incident}/report", paper=True)


def storybook(browser: Browser, folder: Path) -> None:
    """Picture every story wide, in the dark and as on a phone."""
    folder.mkdir(parents=True, exist_ok=True)
    looks = {"": (Size.WIDE, False), "-dark": (Size.WIDE, True), "-phone": (Size.PHONE, False)}
    with tempfile.TemporaryDirectory() as book:
        page = browser.page()
        for story in write(Path(book)):
            for suffix, (size, dark) in looks.items():
                page.show(size=size, dark=dark)
                page.open(story.as_uri())
                page.picture(folder / f"{story.stem}{suffix}.png", max_height=6000)


def main() -> int:
    """Take the pictures; answer the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__)
    parser.add_argument("--storybook", type=Path, metavar="FOLDER", help="take every story into this folder")
    given = parser.parse_args()
    try:
        with Browser.running() as browser, tempfile.TemporaryDirectory() as scratch:
            if given.storybook:
                storybook(browser, given.storybook)
                return 0
            IMAGES.mkdir(parents=True, exist_ok=True)
            with open_company(Path(scratch, "world"), Path(scratch, "data")) as company:
                take_all(browser, company, IMAGES)
    except (BrowserError, StopworkError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
