"""Canonical bytes: one value, one spelling, so that a digest says which value it was.

The spelling is RFC 8785 (JCS): keys sorted by UTF-16 code units, numbers as ECMAScript prints them, no
spaces. JSON has no word for some values that a tool may be given, so these get a notation, an object with one key:

==================================================  =================================
``int`` of 2**53 or more (and a float of that size)  ``{"$int": "9007199254740992"}``
``nan``, ``inf``, ``-inf``                           ``{"$float": "NaN"}`` …
``Decimal``                                          ``{"$decimal": "1.10"}``
``bytes``                                            ``{"$bytes": "<base64>"}``
``set``                                              ``{"$members": [...]}``, sorted
==================================================  =================================

Numbers are values, not types: ``1`` and ``1.0`` are one number. A time is its RFC 3339 text in UTC, an enumeration its
value, a tuple a list, a record an object with every field written out (a later default must not change an old record).

:func:`plain` is for values from outside and is called once, where they enter; a mapping that only looks like a
notation gets another ``$``, so no two different values share a spelling. :func:`canonical_bytes` takes plain content at
its word, so bytes and digests stay the same after any number of trips through JSON.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import msgspec
import msgspec.inspect

from stopwork.kernel.errors import Invalid, TooLarge
from stopwork.kernel.fields import fields

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 500_000
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_INT_BITS: Final = 4096

_MAX_SAFE_INT: Final = 2**53 - 1
_NOTATION: Final = re.compile(r"\$+(int|float|decimal|bytes|members)")
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode


def plain(value: Any) -> Any:
    """Answer ``value`` as plain JSON content from which :func:`revive` can tell the original.

    Raises ``Invalid`` naming the path of what cannot be written (a time without a zone, a key that is not text,
    an unknown type), ``TooLarge`` beyond the bounds of this module.
    """
    return _Walk(escaping=True, spelling=False).value(value, 0, None)


def canonical_bytes(value: Any) -> bytes:
    """Answer the RFC 8785 bytes of a record or of plain content.

    Raises as :func:`plain` does.
    """
    if _is_spelled_alike(value, 0):
        with contextlib.suppress(UnicodeEncodeError):
            spelled = _encode_sorted(value)
            if len(spelled) < MAX_VALUES:  # so there cannot be more values, or more text, than is allowed
                return spelled
    spelled = _encode(_Walk(escaping=False, spelling=True).value(value, 0, None))
    if len(spelled) > MAX_BYTES:
        raise _too_large(f"{len(spelled)} bytes, where {MAX_BYTES} are allowed")
    return spelled


def digest(data: bytes) -> str:
    """Answer ``sha256:<hex>`` of these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_of(value: Any) -> str:
    """Answer the digest of the value's canonical bytes."""
    return digest(canonical_bytes(value))


def revive(content: Any) -> Any:
    """Answer the values that :func:`plain` wrote in notation; text that was a time stays text."""
    if isinstance(content, list):
        return [revive(item) for item in content]
    if not isinstance(content, dict):
        return content
    if len(content) == 1:
        [(key, inner)] = content.items()
        if _NOTATION.fullmatch(key):
            return {key[1:]: revive(inner)} if key.startswith("$$") else _revived(key, inner)
    return {key: revive(item) for key, item in content.items()}


def _is_spelled_alike(value: Any, depth: int) -> bool:
    """Answer whether the encoder by itself spells the value as RFC 8785 does: then it need not be walked through.

    It does not for numbers that are spelled in another way or in a notation, and for keys that are sorted in another way.
    """
    kind: type = type(value)
    if kind is int:
        return bool(-_MAX_SAFE_INT <= value <= _MAX_SAFE_INT)
    if kind is float:
        return bool(math.isfinite(value) and not value.is_integer() and not 1e-6 <= abs(value) < 1e-5)
    if kind is datetime:
        return bool(value.tzinfo is UTC)
    if _is_text(kind):
        return True
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                return False
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    elif _is_written_out(kind):
        items = _doubtful(kind)(value)
    else:
        return False
    for item in items:  # noqa: SIM110 - every entry of the journal comes by here, and this takes half the time
        if not (item is None or type(item) is str or _is_spelled_alike(item, depth + 1)):
            return False
    return True


@lru_cache(maxsize=1024)
def _is_text(kind: type) -> bool:
    """Answer whether values of this kind are text, or one of JSON's own words."""
    if issubclass(kind, Enum):
        return all(type(member.value) is str for member in kind)
    return kind in (str, bool, type(None))


