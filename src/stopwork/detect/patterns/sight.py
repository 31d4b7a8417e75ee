"""One sensitive value that was seen, and the passage in which it stood."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import re2

#: How much of the text before a value says what the value is.
CONTEXT_BYTES: Final = 48
MOST_SHOWN: Final = 4

#: What stands between the groups of a number: a blank, a hyphen, the blanks that do not break a line, and both as an address (URL) has them.
GROUPING: Final = rb"(?:[ +\x{a0}\x{2000}-\x{200a}\x{202f}-]|%20)"

_SPACE: Final = 0x20
_WORD_BYTES: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_GROUPING: Final = re2.compile(GROUPING)
_WORD: Final = re2.compile(rb"[A-Z]+[a-z]*|[a-z]+")


class Kind(StrEnum):
    """What a sensitive value is; ``restricted`` is what the manifest's own patterns find."""

    CREDENTIAL = "credential"
    CARD = "payment_card"
    ACCOUNT = "bank_account"
    IDENTIFIER = "national_id"
    RESTRICTED = "restricted"


class Doubt(StrEnum):
    """Why something that looks like a sensitive value may be none."""

    EXAMPLE = "a published example"
    NO_CONTEXT = "nothing around it says what it is"
    CHECKSUM = "its checksum does not fit"
    TEST_MODE = "it opens a test environment only"


def words(text: str) -> frozenset[str]:
    """Answer the words of a list that is written as text."""
    return frozenset(text.split())


def in_groups(number: bytes) -> str:
    """Answer a number with a blank between its groups, however they are set apart."""
    grouped: bytes = _GROUPING.sub(b" ", number)
    return grouped.decode()


class Sight(NamedTuple):
    """A sensitive value in a field of a record.

    ``value`` is for comparing only: it stands in no finding, log or message. ``host`` is that of the address (URL) it is part of.
    """

    kind: Kind
    name: str
    value: str
    field: str
    doubt: Doubt | None = None
    host: str | None = None

    @property
    def shown(self) -> str:
        """The value as people may see it: what it is, and as much of its end as tells one from another."""
        ending = self.value[-min(MOST_SHOWN, len(self.value) // 5) :] if len(self.value) >= 10 else ""
        return f"{self.name} ending in {ending}" if ending else self.name


class Passage(NamedTuple):
    """The text of one field, as bytes."""

    text: bytes
    field: str

    def stands_alone(self, start: int, end: int) -> bool:
        """Answer whether a value is no part of a longer word or number."""
        text = self.text
        before = text[start - 1] if start else _SPACE
        after, then = (*text[end : end + 2], _SPACE, _SPACE)[:2]
        if before in _WORD_BYTES or after in _WORD_BYTES or before in b"-+.":
            return False
        # A full stop at the end of a sentence is no part of a number.
        return not (after in b".-+=" and then in _WORD_BYTES)

    def words_before(self, start: int) -> frozenset[str]:
        """Answer the words by which the value is introduced: those before it, and those of the field's name."""
        before = (
            self.text[max(0, start - CONTEXT_BYTES) : start] + b" " + self.field[-CONTEXT_BYTES:].encode()
        )
        return frozenset(word.decode().lower() for word in _WORD.findall(before))
