"""The reference: its tables and the schema file are those of the records, and every snippet on the page loads."""

from __future__ import annotations

import re

import pytest

from scripts.manifest_reference import PAGE, SCHEMA_FILE, page, schema_text
from stopwork.manifest.expressions import (
    MAX_LOOPS,
    MAX_SOURCE_CHARS,
    MAX_VALUES,
    MAX_VALUES_IN_LOOPS,
)
from stopwork.manifest.load import load
from stopwork.manifest.seen import MAX_TEXT_CHARS
from stopwork.manifest.uses import Use

TEXT = PAGE.read_text("utf-8")
REGENERATE = "run: .venv/bin/python scripts/manifest_reference.py"


def test_the_tables_are_those_of_the_records() -> None:
    assert page(TEXT) == TEXT, REGENERATE


def test_the_schema_file_is_that_of_the_records() -> None:
    assert SCHEMA_FILE.read_text("utf-8") == schema_text(), REGENERATE


@pytest.mark.parametrize("snippet", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_snippets_load(snippet: str) -> None:
    assert load(snippet).manifest.tools


@pytest.mark.parametrize("limit", [MAX_SOURCE_CHARS, MAX_VALUES, MAX_VALUES_IN_LOOPS, MAX_TEXT_CHARS])
def test_limits_are_the_documented_ones(limit: int) -> None:
    assert f"{limit:,} " in TEXT
    assert MAX_LOOPS == 3


def test_every_name_of_an_expression_is_documented() -> None:
    for name in {
        name for use in Use if use not in (Use.ITEMS, Use.DELIVERY, Use.WANTED) for name in use.names
    }:
        assert f"`{name}`" in TEXT
