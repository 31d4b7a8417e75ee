"""Contract: every page of the documentation is reachable, every link leads somewhere, every `make` target exists."""

import re
from pathlib import PurePosixPath

import pytest

from tests.repository.tree import ROOT, text_files

PAGES = {
    name: text
    for name, text in text_files().items()
    if name.endswith(".md") and name.startswith(("docs/", "README"))
}
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
START = "README.md"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    broken = [
        f"{path}#{anchor}" if anchor else path
        for path, anchor in _links(page)
        if not (ROOT / path).exists() or (anchor and path in PAGES and anchor not in _anchors(path))
    ]
    assert broken == []


def test_every_page_is_reachable_from_the_readme() -> None:
    seen, waiting = {START}, [START]
    while waiting:
        found = {path for path, _ in _links(waiting.pop()) if path in PAGES} - seen
        seen |= found
        waiting += found
    assert set(PAGES) - seen == set()


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_a_page_names_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ )make ([a-z0-9-]+)", PAGES[page])) - targets == set()


def _links(page: str) -> list[tuple[str, str]]:
    """The (path from the root, anchor) pairs that a page links to inside this repository."""
    targets = (match["target"] for match in LINK.finditer(CODE.sub("", PAGES[page])))
    inside = (
        target.partition("#")
        for target in targets
        if "://" not in target and not target.startswith("mailto:")
    )
    return [(_resolve(page, path), anchor) for path, _, anchor in inside]


def _resolve(page: str, link: str) -> str:
    if not link:
        return page
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / link).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", PAGES[page]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
