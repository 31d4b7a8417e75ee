"""Whether a document has the shape of a manifest: the schema's findings, said in the author's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from stopwork.manifest.formats import format_checker
from stopwork.manifest.problems import Misfit, Path, Problem, one_of, shown
from stopwork.manifest.reader import Document
from stopwork.manifest.schema import json_schema

_FIRST = ("type", "format")


class _Finding(NamedTuple):
    """One way in which a value breaks its schema: the rule, the rule's own value, and what was found."""

    path: Path
    rule: str
    limit: Any
    value: Any
    schema: dict[str, Any]
    cause: Exception | None
    about_name: bool


def misshapen(document: Document) -> Iterator[Problem]:
    """Yield every place where the document does not follow the schema, expressions included."""
    if not isinstance(document.value, dict):
        yield document.problem(
            (), "the file does not hold a mapping", 'keys and values, such as "workflow: name"'
        )
        return
    said: set[Path] = set()
    # A value of the wrong type, or without its format, is said once, in the most telling way.
    for finding in sorted(_findings(document.value), key=lambda found: found.rule not in _FIRST):
        if finding.rule == "additionalProperties":
            yield from _unknown_keys(document, finding)
        elif finding.rule == "required":
            yield from _missing_keys(document, finding)
        elif finding.about_name:
            yield _bad_name(document, finding)
        elif finding.path not in said:
            said.add(finding.path)
            message, expected = _described(finding)
            yield document.problem(finding.path, message, expected, value=finding.value)


def _findings(value: Any) -> Iterator[_Finding]:
    error: Any
    for error in _validator().iter_errors(value):
        yield _Finding(
            path=tuple(error.absolute_path),
            rule=error.validator,
            limit=error.validator_value,
            value=error.instance,
            schema=error.schema,
            cause=error.cause,
            about_name="propertyNames" in error.absolute_schema_path,
        )


@cache
def _validator() -> Draft202012Validator:
    strict: Any = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {"pattern": _whole_pattern},
        type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _whole_number),
    )
    checker: Draft202012Validator = strict(json_schema(), format_checker=format_checker())
    return checker


def _whole_number(_: Any, value: Any) -> bool:
    """JSON Schema takes 2.0 for a whole number; the records do not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """As JSON Schema has it, ``$`` is the end of the text, not the line break before it."""
    if isinstance(value, str) and not re.search(pattern.replace("$", r"\Z"), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _unknown_keys(document: Document, finding: _Finding) -> Iterator[Problem]:
    known = finding.schema["properties"]
    for key, value in finding.value.items():
        if key not in known:
            message = f'the key "{key}" is not known here'
            yield document.problem(
                (*finding.path, key), message, one_of(known, key), value=value, of_key=True
            )


def _missing_keys(document: Document, finding: _Finding) -> Iterator[Problem]:
    for key in finding.limit:
        if key not in finding.value:
            expected = _expectation(finding.schema["properties"][key])
            yield document.problem((*finding.path, key), f'"{key}" is missing', expected, of_key=True)


def _bad_name(document: Document, finding: _Finding) -> Problem:
    name = finding.value
    expected = _expectation(finding.schema) or "a shorter name"
    path = (*finding.path, name)
    return document.problem(path, f"{shown(name)} cannot be a name here", expected, value=name, of_key=True)


def _described(finding: _Finding) -> tuple[str, str]:
    value, limit, expected = finding.value, finding.limit, _expectation(finding.schema)
    match finding.rule:
        case "format" if isinstance(finding.cause, Misfit):
            return finding.cause.message, finding.cause.expected
        case _ if value is None:
            return "there is nothing behind the colon", f"{expected}, or no such line"
        case "type":
            coaxed = "" if "format" in finding.schema else _coaxed(value, limit)
            return f"{shown(value)} is {_kind(value)}", coaxed or expected
        case "enum":
            return f"{shown(value)} is not one of the words for this", one_of(limit, str(value))
        case "minLength" | "minItems" | "minProperties":
            return "this is empty", expected
        case "maxLength" | "maxItems" | "maxProperties":
            return "this is too long", f"at most {limit:,}"
        case "exclusiveMinimum":
            return f"{shown(value)} is too small", f"more than {limit}"
        case "minimum":
            return f"{shown(value)} is too small", f"at least {limit}"
        case "maximum":
            return f"{shown(value)} is too large", f"at most {limit:,}"
    return f"{shown(value)} is not written as it has to be", expected


_PATTERNS = {
    r"^[a-z0-9]+([-_][a-z0-9]+)*$": 'small letters, digits, "-" and "_", such as "weekly-renewal-risk"',
    r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$": 'letters, digits and . _ : / -, such as "crm.update_account"',
    r"^[a-z0-9]+([-_][a-z0-9]+)*(/.{1,120})?$": 'a system, or a system and a type, such as "crm/activity"',
    r"^sha256:[0-9a-f]{64}$": '"sha256:" and 64 hexadecimal digits',
}
_FORMATS = {
    "address": 'a mail address, such as "dana@acme.test"',
    "duration": 'a number and a unit, such as "45m", "24h" or "7d"',
}
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys and values",
}


def _expectation(schema: dict[str, Any]) -> str:
    """Answer in words what a schema asks for."""
    if reference := schema.get("$ref"):
        return _expectation(_definitions()[reference.rsplit("/", 1)[-1]])
    if "enum" in schema:
        return one_of(schema["enum"])
    if known := _PATTERNS.get(schema.get("pattern", "")) or _FORMATS.get(schema.get("format", "")):
        return known
    kind = _KINDS.get(schema.get("type", ""), "")
    if isinstance(each := schema.get("additionalProperties"), dict):
        return f"names, and for each {_expectation(each)}"
    if schema.get("type") == "object":
        return f"{kind} ({', '.join(schema.get('required') or schema['properties'])})"
    if schema.get("format", "").startswith("cel-"):
        kind = "an expression, in quotes"
    example = next(iter(schema.get("examples", ())), None)
    return f"{kind}, such as {_flow(example)}" if example is not None else kind


@cache
def _definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = json_schema()["$defs"]
    return definitions


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return shown(value)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
    return "a mapping"


def _coaxed(value: Any, kind: Any) -> str:
    """Answer what the author probably has to do, where YAML took the value for another kind."""
    match kind, value:
        case "string", bool() | int() | float():
            return f'quotes around it: "{str(value).lower()}"'
        case "boolean", str() if value.lower() in {"yes", "on", "y"}:
            return "true"
        case "boolean", str() if value.lower() in {"no", "off", "n"}:
            return "false"
        case "array", str() | int() | float() | bool():
            return f"a list: [{value}]"
        case (("integer" | "number"), str()):
            return f"{_KINDS[kind]}, without quotes or unit"
    return ""
