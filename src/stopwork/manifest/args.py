"""The JSON Schema that a manifest may give for a tool's arguments, and what in a call's arguments does not meet it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from msgspec import Struct

from stopwork.manifest.problems import field_name, shortened

MAX_MISFITS: Final = 20
_REFERENCES: Final = ("$ref", "$dynamicRef")


class Misfitting(Struct, frozen=True, kw_only=True):
    """One argument that cannot be as it is: ``field`` names it, ``allowed`` says what may stand there."""

    field: str
    message: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}; allowed: {self.allowed}"


class ArgsSchema:
    """A schema ready for use."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        # The arguments of a call are always a mapping, so a schema need not say it. That it refers to nothing outside, so that
        # nothing is fetched to understand it, was checked when the manifest was loaded (:func:`unusable`).
        self._validator = Draft202012Validator({"type": "object", **schema})

    def misfits(self, args: Mapping[str, Any]) -> tuple[Misfitting, ...]:
        """Answer what does not meet the schema, at most :data:`MAX_MISFITS` places, in their order."""
        found = sorted(self._validator.iter_errors(dict(args)), key=lambda error: list(map(str, error.path)))
        return tuple(map(_misfitting, found[:MAX_MISFITS]))


def unusable(schema: Mapping[str, Any]) -> str:
    """Answer why this is no schema that can be used; empty when it is one."""
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        place = field_name(tuple(error.path))
        return f"this is not a JSON Schema: {place + ': ' if place else ''}{shortened(error.message)}"
    if schema.get("type", "object") != "object":
        return "arguments are a mapping, so their type is object"
    for reference in _references(schema):
        if not reference.startswith("#/$defs/") or reference.removeprefix("#/$defs/") not in schema.get(
            "$defs", {}
        ):
            return f'nothing stands at "{shortened(reference)}", and nothing is fetched from elsewhere'
    return ""


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in _REFERENCES and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _references(each)


def _misfitting(error: ValidationError) -> Misfitting:
    rule = "" if isinstance(error.validator_value, Mapping) else f" {error.validator_value}"
    return Misfitting(
        field=field_name(("args", *error.path)),
        message=shortened(error.message),
        allowed=shortened(f"{error.validator}{rule}"),
    )
