"""Every page in every state is well formed, safe under the strict policy, and usable without a mouse or a script.

The stories stand for the pages: what holds for each of them holds for the console.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup, Tag

from stopwork.server.pages import contexts
from stopwork.server.pages.rendering import Pages
from stopwork.server.pages.stories.world import HOSTILE
from stopwork.server.pages.storybook import stories

STORIES = dict(stories())
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
PAGES = Pages()


class Nesting(HTMLParser):
    """Fails on an end tag that does not close the innermost open element."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _value in attrs]
        if len(names) != len(set(names)):
            self.wrong.append(f"<{tag}> repeats an attribute at {self.getpos()}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A self-closed element opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


@pytest.fixture(params=STORIES, scope="module")
def html(request: pytest.FixtureRequest) -> str:
    return PAGES.render(STORIES[request.param])


@pytest.fixture(scope="module")
def page(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def test_is_well_formed(html: str) -> None:
    nesting = Nesting()
    nesting.feed(html)
    assert nesting.wrong == []
    assert nesting.open == []


def test_has_nothing_that_the_policy_refuses(page: BeautifulSoup) -> None:
    assert page.find_all("style") == []
    assert [tag for tag in page.find_all("script") if not tag.get("src")] == []
    handlers = [
        (tag.name, name)
        for tag in page.find_all(True)
        for name in tag.attrs
        if re.match("on|style$|hx-on", name)
    ]
    assert handlers == []
    assert [tag for tag in page.find_all(["a", "form"]) if "javascript:" in str(tag.attrs).lower()] == []


def test_evaluates_no_script_in_attributes(page: BeautifulSoup) -> None:
    for tag in page.find_all(True):
        for name in ("hx-vals", "hx-headers", "hx-confirm", "hx-trigger"):
            assert not re.search(r"js:|\[", str(tag.get(name, ""))), tag


def test_every_posting_form_carries_the_token(page: BeautifulSoup) -> None:
    for form in page.find_all("form", method="post"):
        token = form.find("input", attrs={"name": "csrf"})
        assert token is not None, form
        assert token["value"], form
        assert str(form["action"]).startswith("/"), form


def test_every_control_has_a_name(page: BeautifulSoup) -> None:
    for control in page.find_all(
        ["input", "select", "textarea", "button", "a", "summary", "meter", "progress"]
    ):
        if control.get("type") == "hidden":
            continue
        assert name_of(page, control), control


def test_ids_are_unique_and_references_arrive(page: BeautifulSoup) -> None:
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert sorted(ids) == sorted(set(ids))
    for tag in page.find_all(True):
        for attribute in ("for", "aria-labelledby", "aria-describedby", "list"):
            for target in str(tag.get(attribute, "")).split():
                assert target in ids, (attribute, target)


def test_headings_begin_with_one_and_skip_no_level(page: BeautifulSoup) -> None:
    main = page.find("main")
    assert isinstance(main, Tag)
    headings = main.find_all(re.compile("^h[1-6]$"))
    levels = [int(tag.name[1]) for tag in headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_time_is_machine_readable_with_its_zone(page: BeautifulSoup) -> None:
    for tag in page.find_all("time"):
        assert str(tag["datetime"]).endswith("+00:00"), tag


def test_plurals_are_right(page: BeautifulSoup) -> None:
    text = page.get_text(" ", strip=True)
    assert not re.search(
        r"\b1 (calls|runs|points|holds|items|entries|objects|fields|versions|minutes|people)\b", text
    )
    assert not re.search(r"\b(?!1\b)\d+ (call|run|point|hold|item|entry|object|field|person)\b", text)


def test_nothing_is_called_paused_while_something_is_open() -> None:
    for name in ("incident-pause", "hold-pausing", "holds"):
        page = BeautifulSoup(PAGES.render(STORIES[name]), "html.parser")
        badges = [badge.get_text(" ", strip=True) for badge in page.select("main .badge")]
        assert "Pausing: 1 call in flight, 1 point not confirmed, 2 points silent" in badges
        assert "Paused" not in badges


def test_a_held_tool_is_not_called_a_paused_workflow() -> None:
    for name in ("board-busy", "workflow", "incident-preserve", "incidents"):
        page = BeautifulSoup(PAGES.render(STORIES[name]), "html.parser")
        badges = [badge.get_text(" ", strip=True) for badge in page.select("main .badge")]
        assert {
            "Held: tool crm.create_task",
            "Pausing tool crm.create_task: 1 call in flight, 1 point not confirmed",
        } & set(badges)
        assert "Paused" not in badges


def test_hostile_content_stays_text() -> None:
    rendered = PAGES.render(STORIES["run"])
    assert HOSTILE not in rendered
    assert "&lt;script&gt;" in rendered
    assert BeautifulSoup(rendered, "html.parser").find("script", string=re.compile("alert")) is None


def test_who_asked_cannot_answer() -> None:
    page = BeautifulSoup(PAGES.render(STORIES["approval-own"]), "html.parser")
    assert page.select("main form") == []
    assert "somebody else must answer" in page.get_text()


def test_a_closed_incident_offers_no_change_but_of_how_long_its_records_are_kept() -> None:
    page = BeautifulSoup(PAGES.render(STORIES["incident-closed"]), "html.parser")
    offered = {
        str(form["action"]).rpartition("/AI-INC-")[2].partition("/")[2]
        for form in page.select(".phases form")
    }
    assert offered <= {"legal-hold", "legal-hold/lift"}


def test_every_kind_of_page_has_a_story() -> None:
    told = {type(context) for context in STORIES.values()}
    pages = {
        kind
        for kind in vars(contexts).values()
        if isinstance(kind, type) and kind.__name__.endswith("Context") and kind is not contexts.Context
    }
    assert pages <= told


def name_of(page: BeautifulSoup, control: Tag) -> str:
    """Answer the accessible name of a control, as far as HTML gives one."""
    if named := control.get("aria-label"):
        return str(named)
    if control.name in ("button", "a", "summary"):
        return control.get_text(strip=True)
    around = control.find_parent("label")
    if around is not None:
        return around.get_text(strip=True)
    label = page.find("label", attrs={"for": str(control.get("id", ""))})
    return label.get_text(strip=True) if label else ""
