"""The JSON Schema that a manifest may give for a tool's arguments, and what in a call's arguments does not meet it.

What an agent sends must not hold anybody up: the patterns of a schema are run by RE2, equal items are found by their canonical bytes, and no
more misfits are looked for than anybody reads. The rest is as the library has it (JSON Schema 2020-12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from msgspec import Struct

from stopwork.kernel.canonical import canonical_bytes
from stopwork.manifest.problems import field_name, shortened
from stopwork.manifest.restricted import compiled, why_not

MAX_MISFITS: Final = 20
#: So many are looked for, to tell the first of them in order.
MAX_LOOKED_FOR: Final = 500
MAX_PATTERNS: Final = 1_024
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
        # A manifest that was applied before something was found to be unusable lets nothing pass. That it refers to nothing outside
        # is part of it, so that nothing is fetched to understand it.
        self._unusable = unusable(schema)
        # The arguments of a call are always a mapping, so a schema need not say it.
        self._validator = _Validator({"type": "object", **schema})

    def misfits(self, args: Mapping[str, Any]) -> tuple[Misfitting, ...]:
        """Answer what does not meet the schema, at most :data:`MAX_MISFITS` places, in their order."""
        if self._unusable:
            return (Misfitting(field="args", message=self._unusable, allowed="a schema that can be used"),)
        try:
            errors = list(islice(self._validator.iter_errors(dict(args)), MAX_LOOKED_FOR))
        except RecursionError:
            why = "the arguments are nested deeper than the schema can be followed"
            return (Misfitting(field="args", message=why, allowed="less of it"),)
        found = sorted(errors, key=lambda error: list(map(str, error.path)))
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
    return next(_not_runnable(schema), "")


def _not_runnable(part: Any) -> Iterator[str]:
    """Yield what in a schema cannot be run in a time that is bounded."""
    if isinstance(part, Mapping):
        named = part.get("patternProperties")
        patterns = [*(named if isinstance(named, Mapping) else ()), part.get("pattern")]
        for pattern in patterns:
            if isinstance(pattern, str):
                try:
                    _pattern(pattern)
                except re2.error as error:
                    yield f'"{shortened(pattern)}" is no pattern in RE2 syntax: {why_not(error)}'
        if named and "unevaluatedProperties" in part:
            yield "unevaluatedProperties beside patternProperties cannot be told; additionalProperties can"
        part = part.values()
    elif not isinstance(part, list | tuple):
        return
    for each in part:
        yield from _not_runnable(each)


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


@lru_cache(maxsize=MAX_PATTERNS)
def _pattern(text: str) -> Any:
    return compiled(text)


def _meets_pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if validator.is_type(value, "string") and not _pattern(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _meets_by_name(
    validator: Any,
    patterns: Mapping[str, Any],
    value: Any,
    schema: Any,  # noqa: ARG001
) -> Iterator[ValidationError]:
    if validator.is_type(value, "object"):
        for pattern, part in patterns.items():
            for name in filter(_pattern(pattern).search, value):
                yield from validator.descend(value[name], part, path=name, schema_path=pattern)


def _meets_others(
    validator: Any, others: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    patterns = [_pattern(each) for each in schema.get("patternProperties", ())]
    if validator.is_type(value, "object"):
        value = {
            name: each for name, each in value.items() if not any(known.search(name) for known in patterns)
        }
    plain = {name: part for name, part in schema.items() if name != "patternProperties"}
    yield from Draft202012Validator.VALIDATORS["additionalProperties"](validator, others, value, plain)


def _are_unique(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if (
        wanted
        and validator.is_type(value, "array")
        and len({canonical_bytes(each) for each in value}) < len(value)
    ):
        yield ValidationError(f"{value!r} has non-unique elements")


_Validator: Final = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        "pattern": _meets_pattern,
        "patternProperties": _meets_by_name,
        "additionalProperties": _meets_others,
        "uniqueItems": _are_unique,
    },
)


def _misfitting(error: ValidationError) -> Misfitting:
    rule = "" if isinstance(error.validator_value, Mapping) else f" {error.validator_value}"
    return Misfitting(
        field=field_name(("args", *error.path)),
        message=shortened(error.message),
        allowed=shortened(f"{error.validator}{rule}"),
    )
