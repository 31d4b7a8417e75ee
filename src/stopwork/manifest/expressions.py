"""Expressions: small typed conditions and values in CEL, the Common Expression Language (cel.dev).

An expression is compiled once, when the manifest is loaded: an unknown name or a condition that cannot be true or false
is found then. Evaluating answers a plain value or raises :class:`ExpressionError`, never anything else, and whoever asked
treats that error as a denial. Only portable CEL is used (the core library, no extensions).

The values an expression sees are JSON: a time in the arguments is text, to be written ``timestamp(args.due)``; a
number keeps its value or becomes text where CEL's 64 bits cannot hold it exactly, so a comparison with it is an
error and not a wrong answer.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache
from typing import Any

from cel_expr_python import cel
from msgspec import Struct, structs

from stopwork.kernel.canonical import canonical_bytes, revive
from stopwork.kernel.errors import StopworkError
from stopwork.manifest.problems import one_of, shown
from stopwork.manifest.uses import Use

MAX_SOURCE_CHARS = 1_000
MAX_LOOPS = 3
MAX_VALUES = 20_000
MAX_VALUES_IN_LOOPS = 1_000
MAX_TEXT_CHARS = 2_000_000
MAX_VALUE_DEPTH = 48

_JSON = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_TYPES: dict[str, Any] = {
    "args": _JSON,
    "result": cel.Type.DYN,
    "tool": cel.Type.STRING,
    "workflow": cel.Type.STRING,
    "source": cel.Type.STRING,
    "now": cel.Type.TIMESTAMP,
    "run.id": cel.Type.STRING,
    "run.trigger": cel.Type.STRING,
    "run.trigger_id": cel.Type.STRING,
    "run.attempt": cel.Type.INT,
    "run.started_at": cel.Type.TIMESTAMP,
    "object.system": cel.Type.STRING,
    "object.type": cel.Type.STRING,
    "object.id": cel.Type.STRING,
}
_OBJECT_FIELDS = [name for name in _TYPES if name.startswith("object.")]
_TRUTH = ("BOOL", "DYN")
_LOOP = re.compile(r"\.\s*(all|exists|exists_one|map|filter)\s*\(")
_TEXT_AGAINST_NOW = re.compile(
    r"""\bargs(\.\w+|\[[^\]]*\])+\s*(<=?|>=?|==|!=)\s*now\b|\bnow\s*(<=?|>=?|==|!=)\s*args\b"""
)
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_WHERE = re.compile(r"<input>:(-?\d+):(-?\d+): ")
_INT64 = 2**63
_TOO_LARGE = "the values are too large for this expression"


class InvalidExpression(ValueError):
    """The source is not an expression that can stand here; ``expected`` says what can."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.message, self.expected = message, expected


class ExpressionError(Exception):
    """An expression has no answer for these values. Whoever asked must treat the call as not permitted."""

    def __init__(self, source: str, values: str, message: str) -> None:
        super().__init__(f"{message}, in the expression {shown(source)} with {values}")
        self.source, self.values, self.message = source, values, message


class Expression:
    """One compiled expression. ``names`` are the names it reads, so that only those have to be given."""

    __slots__ = ("_compiled", "_loops", "_needs_truth", "names", "source")

    def __init__(self, source: str, compiled: Any, names: frozenset[str], *, needs_truth: bool) -> None:
        self.source = source
        self.names = names
        self._compiled = compiled
        self._needs_truth = needs_truth
        self._loops = bool(_LOOP.search(source))

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Answer the expression for these values, by name, as plain JSON content (times and durations as such).

        Raises ``ExpressionError`` when there is no answer: a missing key, a type that does not fit, too much work.
        """
        try:
            known = self._known(values)
            value = self._compiled.eval(data=known)
            answer = value.plain_value()
            failed = value.type() == cel.Type.ERROR
        # The library reports failures as RuntimeError, and a value it cannot take as almost anything.
        except Exception as error:  # noqa: BLE001
            raise self.error(values, _cleaned(str(error))) from None
        if failed:
            raise self.error(values, _cleaned(str(answer)))
        if isinstance(answer, cel.Type):
            raise self.error(values, "the answer is a type, not a value")
        if self._needs_truth and not isinstance(answer, bool):
            raise self.error(values, f"the answer is {shown(answer)}, where only true or false will do")
        return bytes(answer) if isinstance(answer, bytearray) else answer

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        walk = _Walk(MAX_VALUES_IN_LOOPS if self._loops else MAX_VALUES)
        for name in self.names:
            if name not in values:
                raise ValueError(f'"{name}" is not known here')
            value = values[name]
            known[name] = _aware(value) if _TYPES[name] == cel.Type.TIMESTAMP else walk.cel(value, 0)
        return known

    def error(self, values: Mapping[str, Any], message: str) -> ExpressionError:
        """Answer the error that this expression, with these values, is to be refused with."""
        seen = ", ".join(f"{name} = {_brief(values[name])}" for name in sorted(self.names) if name in values)
        return ExpressionError(self.source, seen or "no values", message)


@lru_cache(maxsize=4_096)
def compile_expression(source: str, use: Use) -> Expression:
    """Answer the expression, ready to be evaluated; raise ``InvalidExpression`` when it cannot stand at this place."""
    if len(source) > MAX_SOURCE_CHARS:
        raise InvalidExpression(
            f"an expression of {len(source):,} characters", f"at most {MAX_SOURCE_CHARS:,} characters"
        )
    if len(_LOOP.findall(source)) > MAX_LOOPS:
        raise InvalidExpression(
            "too many loops over lists", f"at most {MAX_LOOPS} of all, exists, map, filter"
        )
    try:
        compiled = _environment(use.names).compile(source)
    except RuntimeError as error:
        raise _explained(source, use, str(error)) from None
    except TypeError:
        raise InvalidExpression("half of a character", "whole characters") from None
    answers = str(compiled.return_type().name())
    if use.needs_truth and answers not in _TRUTH:
        raise InvalidExpression(
            f"this answers {_a(answers)}, not true or false", 'a comparison, such as "args.amount > 100"'
        )
    if not use.needs_truth and answers.startswith("TYPE"):
        raise InvalidExpression("this answers a type", "a value")
    if _TEXT_AGAINST_NOW.search(source):
        raise InvalidExpression(
            "arguments are text, never a time", 'a conversion: "timestamp(args.due) < now"'
        )
    names = frozenset(name for name in use.names if not _compiles(source, use.names - {name}))
    return Expression(source, compiled, names, needs_truth=use.needs_truth)


@cache
def _environment(names: frozenset[str]) -> Any:
    return cel.NewEnv(variables={name: _TYPES[name] for name in names})


def _compiles(source: str, names: frozenset[str]) -> bool:
    try:
        _environment(names).compile(source)
    except RuntimeError:
        return False
    return True


def _explained(source: str, use: Use, report: str) -> InvalidExpression:
    """Answer CEL's report in a sentence, with the names that may be used where one is unknown."""
    if unknown := _UNDECLARED.search(report):
        return _unknown_name(unknown[1], use)
    where = _WHERE.search(report)
    said = _cleaned(report.splitlines()[0][where.end() :] if where else report)
    at = f" at character {where[2]}" if where and int(where[2]) > 0 else ""
    return InvalidExpression(
        f"{said}{at} of {shown(source)}", "an expression in CEL, such as \"args.kind == 'a'\""
    )


