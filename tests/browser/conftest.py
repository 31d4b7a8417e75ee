"""A browser, a company in which an agent has just gone wrong, and its people in front of the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.chromium import Browser
from stopwork.demo.company import Company, eventually, open_company
from stopwork.demo.people import Person
from stopwork.demo.world import MANIFEST, AgentMode
from tests.browser.visitor import Visitor

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RUN_ENDS_WITHIN_S = 60.0

Visit = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever stands in this folder drives a real browser, and its tests share a company."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with Browser.running() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe() -> str:
    assert AXE.exists(), f"{AXE} is missing: `make test-all` brings it"
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """The demo's company, before its agent's first run."""
    home = tmp_path_factory.mktemp("company")
    with open_company(home / "world", home / "data") as company:
        company.introduce(MANIFEST)
        yield company


@pytest.fixture(scope="module")
def incident(company: Company) -> str:
    """The incident that the agent's first run was the cause of, once that run has ended."""
    agent = company.start_agent(AgentMode.FLAWED)
    agent.wait(RUN_ENDS_WITHIN_S)

    def opened() -> str | None:
        found = company.lee.get("/v1/incidents")
        return str(found[0]["id"]) if found else None

    return eventually(opened, within_s=10, what="an incident")


@pytest.fixture
def visit(browser: Browser, company: Company) -> Iterator[Visit]:
    """Sits somebody down in front of the console; in the end nothing may have been complained of in their browser."""
    seated: list[Visitor] = []

    def sit_down(person: Person, *, script: bool = True) -> Visitor:
        seated.append(Visitor(browser, company, person, script=script))
        return seated[-1]

    yield sit_down
    complaints = [text for visitor in seated for text in visitor.page.complaints]
    for visitor in seated:
        visitor.page.close()
    assert complaints == []
