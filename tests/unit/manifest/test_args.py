"""Contract of the schema of arguments: whatever an agent sends, it is told in a time that is bounded what does not meet the schema, and a schema
that cannot be used so is refused when it is applied, and lets nothing pass where it was applied before."""

from __future__ import annotations

import time
from typing import Any

import pytest

from stopwork.manifest.args import ArgsSchema, unusable


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"n": inner}
    return inner


TREE = {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"n": {"$ref": "#/$defs/n"}}}}}


@pytest.mark.parametrize(
    ("name", "schema", "args", "misfit"),
    [
        ("a pattern that could try forever", {"properties": {"x": {"pattern": "^(a+)+$"}}}, {"x": "a" * 50_000 + "!"}, "args.x"),
        ("a name that could", {"patternProperties": {"^(b+)+$": {}}, "additionalProperties": False}, {"b" * 5_000 + "!": 1}, "args"),
        ("names among others", {"patternProperties": {"^b+$": {"type": "string"}}}, {"bb": 1, "c": 1}, "args.bb"),
        (
            "others beside names",
            {"properties": {"c": {}}, "patternProperties": {"^b": {}}, "additionalProperties": {"type": "integer"}},
            {"b": "x", "c": "x", "d": "x", "e": 1},
            "args.d",
        ),
        ("twenty thousand equal items", {"properties": {"x": {"uniqueItems": True}}}, {"x": [{"a": n} for n in range(20_000)] + [{"a": 7}]}, "args.x"),
        ("numbers that are one", {"properties": {"x": {"uniqueItems": True}}}, {"x": [1, 1.0]}, "args.x"),
        ("items that are all wrong", {"properties": {"x": {"items": {"type": "string"}}}}, {"x": [*range(100_000)]}, "args.x[0]"),
        ("nested without end", TREE, nested(900), "args"),
    ],
)  # fmt: skip
def test_a_misfit_is_told_in_a_bounded_time(name: str, schema: dict[str, Any], args: dict[str, Any], misfit: str) -> None:  # fmt: skip
    assert unusable(schema) == "", name
    began = time.process_time()
    assert ArgsSchema(schema).misfits(args)[0].field == misfit, name
    assert time.process_time() - began < 2, name


@pytest.mark.parametrize(
    ("schema", "args"),
    [
        ({"properties": {"x": {"uniqueItems": True}}}, {"x": [1, True, "1", None, [], {}]}),
        ({"properties": {"pattern": {"pattern": "^a"}}}, {"pattern": "ab"}),
        ({"patternProperties": {"^b": {"type": "integer"}}, "additionalProperties": False}, {"b1": 1}),
        (TREE, nested(20)),
    ],
)
def test_what_meets_the_schema_passes(schema: dict[str, Any], args: dict[str, Any]) -> None:
    assert ArgsSchema(schema).misfits(args) == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"x": {"pattern": "(?=a)b"}}},
        {"patternProperties": {"(a)\\1": {}}},
        {"anyOf": [{"properties": {"x": {"pattern": "(?:a{1,1000}){1,1000}"}}}]},
        {"patternProperties": {"^a": {}}, "unevaluatedProperties": False},
    ],
)
def test_what_cannot_be_run_in_a_bounded_time_is_refused(schema: dict[str, Any]) -> None:
    assert unusable(schema)
    [misfit] = ArgsSchema(schema).misfits({"x": "b"})
    assert misfit.message == unusable(schema)
