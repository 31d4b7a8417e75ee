"""Contract: every command helps, answers data as JSON, and stands on the reference page as it is."""

from __future__ import annotations

import re

import click
import pytest

from stopwork.cli.main import cli
from stopwork.cli.reference import reference, walk
from tests.repository.tree import ROOT, text_files

COMMANDS = {context.command_path: command for context, command in walk()}
#: Says of a command that it is meant, in a hint, on a page or in the documentation.
MEANT = re.compile(r"(?:stopwork: |\$ |`|: |with |>|\(|ith: )stopwork ((?:[a-z][a-z-]+ ?){1,2})")
WITHOUT_JSON: set[str] = set()


def test_the_page_is_made_from_the_commands() -> None:
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8")
    assert page == reference(), "Make it anew: python -m stopwork.cli.reference > docs/reference/cli.md"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_says_what_it_does(path: str) -> None:
    command = COMMANDS[path]
    first = (command.help or "").partition("\n\n")[0]
    assert first, path
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []
    assert ("as_json" in {each.name for each in options}) is (path not in WITHOUT_JSON)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_a_help(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*path.split()[1:], "--help"], prog_name="stopwork", standalone_mode=False) == 0
    assert capsys.readouterr().out.startswith(f"Usage: {path} ")


def test_every_command_that_is_named_anywhere_exists() -> None:
    groups = {" ".join(path.split()[:2]) for path in COMMANDS}
    wrong = {
        (name, found[0])
        for name, text in text_files().items()
        if name.startswith(("src/", "docs/", "README", "examples/"))
        for found in MEANT.finditer(text)
        if not _exists(found[1].split(), groups)
    }
    assert wrong == set()


def _exists(words: list[str], groups: set[str]) -> bool:
    """Whether the words begin a command: one of a group's, or a command and its first argument."""
    command = f"stopwork {words[0]}"
    if command in COMMANDS:
        return True
    return command in groups and (len(words) == 1 or f"{command} {words[1]}" in COMMANDS)
