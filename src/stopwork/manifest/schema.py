"""The JSON Schema of a manifest, made from its records: what editors use and what :mod:`.load` checks against."""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct, structs

from stopwork.manifest import alerts, credentials, model, objects, parts, tools
from stopwork.manifest.duration import PATTERN, Duration
from stopwork.manifest.model import Manifest

_KINDS = vars(parts) | vars(alerts) | vars(credentials) | vars(objects) | vars(tools) | vars(model)
SCHEMA_ID = "urn:stopwork:manifest:1"
_DURATION = {
    "type": "string",
    "format": "duration",
    "pattern": PATTERN,
    "examples": ["45m", "24h", "7d"],
}


def json_schema() -> dict[str, Any]:
    """Answer the JSON Schema (draft 2020-12) of ``stopwork.yaml``.

    Formats named ``cel-…`` are expressions; an editor that does not know them takes them for text.
    """
    answer: dict[str, Any] = msgspec.json.decode(_schema_bytes())
    return answer


@cache
def _schema_bytes() -> bytes:
    made = msgspec.json.schema(Manifest, schema_hook=_custom)
    definitions: dict[str, Any] = made["$defs"]
    for name, definition in definitions.items():
        _complete(definition, _KINDS[name])
    root = definitions.pop(Manifest.__name__)
    _refuse_null(root)
    _refuse_null(definitions)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **root,
        "title": "Stopwork manifest",
        "$defs": definitions,
    }
    return msgspec.json.encode(schema)


def _custom(kind: type) -> dict[str, Any]:
    if kind is not Duration:
        raise TypeError(f"{kind} has no JSON Schema")
    return dict(_DURATION)


def _complete(definition: dict[str, Any], kind: type[Enum | Struct]) -> None:
    """Put in what msgspec leaves out: the order of words, and defaults that are made anew each time."""
    definition["description"] = (kind.__doc__ or "").replace("``", "`")
    if issubclass(kind, Enum):
        definition["enum"] = [member.value for member in kind]
        return
    for declared in structs.fields(kind):
        if declared.default_factory is not NODEFAULT:
            made = msgspec.to_builtins(declared.default_factory(), enc_hook=str)
            definition["properties"][declared.encode_name]["default"] = _without_null(made)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value


def _refuse_null(schema: Any) -> None:
    """Leave out a field to leave it out: a key with nothing behind it is more often a slip."""
    if isinstance(schema, list):
        for item in schema:
            _refuse_null(item)
    if not isinstance(schema, dict):
        return
    options = schema.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        [option] = [option for option in options if option != {"type": "null"}]
        del schema["anyOf"]
        schema.update(option | {key: schema[key] for key in schema if key != "default"})
        schema.pop("default", None)
    for value in schema.values():
        _refuse_null(value)
