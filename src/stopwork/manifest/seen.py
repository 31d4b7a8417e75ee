"""What an expression sees of a value: JSON, within a bound.

A time among the arguments is text, as it is for whoever sends a call over HTTP. A number keeps its value, or becomes
text where 64 bits cannot hold it exactly, so that a comparison with it is an error and not a wrong answer.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from msgspec import Struct, structs

from stopwork.kernel.canonical import canonical_bytes, revive

MAX_TEXT_CHARS = 2_000_000
MAX_DEPTH = 48

_INT64 = 2**63
_TOO_LARGE = "the values are too large for this expression"


def seen(value: Any, *, most: int) -> Any:
    """Answer what an expression sees of ``value``; ``ValueError`` beyond ``most`` values, or for what is not content."""
    return _Walk(most).seen(value, 0)


def instant(value: Any) -> datetime:
    """Answer a time in UTC; ``ValueError`` for one without a zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a time without a zone")
    return value.astimezone(UTC)


class _Walk:
    """One pass over one value."""

    __slots__ = ("_text_left", "_values_left")

    def __init__(self, values: int) -> None:
        self._values_left = values
        self._text_left = MAX_TEXT_CHARS

    def seen(self, value: Any, depth: int) -> Any:
        self._values_left -= 1
        if self._values_left < 0 or depth > MAX_DEPTH:
            raise ValueError(_TOO_LARGE)
        if type(value) is str:
            return self._text(value)
        if type(value) is dict or isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple):
            return [self.seen(item, depth + 1) for item in value]
        return self._scalar(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if len(value) == 1 and str(next(iter(value))).startswith("$"):
            revived = revive(dict(value))
            if not isinstance(revived, Mapping):
                return self.seen(revived, depth + 1)
            value = revived
        content = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError("a key is not text")
            content[self._text(str(key))] = self.seen(item, depth + 1)
        return content

    def _scalar(self, value: Any, depth: int) -> Any:
        match value:
            case None | bool():
                return value
            case Enum():
                return self.seen(value.value, depth)
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
                return f"{value.total_seconds():.15g}s"
            case bytes() | bytearray():
                return self._text(b64encode(value).decode())
            case Struct():
                return self.seen(structs.asdict(value), depth)
            case AbstractSet():
                return [self.seen(item, depth + 1) for item in sorted(value, key=canonical_bytes)]
        raise ValueError(f"a value of type {type(value).__name__} is not plain content")

    def _text(self, text: str) -> str:
        self._text_left -= len(text)
        if self._text_left < 0:
            raise ValueError(_TOO_LARGE)
        return text


def _decimal(value: Decimal) -> float | str:
    number = float(value) if value.is_finite() else math.nan
    return number if math.isfinite(number) and Decimal(repr(number)) == value else str(value)


def _moment(value: date) -> str:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()
