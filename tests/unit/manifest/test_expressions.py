"""Expressions: typed when compiled, and when evaluated an answer or ``ExpressionError``, never anything else.

The first table holds the language to the portable part of CEL (the core library of the specification), so that a
manifest means the same with another implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.kernel.canonical import plain
from stopwork.manifest.expressions import ExpressionError, InvalidExpression, compile_expression
from stopwork.manifest.uses import Use

NOW = datetime(2026, 3, 2, 8, 14, tzinfo=UTC)
ARGS = {
    "amount": 120,
    "rate": 0.5,
    "whole": 2.0,
    "name": "Zoë",
    "tags": ["a", "b"],
    "due": "2026-03-01T00:00:00Z",
    "to": {"city": "Oslo"},
    "none": None,
    "a-b": 1,
}
VALUES: dict[str, Any] = {
    "args": ARGS,
    "result": {"id": "t-1", "rows": [{"n": 1}, {"n": 2}]},
    "tool": "crm.create_task",
    "workflow": "weekly",
    "source": "inbox",
    "now": NOW,
    "run.id": "R-1",
    "run.trigger": "schedule",
    "run.trigger_id": "2026-W10",
    "run.attempt": 2,
    "run.started_at": NOW - timedelta(minutes=5),
    "object.system": "crm",
    "object.type": "task",
    "object.id": "t-1",
}

PORTABLE: dict[str, Any] = {
    "args.amount > 100": True,
    "args.amount == 120.0": True,
    "args.whole == 2": True,
    "args.rate < 1": True,
    "args.name == 'Zoë'": True,
    "size(args.name)": 3,
    "args.name.startsWith('Z') && args.name.endsWith('ë') && args.name.contains('o')": True,
    "args.name.matches('^Z.+$')": True,
    "'a' in args.tags": True,
    "'city' in args.to": True,
    "args.tags[1]": "b",
    "args.to.city + '!'": "Oslo!",
    "args['a-b']": 1,
    "has(args.missing)": False,
    "has(args.none)": True,
    "args.none == null": True,
    "args.missing == 1 || true": True,
    "args.missing == 1 && false": False,
    "args.amount > 100 ? 'big' : 'small'": "big",
    "args.tags.all(t, size(t) == 1)": True,
    "args.tags.exists(t, t == 'b')": True,
    "args.tags.exists_one(t, t == 'b')": True,
    "args.tags.map(t, t + t)": ["aa", "bb"],
    "args.tags.filter(t, t != 'a')": ["b"],
    "result.rows.map(r, r.n)": [1, 2],
    "timestamp(args.due) < now": True,
    "now - timestamp(args.due) > duration('24h')": True,
    "now.getFullYear()": 2026,
    "now.getHours('America/New_York')": 3,
    "run.started_at < now && run.attempt > 1": True,
    "string(args.amount)": "120",
    "string(now)": "2026-03-02T08:14:00Z",
    "int('7') + 1": 8,
    "double(args.amount) / 7.0 > 17.0": True,
    "type(args.amount) == int": True,
    "[tool, workflow, source, run.id, run.trigger, run.trigger_id]": [
        "crm.create_task", "weekly", "inbox", "R-1", "schedule", "2026-W10",
    ],
    "timestamp(args.due)": "2026-03-01T00:00:00Z",
    "duration('90m')": "5400s",
    "b'hi'": "aGk=",
    "object.system + '/' + object.type + '/' + object.id": "crm/task/t-1",
    "{'k': args.amount}": {"k": 120},
    "args == args": True,
    "!(args.amount in [1, 2])": True,
    "-7 / 2": -3,
    "-7 % 2": -1,
}  # fmt: skip


class _All:
    """Every name at once, so that one table can speak of all."""

    needs_truth = False
    names = frozenset(VALUES)


def evaluate(source: str, use: Use | _All | None = None, values: Mapping[str, Any] = VALUES) -> Any:
    chosen: Any = use or _All
    return compile_expression(source, chosen).evaluate(values)


def error(source: str, use: Use | None = None, values: Mapping[str, Any] = VALUES) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, use, values)
    return caught.value


@pytest.mark.parametrize(("source", "answer"), PORTABLE.items(), ids=PORTABLE)
def test_portable_cel(source: str, answer: Any) -> None:
    found = evaluate(source)
    assert found == answer
    assert type(found) is type(answer)


NO_ANSWER = {
    "missing key": ("args.missing", 'no "missing"'),
    "missing key of a result": ("result.rows[0].m", 'no "m"'),
    "index beyond": ("args.tags[5]", "index=5"),
    "types that do not add": ("args.name + 1", "+ cannot be applied to string, int64"),
    "types that do not compare": ("args.name > 1", "> cannot be applied"),
    "float and whole number": ("args.whole + 1", "+ cannot be applied"),
    "division by nothing": ("args.amount / 0", "divide by zero"),
    "overflow": ("args.amount + 9223372036854775807", "overflow"),
    "no date": ("timestamp(args.name)", "Timestamp conversion failed"),
    "no zone": ("now.getHours('Nowhere/Land')", "timezone"),
    "bad pattern": ("args.name.matches('(' + args.name)", "regular expression"),
    "a field of text": ("run.id == args.name.first", ""),
    "a type": ("dyn(type(args.amount))", "type Type"),
    "no truth": ("args.amount ? 1 : 2", ""),
}


@pytest.mark.parametrize(("source", "message"), NO_ANSWER.values(), ids=NO_ANSWER)
def test_no_answer_is_an_error_that_says_why_and_with_what(source: str, message: str) -> None:
    found = error(source)
    assert message in found.message
    assert source in str(found)
    assert found.source == source


def test_an_error_shows_the_values_but_not_all_of_them() -> None:
    values = {"args": {"text": "x" * 10_000}}
    assert len(str(error("args.missing", Use.KEY, values))) < 400


def test_a_condition_answers_true_or_false_and_nothing_else() -> None:
    assert evaluate("args.amount > 1", Use.CONDITION) is True
    assert "only true or false" in error("args.amount", Use.CONDITION).message


def test_a_number_without_end_is_an_error_like_any_other() -> None:
    assert error("result == 1 && false || args.a", Use.VERIFICATION, {"result": 10**5_000, "args": {}}).values


def test_a_value_that_was_not_given_is_an_error() -> None:
    assert '"run.id" is not known here' in error("run.id", Use.KEY, {"args": {}}).message


def test_an_expression_knows_which_names_it_reads() -> None:
    assert compile_expression("[1].map(args, args)", Use.KEY).names == frozenset()
    assert compile_expression("has(args.a) ? result.id : tool", Use.IDENTITY).names == {
        "args",
        "result",
        "tool",
    }


NOT_EXPRESSIONS = {
    "empty": ("", Use.CONDITION, "Syntax error"),
    "half": ("args.", Use.CONDITION, "Syntax error"),
    "types that never compare": ("run.id == 1", Use.CONDITION, "no matching overload"),
    "a number": ("1 + 1", Use.CONDITION, "a whole number"),
    "text": ("'true'", Use.CONDITION, "answers text"),
    "a type": ("type(1)", Use.KEY, "a type"),
    "too long": ("1" * 1_001, Use.KEY, "1,001 characters"),
    "too many loops": ("[1]" + ".map(x, x)" * 4, Use.KEY, "too many loops"),
    "too deep": ("(" * 200 + "1" + ")" * 200, Use.KEY, "limit"),
    "an extension": ("args.a.lowerAscii()", Use.KEY, '"lowerAscii" is not known'),
    "a time as text": ("args.a.due == now", Use.CONDITION, "never a time"),
    "a time as text, turned": ("now >= args['due']", Use.CONDITION, "never a time"),
    "not unicode": ("'\ud800'", Use.KEY, ""),
}


@pytest.mark.parametrize(("source", "use", "message"), NOT_EXPRESSIONS.values(), ids=NOT_EXPRESSIONS)
def test_what_cannot_stand_at_a_place_is_refused_when_compiled(source: str, use: Use, message: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_expression(source, use)
    assert message in caught.value.message
    assert caught.value.expected


class Colour(Enum):
    RED = "red"


SEEN_AS = {
    "time": (NOW.astimezone(timezone(timedelta(hours=2))), "2026-03-02T08:14:00Z"),
    "day": (NOW.date(), "2026-03-02"),
    "decimal that is exact": (Decimal("0.10"), 0.1),
    "decimal that is not": (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
    "largest number": (2**63 - 1, 2**63 - 1),
    "larger number": (2**63, "9223372036854775808"),
    "not a number": (float("nan"), "nan"),
    "bytes": (b"\x00\xff", "AP8="),
    "members": ({"b", "a"}, ["a", "b"]),
    "pair": ((1, "a"), [1, "a"]),
    "word": (Colour.RED, "red"),
    "duration": (timedelta(minutes=1), "60s"),
    "a key like a notation": ({"$int": "x", "b": 1}, {"$int": "x", "b": 1}),
}


@pytest.mark.parametrize(("value", "seen"), SEEN_AS.values(), ids=SEEN_AS)
def test_values_are_seen_as_json(value: Any, seen: Any) -> None:
    assert evaluate("args.v", Use.KEY, {"args": {"v": value}}) == seen


@pytest.mark.parametrize("value", [2**70, Decimal("0.1"), b"x", {"a"}, float("inf")], ids=repr)
def test_a_recorded_value_is_seen_as_the_value_itself(value: Any) -> None:
    written = evaluate("args.v", Use.KEY, {"args": plain({"v": value})})
    assert written == evaluate("args.v", Use.KEY, {"args": {"v": value}})


@pytest.mark.parametrize(
    "value",
    [
        "account-7",
        "",
        "ü\u2028\U0001f600",
        "x" * 20_000,
        7,
        2**70,
        1.5,
        True,
        None,
        ["a"],
        {"$int": "12"},
        {"$bytes": "YQ=="},
    ],
)
def test_what_only_names_a_value_answers_as_an_expression_that_has_to_be_evaluated(value: Any) -> None:
    for args in ({"v": value}, {"v": value, "more": 1}):
        assert evaluate("args.v", Use.KEY, {"args": args}) == evaluate("[args.v][0]", Use.KEY, {"args": args})
        with pytest.raises(ExpressionError):
            evaluate("args.w", Use.KEY, {"args": args})
    assert evaluate(" tool ", Use.KEY) == evaluate("tool + ''", Use.KEY)
    with pytest.raises(ExpressionError):
        evaluate("args.v", Use.CONDITION, {"args": {"v": "true"}})


def test_a_number_that_is_none_is_never_below_a_limit() -> None:
    error("args.v > 100", Use.CONDITION, {"args": {"v": float("nan")}})
    error("args.v > 100", Use.CONDITION, {"args": {"v": 2**80}})


@pytest.mark.parametrize(
    "value",
    [object(), {1: 2}, "\ud800", {"$int": "x"}, [[]] * 50_000],
    ids=["object", "key", "surrogate", "broken notation", "too many"],
)
def test_content_that_is_not_json_is_an_error(value: Any) -> None:
    error("args.v == 1", Use.CONDITION, {"args": {"v": value}})


def test_a_time_without_a_zone_is_an_error() -> None:
    assert "without a zone" in error("now == now", Use.CONDITION, {"now": NOW.replace(tzinfo=None)}).message


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"v": value}
    return value


RUNAWAYS = {
    "depth": ("args.v == 1", nested(5_000)),
    "loops in loops": ("args.v.all(a, args.v.all(b, args.v.all(c, a + b + c >= 0)))", list(range(900))),
    "long list in a loop": ("args.v.map(a, a).size() > 0", list(range(5_000))),
    "text without end": ("args.v == ''", "x" * 3_000_000),
}


@pytest.mark.parametrize(("source", "value"), RUNAWAYS.values(), ids=RUNAWAYS)
def test_a_runaway_is_stopped(source: str, value: Any) -> None:
    error(source, Use.CONDITION, {"args": {"v": value}})


def test_a_pattern_takes_no_longer_than_its_text() -> None:
    assert evaluate("args.v.matches('(a+)+b')", Use.CONDITION, {"args": {"v": "a" * 100_000}}) is False


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.decimals()
    | st.binary()
    | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
SOURCES = st.sampled_from(
    [
        "args.a == args.b",
        "args.a > args.b",
        "args.a + args.b == args.a",
        "size(args.a) > 0",
        "args.a.all(x, x == args.b)",
        "args.a in args.b",
        "args.a[args.b] == 1",
        "has(args.a.b)",
        "timestamp(args.a) < now",
        "string(args.a).matches(string(args.b))",
        "args.a.map(x, [x, x]) == args.b",
    ]
)


@given(source=SOURCES, a=JSON, b=JSON)
def test_evaluation_answers_or_raises_its_own_error(source: str, a: Any, b: Any) -> None:
    try:
        assert evaluate(source, Use.CONDITION, {"args": {"a": a, "b": b}, "now": NOW}) in (True, False)
    except ExpressionError as refused:
        assert len(str(refused)) < 2_000  # noqa: PT017 - either outcome is right


def test_one_expression_serves_many_threads() -> None:
    expression = compile_expression(
        "args.n % 7 == 0 && args.tags.exists(t, t == string(args.n))", Use.CONDITION
    )

    def answers(start: int) -> Iterator[bool]:
        for n in range(start, start + 500):
            yield expression.evaluate({"args": {"n": n, "tags": [str(n)]}}) is (n % 7 == 0)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda start: all(answers(start)), range(0, 4_000, 500)))


@pytest.mark.parametrize(
    "source", ["args.name.matches('(')", 'matches(args.name, "[a")', r"args.name.matches(r'\1')"]
)
def test_a_pattern_that_is_none_is_found_when_it_is_written_out(source: str) -> None:
    with pytest.raises(InvalidExpression, match="invalid regular expression"):
        compile_expression(source, Use.CONDITION)


@pytest.mark.parametrize(
    "source", ["args.name.matches('(a)')", r"args.name.matches('\\d+') && args.to != '('"]
)
def test_a_pattern_that_is_one_stays(source: str) -> None:
    assert evaluate(source, Use.CONDITION) is False