@lru_cache(maxsize=1024)
def _is_written_out(kind: type) -> bool:
    """Answer whether the encoder writes every field of such a record, under its name."""
    if not issubclass(kind, msgspec.Struct) or kind.__struct_config__.array_like:
        return False
    names = "".join(kind.__struct_encode_fields__) + str(kind.__struct_config__.tag_field)
    return names.isascii() and not kind.__struct_config__.omit_defaults


@lru_cache(maxsize=1024)
def _doubtful(kind: type[msgspec.Struct]) -> Callable[[Any], tuple[Any, ...]]:
    """Answer what reads those fields of a record that are declared to hold more than text and JSON's own words."""
    try:
        declared = msgspec.inspect.type_info(kind)
    except TypeError:  # it is not declared in terms of JSON
        return fields(*kind.__struct_fields__)
    names = [each.name for each in getattr(declared, "fields", ()) if not _is_declared_text(each.type)]
    return fields(*names)


def _is_declared_text(declared: msgspec.inspect.Type) -> bool:
    match declared:
        case msgspec.inspect.StrType() | msgspec.inspect.BoolType() | msgspec.inspect.NoneType():
            return True
        case msgspec.inspect.EnumType(cls=kind):
            return _is_text(kind)
        case msgspec.inspect.UnionType(types=types):
            return all(_is_declared_text(each) for each in types)
    return False


class _Walk:
    """One pass over one value: ``escaping`` for foreign mappings, ``spelling`` for numbers as RFC 8785 prints them."""

    __slots__ = ("_escaping", "_spelling", "_text_left", "_values_left")

    def __init__(self, *, escaping: bool, spelling: bool) -> None:
        self._escaping = escaping
        self._spelling = spelling
        self._values_left = MAX_VALUES
        self._text_left = MAX_BYTES

    def value(self, value: Any, depth: int, path: _Path) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value, path)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -_MAX_SAFE_INT <= value <= _MAX_SAFE_INT else _large_int(value, path)
        if kind is float:
            return self._float(value, path)
        if kind is dict:
            return self._mapping(value, depth, path)
        if kind is list or kind is tuple:
            return self._list(value, depth, path)
        return self._less_common(value, depth, path)

    def _less_common(self, value: Any, depth: int, path: _Path) -> Any:
        match value:
            case Enum():
                return self.value(value.value, depth, path)
            case msgspec.Struct():
                return self._record(value, depth, path)
            case datetime():
                return _moment(value, path)
            case date() | time():
                return value.isoformat()
            case Decimal():
                return {"$decimal": str(value)}
            case bytes() | bytearray() | memoryview():
                return {"$bytes": self._text(base64.b64encode(value).decode(), path)}
            case Mapping():
                return self._mapping(value, depth, path)
            case AbstractSet():
                members = self._list(value, depth, path)
                return {"$members": sorted(members, key=_encode if self._spelling else canonical_bytes)}
            case list() | tuple():
                return self._list(value, depth, path)
            case str():
                return self._text(str.__str__(value), path)
            case int():
                return self.value(int(value), depth, path)
            case float():
                return self.value(float(value), depth, path)
            case UUID() | PurePath():
                return self._text(str(value), path)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self._mapping(fields, depth, path)
        raise Invalid(
            f"{_spelled(path)} is a {type(value).__qualname__}, which has no canonical form",
            hint="Give plain JSON values, or convert it before the call.",
            path=_spelled(path),
            found=type(value).__qualname__,
        )

    def _text(self, text: str, path: _Path) -> str:
        self._text_left -= len(text)
        if self._text_left < 0:
            raise _too_large(f"more than {MAX_BYTES} characters")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise Invalid(
                    f"the text at {_spelled(path)} has half of a surrogate pair at character {error.start}",
                    hint="Decode the text as UTF-8 before it is passed on.",
                    path=_spelled(path),
                ) from None
        return text

    def _float(self, number: float, path: _Path) -> Any:
        if number.is_integer():
            whole = int(number)
            return whole if -_MAX_SAFE_INT <= whole <= _MAX_SAFE_INT else _large_int(whole, path)
        if math.isnan(number):
            return {"$float": "NaN"}
        if math.isinf(number):
            return {"$float": "Infinity" if number > 0 else "-Infinity"}
        if self._spelling and 1e-6 <= abs(number) < 1e-5:
            # The one decade in which the encoder writes an exponent and ECMAScript does not.
            return msgspec.Raw(format(Decimal(repr(number)), "f").encode())
        return number

    def _list(self, items: Any, depth: int, path: _Path) -> list[Any]:
        self._enter(len(items), depth, path)
        return [self.value(item, depth + 1, (path, index)) for index, item in enumerate(items)]

    def _mapping(self, mapping: Mapping[Any, Any], depth: int, path: _Path) -> dict[str, Any]:
        self._enter(len(mapping), depth, path)
        named = {self._key(key, path): item for key, item in mapping.items()}
        content = {key: self.value(named[key], depth + 1, (path, key)) for key in _in_order(named)}
        if self._escaping and len(content) == 1:
            [(key, inner)] = content.items()
            if _NOTATION.fullmatch(key):
                return {"$" + key: inner}
        return content

    def _record(self, record: msgspec.Struct, depth: int, path: _Path) -> dict[str, Any]:
        layout = _layout(type(record))
        self._enter(len(layout), depth, path)
        content = {}
        for key, attribute, constant in layout:
            item = constant if attribute is None else getattr(record, attribute)
            if item is not msgspec.UNSET:
                content[key] = self.value(item, depth + 1, (path, key))
        return content

    def _key(self, key: Any, path: _Path) -> str:
        if type(key) is str:
            return self._text(key, (path, key))
        if isinstance(key, Enum) and isinstance(key.value, str):
            return self._text(str.__str__(key.value), (path, key.value))
        if isinstance(key, str):
            return self._text(str.__str__(key), (path, key))
        raise Invalid(
            f"the key {key!r:.80} at {_spelled(path)} is not text",
            hint="JSON objects have text as keys; convert the key before the call.",
            path=_spelled(path),
            found=type(key).__qualname__,
        )

    def _enter(self, count: int, depth: int, path: _Path) -> None:
        self._values_left -= count
        if depth >= MAX_DEPTH:
            raise _too_large(f"{_spelled(path)} is nested deeper than {MAX_DEPTH} levels")
        if self._values_left < 0:
            raise _too_large(f"more than {MAX_VALUES} values")


