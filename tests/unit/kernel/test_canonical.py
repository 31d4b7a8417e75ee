"""Contract of canonical bytes: RFC 8785 for JSON values; every other value has a notation that nothing else shares.

The ``rfc8785`` package, written by others, is the oracle for the spelling.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from stopwork.kernel import canonical
from stopwork.kernel.canonical import canonical_bytes, digest, digest_of, plain, revive
from stopwork.kernel.errors import Invalid, TooLarge

# --- the spelling ----------------------------------------------------------------------------------

NUMBERS = [
    (0.0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (-1.5, "-1.5"),
    (5e-324, "5e-324"),
    (-5e-324, "-5e-324"),
    (1e-7, "1e-7"),
    (1e-6, "0.000001"),
    (1.25e-6, "0.00000125"),
    (9.999999999999999e-6, "0.000009999999999999999"),
    (1e-5, "0.00001"),
    (0.1, "0.1"),
    (333333333.33333329, "333333333.3333333"),
    (4503599627370495.5, "4503599627370495.5"),
    (9007199254740991.0, "9007199254740991"),
]


@pytest.mark.parametrize(("number", "spelling"), NUMBERS)
def test_numbers_are_spelled_as_ecmascript_spells_them(number: float, spelling: str) -> None:
    assert canonical_bytes(number).decode() == spelling


def test_keys_are_sorted_by_utf16_code_units() -> None:
    # The example of RFC 8785, section 3.2.3.
    given_keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_bytes(dict.fromkeys(given_keys, 0)))) == expected


def test_text_is_escaped_no_more_than_needed() -> None:
    # The example of RFC 8785, section 3.2.2.2.
    spelled = canonical_bytes('\u20ac$\u000f\nA\'B"\\\\"/')
    assert spelled.decode() == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


SAFE = 2**53 - 1
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda f: not (f.is_integer() and abs(f) > SAFE)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | floats | st.floats(1e-8, 1e-4) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_json_values_are_spelled_as_the_oracle_spells_them(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


class Colour(StrEnum):
    RED = "red"


class Shade(Enum):
    DARK = 1


MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]))


class Everything(msgspec.Struct, frozen=True, kw_only=True, tag="everything"):
    whole: int
    number: float
    at: datetime
    colour: Enum
    content: Any = None
    unset: Any = msgspec.UNSET


@given(
    st.builds(
        Everything,
        whole=st.integers(),
        number=st.floats(),
        at=MOMENTS,
        colour=st.sampled_from([*Colour, *Shade]),
        content=json_values | st.decimals() | st.binary() | st.sets(st.integers()),
        unset=st.just(msgspec.UNSET) | st.text(),
    )
)
def test_whatever_is_spelled_without_a_walk_is_spelled_as_the_walk_spells_it(value: Everything) -> None:
    # A list of a type of its own is always walked through.
    class Walked(list[Any]):
        pass

    assert b"[%s]" % canonical_bytes(value) == canonical_bytes(Walked([value]))


# --- values JSON has no word for -------------------------------------------------------------------


class Point(msgspec.Struct, frozen=True, kw_only=True, tag="point", tag_field="kind"):
    y: int
    x: int = 7
    gone: int | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True)
class Pair:
    right: Any
    left: Any


NOTATIONS: dict[str, tuple[Any, Any]] = {
    "the largest plain integer": (SAFE, SAFE),
    "an integer too large for a double": (2**53, {"$int": "9007199254740992"}),
    "its negative": (-(2**53), {"$int": "-9007199254740992"}),
    "a float is the number it is": (1e21, {"$int": "1000000000000000000000"}),
    "not a number": (math.nan, {"$float": "NaN"}),
    "infinity": (math.inf, {"$float": "Infinity"}),
    "negative infinity": (-math.inf, {"$float": "-Infinity"}),
    "a decimal keeps its scale": (Decimal("1.10"), {"$decimal": "1.10"}),
    "bytes": (b"\x00\xff", {"$bytes": "AP8="}),
    "a bytearray": (bytearray(b"a"), {"$bytes": "YQ=="}),
    "a set is sorted": ({"b", "a"}, {"$members": ["a", "b"]}),
    "a set of tiny numbers": ({1e-6, 2e-7}, {"$members": [1e-6, 2e-7]}),
    "a tuple is a list": ((1, (2,)), [1, [2]]),
    "a text enumeration": (Colour.RED, "red"),
    "another enumeration": (Shade.DARK, 1),
    "an enumeration as key": ({Colour.RED: 1}, {"red": 1}),
    "a record, with its tag, its defaults, without what is unset": (
        Point(y=1),
        {"kind": "point", "x": 7, "y": 1},
    ),
    "a dataclass": (Pair(right=1, left={2}), {"left": {"$members": [2]}, "right": 1}),
    "a time in UTC": (datetime(2026, 3, 1, 9, 0, tzinfo=UTC), "2026-03-01T09:00:00Z"),
    "a time elsewhere": (
        datetime(2026, 3, 1, 9, 0, 0, 250, tzinfo=timezone(timedelta(hours=2))),
        "2026-03-01T07:00:00.000250Z",
    ),
    "a date": (date(2026, 3, 1), "2026-03-01"),
    "a uuid": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "a path": (PurePosixPath("a/b"), "a/b"),
    "a mapping that looks like a notation": ({"$int": "5"}, {"$$int": "5"}),
    "a mapping that looks like an escape": ({"$$int": "5"}, {"$$$int": "5"}),
    "a mapping that looks like neither": ({"$set": {"a": 1}}, {"$set": {"a": 1}}),
    "two keys are no notation": ({"$int": "5", "a": 1}, {"$int": "5", "a": 1}),
}


@pytest.mark.parametrize(("value", "expected"), NOTATIONS.values(), ids=NOTATIONS)
def test_plain_content(value: Any, expected: Any) -> None:
    content = plain(value)
    assert content == expected
    assert canonical_bytes(content) == rfc8785.dumps(expected)


def test_records_are_read_back_by_their_type() -> None:
    assert msgspec.json.decode(canonical_bytes(Point(y=2)), type=Point) == Point(y=2)


def test_key_order_does_not_matter_to_a_digest() -> None:
    assert digest_of({"a": 1, "b": [2.0]}) == digest_of({"b": [2], "a": 1})
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


hashables = st.integers() | st.text() | st.binary()
tool_arguments = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.frozensets(hashables, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["$int", "$$int", "$bytes", "$members", "a"]) | st.text(), inner, max_size=3
        )
    ),
    max_leaves=15,
)


@given(tool_arguments)
def test_the_original_can_be_told_from_plain_content(value: Any) -> None:
    assert revive(plain(value)) == value


@given(tool_arguments)
def test_plain_content_keeps_its_bytes_through_json(value: Any) -> None:
    content = plain(value)
    spelled = canonical_bytes(content)
    assert canonical_bytes(json.loads(spelled)) == spelled
    assert canonical_bytes(msgspec.json.decode(msgspec.json.encode(content))) == spelled


# --- what is refused -------------------------------------------------------------------------------

deep: Any = 0
for _ in range(canonical.MAX_DEPTH + 1):
    deep = [deep]
endless: list[Any] = []
endless.append(endless)

REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a time without a zone": (
        {"at": [datetime.fromisoformat("2026-03-01T09:00")]},
        Invalid,
        "$.at[0] has no zone",
    ),
    "a key that is not text": ({"a": {3: 1}}, Invalid, "the key 3 at $.a is not text"),
    "an unknown type": ({"f": len}, Invalid, "$.f is a builtin_function_or_method"),
    "a class": (Pair, Invalid, "$ is a type"),
    "half a surrogate pair": (["ok", "x\ud800"], Invalid, "$[1] has half of a surrogate pair at character 1"),
    "half a surrogate pair in a key": ({"\ud800": 1}, Invalid, "has half of a surrogate pair"),
    "too deep": (deep, TooLarge, "nested deeper than 64 levels"),
    "endless": (endless, TooLarge, "nested deeper than 64 levels"),
    "too many values": ([0] * (canonical.MAX_VALUES + 1), TooLarge, "more than 500000 values"),
    "too much text": ("x" * (canonical.MAX_BYTES + 1), TooLarge, "more than 16777216 characters"),
    "too large a number": (2**5000, TooLarge, "the number at $ has more than 4096 bits"),
}


@pytest.mark.parametrize(("value", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_spelled_is_refused_with_its_place(
    value: Any, kind: type[Exception], message: str
) -> None:
    for spell in (plain, canonical_bytes):
        with pytest.raises(kind) as refusal:
            spell(value)
        assert message in str(refusal.value)


def test_bytes_are_bounded_after_escaping() -> None:
    with pytest.raises(TooLarge):
        canonical_bytes("\x01" * (canonical.MAX_BYTES // 2))


@pytest.mark.parametrize(
    "content",
    [{"$int": "five"}, {"$int": 5}, {"$float": "0"}, {"$decimal": "x"}, {"$bytes": "*"}, {"$members": [{}]}],
)
def test_a_broken_notation_is_refused(content: Any) -> None:
    with pytest.raises(Invalid):
        revive(content)
