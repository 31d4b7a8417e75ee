"""Writes what the manifest's records say about themselves into docs/reference: the tables and the JSON Schema.

Run it after a change to `stopwork.manifest.model`: `.venv/bin/python scripts/manifest_reference.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stopwork.manifest.schema import json_schema

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PAGE = REFERENCE / "manifest.md"
SCHEMA_FILE = REFERENCE / "stopwork.schema.json"
BEGIN, END = "<!-- tables: made by scripts/manifest_reference.py -->", "<!-- end of tables -->"

_FORMATS = {
    "address": "mail address",
    "cron": "cron line",
    "duration": "duration",
    "timezone": "time zone",
    "cel-condition": "condition",
    "cel-verification": "condition",
    "cel-found": "condition",
}


def page(present: str) -> str:
    """Answer the page with its tables made anew; the words around them stay."""
    before, _, rest = present.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


def schema_text() -> str:
    """Answer the JSON Schema as the file that editors read."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def tables() -> str:
    """Answer one table for each part of a manifest, in the order in which they are met."""
    schema = json_schema()
    definitions = schema["$defs"]
    places: dict[str, list[str]] = {}
    _walk("", schema, definitions, places)
    parts = [
        (", ".join(f"`{place}`" for place in found), definitions[name]) for name, found in places.items()
    ]
    return "\n".join(_table(heading, part) for heading, part in [("The file", schema), *parts])


def _walk(
    place: str, part: dict[str, Any], definitions: dict[str, Any], places: dict[str, list[str]]
) -> None:
    """Collect the places at which each kind of part stands."""
    for key, below in part["properties"].items():
        name = _reference(below)
        if name and "properties" in definitions[name]:
            found = f"{place}.{key}".lstrip(".") + _each(below)
            places.setdefault(name, []).append(found)
            _walk(found, definitions[name], definitions, places)


def _each(schema: dict[str, Any]) -> str:
    return "[]" if "items" in schema else ".*" if "additionalProperties" in schema else ""


def _reference(schema: dict[str, Any]) -> str:
    within = schema.get("items") or schema.get("additionalProperties") or schema
    return str(within.get("$ref", "")).rsplit("/", 1)[-1]


def _table(heading: str, part: dict[str, Any]) -> str:
    rows = [
        f"| {_key(key, part)} | {_kind(schema)} | {_default(schema)} | {schema['description']} |"
        for key, schema in part["properties"].items()
    ]
    head = ["| key | holds | left out | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([f"### {heading}", "", part["description"], "", *head, *rows, ""])


def _key(key: str, part: dict[str, Any]) -> str:
    return f"**`{key}`** (needed)" if key in part.get("required", ()) else f"`{key}`"


def _kind(schema: dict[str, Any]) -> str:
    definitions = json_schema()["$defs"]
    if "$ref" in schema:
        target = definitions[_reference(schema)]
        return ", ".join(f"`{word}`" for word in target["enum"]) if "enum" in target else "keys, see below"
    if "items" in schema:
        return f"list of: {_kind(schema['items'])}"
    if isinstance(each := schema.get("additionalProperties"), dict):
        return f"names, for each: {_kind(each)}"
    form = schema.get("format", "")
    if form.startswith("cel-"):
        return _FORMATS.get(form, "expression")
    return _FORMATS.get(form) or _bounded(schema)


def _bounded(schema: dict[str, Any]) -> str:
    kind = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}
    kind["object"] = "a JSON Schema"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    bounds = ""
    if low is not None:
        above = "more than" if "exclusiveMinimum" in schema else "from"
        bounds = f", {above} {low:g} to {schema['maximum']:,g}"
    return kind[schema["type"]] + bounds


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    if default in (None, [], {}) or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default) if not isinstance(default, str) else default}`"


def main() -> None:
    """Write both files."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
    SCHEMA_FILE.write_text(schema_text(), "utf-8")


if __name__ == "__main__":
    main()
