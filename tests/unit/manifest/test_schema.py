"""The published schema: valid itself, the same as the records, and described well enough to be the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from stopwork.ledger import words
from stopwork.manifest.model import Manifest
from stopwork.manifest.schema import json_schema
from tests.unit.manifest.files import EXAMPLES

SCHEMA = json_schema()


def properties() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, definition in (("Manifest", SCHEMA), *SCHEMA["$defs"].items()):
        for key, schema in definition.get("properties", {}).items():
            yield f"{name}.{key}", schema


def test_the_schema_is_valid_and_names_its_draft() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["required"] == ["workflow", "owners", "tools"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_editor_that_knows_only_json_schema_accepts_the_examples(path: Path) -> None:
    Draft202012Validator(SCHEMA).validate(YAML(typ="safe", pure=True).load(path.read_text()))


@pytest.mark.parametrize("schema", dict(properties()).values(), ids=dict(properties()))
def test_every_key_says_what_it_is_for(schema: dict[str, Any]) -> None:
    assert schema["description"].endswith(".")
    assert "null" not in str(schema)


def test_words_stand_in_the_order_in_which_they_are_declared() -> None:
    assert SCHEMA["$defs"]["Risk"]["enum"] == [risk.value for risk in words.Risk]
    assert SCHEMA["$defs"]["Stage"]["enum"] == [stage.value for stage in words.Stage]


def test_defaults_are_those_of_the_records() -> None:
    assert SCHEMA["properties"]["mode"]["default"] == "enforce"
    assert SCHEMA["$defs"]["Gate"]["properties"]["expires"]["default"] == "4h"
    assert SCHEMA["properties"]["response"]["default"]["sev2"] == "4h"
    assert set(SCHEMA["properties"]) == set(Manifest.__struct_fields__)


def test_the_caller_may_keep_and_change_the_answer() -> None:
    json_schema()["properties"].clear()
    assert json_schema()["properties"]