_Path = tuple[Any, str | int] | None
"""Where a value stands, as (where its container stands, its key); ``None`` is the whole value."""


@lru_cache(maxsize=1024)
def _layout(kind: type[msgspec.Struct]) -> tuple[tuple[str, str | None, Any], ...]:
    """Answer ``(key, attribute, constant)`` of a record's fields in canonical order; the constant is its tag."""
    config = kind.__struct_config__
    fields: dict[str, tuple[str | None, Any]] = {
        key: (attribute, None)
        for key, attribute in zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    }
    if config.tag_field is not None:
        fields[config.tag_field] = (None, config.tag)
    return tuple((key, *fields[key]) for key in _in_order(fields))


def _in_order(keys: Mapping[str, Any]) -> list[str]:
    """Sort by UTF-16 code units, which for ASCII is the order of the characters."""
    if "".join(keys).isascii():
        return sorted(keys)
    return sorted(keys, key=lambda key: key.encode("utf-16-be"))


def _moment(moment: datetime, path: _Path) -> str:
    if moment.tzinfo is None:
        raise Invalid(
            f"the time at {_spelled(path)} has no zone",
            hint="Add an offset, for example +00:00: a zone is never guessed.",
            path=_spelled(path),
            found=moment.isoformat(),
        )
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _large_int(number: int, path: _Path) -> dict[str, str]:
    if number.bit_length() > MAX_INT_BITS:
        raise _too_large(f"the number at {_spelled(path)} has more than {MAX_INT_BITS} bits")
    return {"$int": str(number)}


def _revived(key: str, inner: Any) -> Any:
    try:
        match key, inner:
            case "$int", str() if re.fullmatch(r"-?[0-9]{1,1300}", inner):
                return int(inner)
            case "$float", str():
                return _NOT_FINITE[inner]
            case "$decimal", str():
                return Decimal(inner)
            case "$bytes", str():
                return base64.b64decode(inner, validate=True)
            case "$members", list():
                return frozenset(_hashable(revive(item)) for item in inner)
    except (KeyError, InvalidOperation, binascii.Error, TypeError):
        pass
    raise Invalid(
        f"{key} is followed by something that is not its notation",
        hint="See the table in stopwork.kernel.canonical for what may follow it.",
        found=repr(inner)[:80],
    )


def _hashable(member: Any) -> Any:
    """Answer the tuple that a list inside a set was."""
    return tuple(_hashable(item) for item in member) if isinstance(member, list) else member


def _too_large(detail: str) -> TooLarge:
    return TooLarge(
        f"the value is too large: {detail}", hint="Keep large content in a file and pass its digest."
    )


def _spelled(path: _Path) -> str:
    """Spell a path as ``$.accounts[3].owner``, at most 200 characters of it."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return ("$" + "".join(reversed(steps)))[:200]
