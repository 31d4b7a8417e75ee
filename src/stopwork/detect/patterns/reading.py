"""Goes through a record's content: one look over the whole that rules most records out, then value by value."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import re2

from stopwork.detect.patterns import accounts, cards, identifiers, secrets
from stopwork.detect.patterns.sight import Kind, Passage, Sight
from stopwork.manifest.restricted import Restricted

#: How much of one record is read value by value: what stands after it is not seen.
MOST_BYTES: Final = 262_144
MOST_DEPTH: Final = 48
#: So many values of one record are told of.
MOST_SIGHTS: Final = 100
MOST_FIELD_CHARS: Final = 120
#: So many encoded passages of one text are read, and so often one within another.
MOST_ENCODED: Final = 16
MOST_ENCODINGS: Final = 2

_FINDERS: Final = (secrets.find, cards.find, accounts.find, identifiers.find)
_LEAST_NUMBER: Final = 10**11
#: A name of a field that is shorter is no value of interest.
_LEAST_KEY_CHARS: Final = 12
_URL: Final = re2.compile(rb"https?://[^\s\"'<>]+")
#: Plain text in base64 has few letters in the first three of four places; names, digests and pictures have all of them.
_ENCODED_TEXT: Final = rb"(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][0-9A-Za-z+/_-]){6}"
_IS_ENCODED_TEXT: Final = re2.compile(_ENCODED_TEXT)
_ENCODED: Final = re2.compile(rb"[0-9A-Za-z+/_-]{24,}(?:\r?\n[0-9A-Za-z+/_-]+)*")


def _screen() -> re2.Set:
    screen = re2.Set.SearchSet()
    for part in (secrets.SCREEN, cards.SCREEN, accounts.SCREEN, identifiers.SCREEN, _ENCODED_TEXT):
        screen.Add(part)
    screen.Compile()
    return screen


_SCREEN: Final = _screen()
_encode: Final = msgspec.json.Encoder().encode


def sights(content: Any, own: Restricted | None = None) -> Sequence[Sight]:
    """Answer the sensitive values in JSON content, at most :data:`MOST_SIGHTS`; ``own`` are the patterns of the manifest."""
    if own is None and not _SCREEN.Match(_encode(content)):
        return ()
    found: dict[tuple[Kind, str, str], Sight] = {}
    for passage in _passages(content):
        for sight in _in(passage, own):
            found.setdefault((sight.kind, sight.value, sight.host or ""), sight)
            if len(found) == MOST_SIGHTS:
                return tuple(found.values())
    return tuple(found.values())


def _in(passage: Passage, own: Restricted | None) -> Iterator[Sight]:
    every = [sight for find in _FINDERS for sight in find(passage)]
    if own is not None:
        every += _restricted(passage, own)
    if every and b"://" in passage.text:
        urls = [url.decode(errors="replace") for url in _URL.findall(passage.text)]
        every = [sight._replace(host=_host_around(sight.value, urls)) for sight in every]
    yield from every


def _restricted(passage: Passage, own: Restricted) -> Iterator[Sight]:
    for name, (start, end) in own.found_in(passage.text):
        if start < end:
            yield Sight(
                Kind.RESTRICTED, name, passage.text[start:end].decode(errors="replace"), passage.field
            )


def _host_around(value: str, urls: Sequence[str]) -> str | None:
    """Answer the host of the address that carries a value after its host name; a password before the host stays where it is."""
    for url in urls:
        try:
            parts = urlsplit(url)
        except ValueError:
            continue
        carried = f"{parts.path}?{parts.query}#{parts.fragment}"
        if value in carried or value in carried.replace("%20", "").replace("-", "").replace("+", ""):
            return parts.hostname
    return None


def _passages(content: Any) -> Iterator[Passage]:
    """Yield every text, and every number long enough to be one that identifies, with the path of its field."""
    left = MOST_BYTES
    stack: list[tuple[Any, str, int]] = [(content, "", 0)]
    while stack and left > 0:
        value, field, depth = stack.pop()
        if isinstance(value, dict) and depth < MOST_DEPTH:
            inner = [
                (item, f"{field}.{key}" if field else str(key), depth + 1) for key, item in value.items()
            ]
            stack += reversed(inner)
            stack += [(key, field, MOST_DEPTH) for key in value if len(key) >= _LEAST_KEY_CHARS]
        elif isinstance(value, list | tuple) and depth < MOST_DEPTH:
            stack += [(item, field, depth + 1) for item in reversed(value)]
        elif isinstance(value, str) or (type(value) is int and value >= _LEAST_NUMBER):
            for passage in _told(Passage(str(value).encode(errors="replace")[:left], field), MOST_ENCODINGS):
                left -= len(passage.text)
                yield passage._replace(field=passage.field[-MOST_FIELD_CHARS:])


def _told(passage: Passage, depth: int) -> Iterator[Passage]:
    """Yield the passage, and what stands encoded in it."""
    yield passage
    if depth and _IS_ENCODED_TEXT.search(passage.text):
        for match in islice(_ENCODED.finditer(passage.text), MOST_ENCODED):
            if text := _decoded(match.group()):
                yield from _told(Passage(text, f"{passage.field} (base64)"), depth - 1)


def _decoded(encoded: bytes) -> bytes:
    """Answer what was encoded, if it is a text; nothing otherwise."""
    letters = b"".join(encoded.split()).translate(bytes.maketrans(b"-_", b"+/"))
    try:
        text = b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
        text.decode()
    except ValueError:  # neither base64, nor text
        return b""
    return text