def _unknown_name(name: str, use: Use) -> InvalidExpression:
    if fields := [known for known in use.names if known.startswith(f"{name}.")]:
        return InvalidExpression(f'"{name}" is not a value by itself', one_of(fields))
    variable = name.split(".", maxsplit=1)[0]
    if variable == "result" or name in _OBJECT_FIELDS:
        return InvalidExpression(f'"{name}" is not known before the call has run', one_of(use.names))
    if name in _TYPES:
        why = "is not known here, where every attempt has to give the same answer"
        return InvalidExpression(f'"{name}" {why}', one_of(use.names))
    return InvalidExpression(
        f'"{name}" is not known', one_of(use.names, name if f"{variable}.id" in use.names else variable)
    )


def _cleaned(report: str) -> str:
    """Answer a report of the library without its status codes."""
    text = re.sub(r"^(ERROR: )?[A-Z_]+: |\s*\[[A-Z_]+\]\s*$", "", report.strip())
    text = text.splitlines()[0] if text else "no answer"
    overload = re.match(r"No matching overloads found : (\S+?)\((.*)\)", text)
    if overload:
        return f"{overload[1].strip('_')} cannot be applied to {overload[2]}"
    return re.sub(r'Key not found in map : ("[^"]*")', r"there is no \1", text)[:300]


def _a(type_name: str) -> str:
    return f"a {type_name.lower().split('<')[0]}".replace("a int", "an integer").replace(
        "a uint", "an integer"
    )


def _brief(value: Any) -> str:
    try:
        return shown(canonical_bytes(value).decode()) if isinstance(value, dict | list) else shown(value)
    except StopworkError:
        return "something that is not plain content"


class _Walk:
    """One pass that turns plain content into what CEL takes, within a bound."""

    __slots__ = ("_text_left", "_values_left")

    def __init__(self, values: int) -> None:
        self._values_left = values
        self._text_left = MAX_TEXT_CHARS

    def cel(self, value: Any, depth: int) -> Any:
        self._values_left -= 1
        if self._values_left < 0 or depth > MAX_VALUE_DEPTH:
            raise ValueError(_TOO_LARGE)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            return [self.cel(item, depth + 1) for item in value]
        return self._scalar(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if len(value) == 1 and isinstance(key := next(iter(value)), str) and key.startswith("$"):
            revived = revive(dict(value))
            if not isinstance(revived, Mapping):
                return self.cel(revived, depth + 1)
            value = revived
        if not all(isinstance(key, str) for key in value):
            raise ValueError("a key is not text")
        return {self.cel(key, depth): self.cel(item, depth + 1) for key, item in value.items()}

    def _scalar(self, value: Any, depth: int) -> Any:
        match value:
            case None | bool():
                return value
            case Enum():
                return self.cel(value.value, depth)
            case str():
                return self._text(str(value))
            case int():
                return value if -_INT64 <= value < _INT64 else str(value)
            case float():
                return value if math.isfinite(value) else str(value)
            case Decimal():
                return _decimal(value)
            case datetime() | date():
                return _moment(value)
            case timedelta():
                return f"{value.total_seconds()}s"
            case bytes() | bytearray():
                return self._text(b64encode(value).decode())
            case Struct():
                return self.cel(structs.asdict(value), depth)
            case AbstractSet():
                return [self.cel(item, depth + 1) for item in sorted(value, key=canonical_bytes)]
        raise ValueError(f"a {type(value).__name__} is not plain content")

    def _text(self, text: str) -> str:
        self._text_left -= len(text)
        if self._text_left < 0:
            raise ValueError(_TOO_LARGE)
        return text


def _aware(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a time without a zone")
    return value.astimezone(UTC)


def _decimal(value: Decimal) -> float | str:
    """Answer the number where a float holds it exactly as written, and otherwise its text."""
    number = float(value) if value.is_finite() else math.nan
    return number if math.isfinite(number) and Decimal(repr(number)) == value else str(value)


def _moment(value: date) -> str:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()
