"""Contract of the binding: every way of calling a function gives the same plain arguments, and what runs is what was permitted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.sdk.binding import Signature, bind_mapping

MONDAY = datetime(2026, 3, 2, 8, tzinfo=UTC)


def plain_one(account: str, title: str = "Call", *, due: int = 3) -> Any:
    return account, title, due


def positional_only(account: str, /, title: str) -> Any:
    return account, title


def spread(*names: str, **more: Any) -> Any:
    return names, more


CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], dict[str, Any], Any]] = {
    "by position": (plain_one, ("a", "b"), {}, {"account": "a", "title": "b", "due": 3}, ("a", "b", 3)),
    "by name": (
        plain_one,
        (),
        {"due": 1, "account": "a"},
        {"account": "a", "title": "Call", "due": 1},
        ("a", "Call", 1),
    ),
    "by position only": (positional_only, ("a", "b"), {}, {"account": "a", "title": "b"}, ("a", "b")),
    "spread": (
        spread,
        ("a", "b"),
        {"c": 1},
        {"names": ["a", "b"], "c": 1},
        (("a", "b"), {"c": 1}),
    ),
    "nothing": (lambda: "done", (), {}, {}, "done"),
}


@pytest.mark.parametrize("name", CALLS)
def test_calling(name: str) -> None:
    function, args, kwargs, recorded, result = CALLS[name]
    binding = Signature(function).bind(args, kwargs)
    assert binding.args == recorded
    assert binding.ready(binding.args)() == result


def test_wrong_arguments_are_python_s_own_error() -> None:
    with pytest.raises(TypeError, match="account"):
        Signature(plain_one).bind((), {})


def test_what_is_left_out_is_passed_on_and_not_recorded() -> None:
    def send(client: object, to: str) -> Any:
        return client, to

    client = object()
    binding = Signature(send, ("client",)).bind((client, "x"), {})
    assert binding.args == {"to": "x"}
    assert binding.ready({"to": "x"})() == (client, "x")


def test_a_method_leaves_its_object_out() -> None:
    class Crm:
        def read(self, account: str) -> str:
            return f"{type(self).__name__}:{account}"

    binding = Signature(Crm.read).bind((Crm(), "a"), {})
    assert binding.args == {"account": "a"}
    assert binding.ready({"account": "a"})() == "Crm:a"


def test_leaving_out_what_is_not_there_is_told() -> None:
    with pytest.raises(Invalid, match="account, title, due"):
        Signature(plain_one, ("client",))


def test_a_generator_is_no_tool() -> None:
    def rows() -> Iterator[int]:
        yield 1

    with pytest.raises(Invalid, match="generator"):
        Signature(rows)


def echo(when: Any = None, rows: Any = None) -> Any:
    return when, rows


def test_values_that_json_has_no_word_for_reach_the_function_as_they_are() -> None:
    binding = Signature(echo).bind((MONDAY, (Decimal("1.10"),)), {})
    assert binding.args == {"when": "2026-03-02T08:00:00Z", "rows": [{"$decimal": "1.10"}]}
    assert binding.ready(binding.args)() == (MONDAY, (Decimal("1.10"),))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
_KEYS = st.text(max_size=4) | st.sampled_from(["$int", "$$int", "$float"])
JSON = st.recursive(
    _SCALARS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(_KEYS, inside, max_size=4),
    max_leaves=8,
)


@given(JSON)
@example(50.0)
@example(1e16)
@example(2**53)
@example([1.0, {"$int": "7"}, {"a": 1e300}])
def test_plain_values_reach_the_function_with_the_type_they_were_given(value: Any) -> None:
    binding = Signature(lambda value: value).bind((value,), {})
    permitted = json.loads(canonical_bytes(binding.args))
    assert repr(binding.ready(permitted)()) == re.sub(r"-0\.0(?!\d)", "0.0", repr(value))


def test_an_edited_number_is_a_float_where_the_caller_s_was() -> None:
    binding = Signature(lambda amount: amount).bind((50.0,), {})
    assert repr(binding.ready({"amount": 60})()) == "60.0"
    assert repr(binding.ready({"amount": 2**60 + 1})()) == str(2**60 + 1)


def test_edited_arguments_run_as_edited() -> None:
    binding = Signature(echo).bind((Decimal("1.10"), ["a"]), {})
    edited = {"when": {"$decimal": "0.90"}, "rows": ["b"]}
    assert binding.ready(edited)() == (Decimal("0.90"), ["b"])


TUESDAY = datetime(2026, 3, 3, 8, tzinfo=UTC)
EDITED: dict[str, tuple[Any, Any, Any]] = {
    "a time": (MONDAY, "2026-03-03T08:00:00Z", TUESDAY),
    "a tuple": ((1, MONDAY), [1, 2], (1, 2)),
    "a set": ({"a"}, {"$members": ["b"]}, {"b"}),
    "a path": (PurePosixPath("a/b"), "a/c", PurePosixPath("a/c")),
    "a large number": (2**60, {"$int": str(2**61)}, 2**61),
    "a mapping with a time": ({"on": MONDAY}, {"on": "2026-03-03T08:00:00Z"}, {"on": "2026-03-03T08:00:00Z"}),
}


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_value_has_the_type_of_the_caller_s(name: str) -> None:
    own, edited, expected = EDITED[name]
    binding = Signature(echo).bind((own, []), {})
    assert binding.ready({"when": edited, "rows": []})() == (expected, [])


def test_an_edited_value_that_is_none_of_the_type_does_not_run() -> None:
    binding = Signature(echo).bind((MONDAY, []), {})
    with pytest.raises(Conflict, match="the edited value is no datetime"):
        binding.ready({"when": "next week", "rows": []})


def test_a_list_that_the_caller_changes_meanwhile_runs_as_permitted() -> None:
    rows = ["a"]
    binding = Signature(echo).bind((None, rows), {})
    rows.append("b")
    assert binding.ready(binding.args)() == (None, ["a"])


def test_a_value_of_another_kind_that_changes_meanwhile_does_not_run() -> None:
    names = {"a"}
    binding = Signature(echo).bind((None, names), {})
    names.add("b")
    with pytest.raises(Conflict, match="'rows' was changed"):
        binding.ready(binding.args)


@pytest.mark.parametrize("permitted", [{"when": 1}, {"when": 1, "rows": [], "more": 2}])
def test_a_permit_for_other_arguments_does_not_run(permitted: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="other arguments"):
        Signature(echo).bind((1, []), {}).ready(permitted)


def test_a_mapping_of_any_names_can_be_bound() -> None:
    binding = bind_mapping(lambda **args: args, {"function": "x", "self": 1})
    assert binding.args == {"function": "x", "self": 1}
    assert binding.ready(binding.args)() == {"function": "x", "self": 1}
