"""Expressions: small typed conditions and values in CEL, the Common Expression Language (cel.dev).

An expression is compiled once, when the manifest is loaded: an unknown name or a condition that cannot be true or false
is found then. Evaluating answers a plain value or raises :class:`ExpressionError`, never anything else, and whoever asked
treats that error as a denial. Only portable CEL is used (the core library, no extensions).

What an expression sees of a value, and what it answers, is JSON (:mod:`.seen`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from cel_expr_python import cel

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.errors import StopworkError
from stopwork.manifest.problems import Misfit, one_of, shortened, shown
from stopwork.manifest.seen import instant, seen
from stopwork.manifest.uses import Use

MAX_SOURCE_CHARS = 1_000
MAX_LOOPS = 3
MAX_VALUES = 20_000
MAX_NAMED_CHARS = 10_000
MAX_VALUES_IN_LOOPS = 1_000

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
    "original.system": cel.Type.STRING,
    "original.type": cel.Type.STRING,
    "original.id": cel.Type.STRING,
    "before": cel.Type.DYN,
    "left": cel.Type.DYN,
    "at": cel.Type.TIMESTAMP,
    "calls": cel.Type.List(cel.Type.STRING),
    "copy_of": cel.Type.STRING,
    "fields": cel.Type.List(cel.Type.STRING),
    "operation": cel.Type.STRING,
    "remedy": cel.Type.STRING,
    "reversibility": cel.Type.STRING,
    "runs": cel.Type.List(cel.Type.STRING),
    "situation": cel.Type.STRING,
    "stays": cel.Type.BOOL,
    "tools": cel.Type.List(cel.Type.STRING),
    "body": cel.Type.DYN,
    "item": cel.Type.DYN,
}
_OBJECT_FIELDS = [name for name in _TYPES if name.startswith("object.")]
_TRUTH = ("BOOL", "DYN")
#: An expression that only names a value, or one argument.
_NAME = re.compile(r"\s*([a-z_]+(?:\.[a-z_]+)?)\s*")
_ARGUMENT = re.compile(r"\s*args\.([A-Za-z_]\w*)\s*", re.ASCII)
_LOOP = re.compile(r"\.\s*(all|exists|exists_one|map|filter)\s*\(")
_TEXT_AGAINST_NOW = re.compile(
    r"""\bargs(\.\w+|\[[^\]]*\])+\s*(<=?|>=?|==|!=)\s*now\b|\bnow\s*(<=?|>=?|==|!=)\s*args\b"""
)
_LITERAL = r"""[rR]?(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_CONSTANT_PATTERN = re.compile(rf"\bmatches\s*\((?:[^()\"']*,)?\s*({_LITERAL})\s*\)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']+)'")
_WHERE = re.compile(r"<input>:(-?\d+):(-?\d+): ")
_WORDS = {
    "BYTES": "bytes",
    "DOUBLE": "a number",
    "DURATION": "a duration",
    "INT": "a whole number",
    "LIST": "a list",
    "MAP": "a mapping",
    "NULL": "nothing",
    "STRING": "text",
    "TIMESTAMP": "a time",
    "TYPE": "a type",
    "UINT": "a whole number",
}


class InvalidExpression(Misfit):
    """The source is not an expression that can stand at this place."""


class ExpressionError(Exception):
    """An expression has no answer for these values. Whoever asked must treat the call as not permitted."""

    def __init__(self, source: str, values: str, message: str) -> None:
        super().__init__(f"{message}, in the expression {shown(source)} with {values}")
        self.source, self.values, self.message = source, values, message


class Expression:
    """One compiled expression. ``names`` are the names it reads, so that only those have to be given."""

    __slots__ = ("_argument", "_compiled", "_loops", "_name", "_needs_truth", "names", "source")

    def __init__(self, source: str, compiled: Any, names: frozenset[str], *, needs_truth: bool) -> None:
        self.source = source
        self.names = names
        self._compiled = compiled
        self._needs_truth = needs_truth
        self._loops = bool(_LOOP.search(source))
        named, argument = _NAME.fullmatch(source), _ARGUMENT.fullmatch(source)
        self._name = named[1] if named and named[1] in names else None
        self._argument = argument[1] if argument else None

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Answer the expression for these values, by name, as plain JSON content: a time as its RFC 3339 text.

        Raises ``ExpressionError`` when there is no answer: a missing key, a type that does not fit, too much work.
        """
        if (text := self._named(values)) is not None:
            return text
        try:
            value = self._compiled.eval(data=self._known(values))
            if value.type() == cel.Type.ERROR:
                raise ValueError(value.plain_value())
            answer = seen(value.plain_value(), most=MAX_VALUES)
        # The library reports failures as RuntimeError, and a value it cannot take as almost anything.
        except Exception as error:  # noqa: BLE001
            raise self.error(values, _cleaned(str(error))) from None
        if self._needs_truth and not isinstance(answer, bool):
            raise self.error(values, f"the answer is {shown(answer)}, where only true or false will do")
        return answer

    def _named(self, values: Mapping[str, Any]) -> str | None:
        """Answer the text that the expression does nothing but name: most keys and ids are such, and need no evaluation."""
        value = values.get(self._name) if self._name else None
        if self._argument and type(args := values.get("args")) is dict:
            value = args.get(self._argument)
        return (
            value if type(value) is str and len(value) <= MAX_NAMED_CHARS and not self._needs_truth else None
        )

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        most = MAX_VALUES_IN_LOOPS if self._loops else MAX_VALUES
        for name in self.names:
            if name not in values:
                raise ValueError(f'"{name}" is not known here')
            is_time = _TYPES[name] == cel.Type.TIMESTAMP
            known[name] = instant(values[name]) if is_time else seen(values[name], most=most)
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
    answers = str(compiled.return_type().name()).split("<", maxsplit=1)[0]
    if use.needs_truth and answers not in _TRUTH:
        raise InvalidExpression(
            f"this answers {_WORDS.get(answers, answers)}, not true or false",
            'a comparison, such as "args.amount > 100"',
        )
    if not use.needs_truth and answers == "TYPE":
        raise InvalidExpression("this answers a type", "a value")
    if _TEXT_AGAINST_NOW.search(source):
        raise InvalidExpression(
            "arguments are text, never a time", 'a conversion: "timestamp(args.due) < now"'
        )
    _check_patterns(source)
    names = frozenset(name for name in use.names if not _compiles(source, use.names - {name}))
    return Expression(source, compiled, names, needs_truth=use.needs_truth)


def _check_patterns(source: str) -> None:
    """Refuse a pattern that is written out and can never match anything because it is none."""
    for literal in _CONSTANT_PATTERN.findall(source):
        try:
            found = _environment(frozenset()).compile(f"''.matches({literal})").eval(data={})
        except RuntimeError as error:
            raise InvalidExpression(_cleaned(str(error)), "a regular expression (RE2)") from None
        if found.type() == cel.Type.ERROR:
            raise InvalidExpression(_cleaned(str(found.plain_value())), "a regular expression (RE2)")


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


def _brief(value: Any) -> str:
    try:
        return shortened(canonical_bytes(value).decode())
    except StopworkError:
        return "something that is not plain content"
