"""The call that is judged: its values, which of them say where something goes or what is allowed, and where they stand in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from stopwork.control.steering.content import is_text
from stopwork.control.steering.spelling import Place, Text, find, squeezed
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind

MAX_VALUES: Final = 100
MAX_NUMBER_CHARS: Final = 30
#: A text of so many letters and words is not in two places by chance.
MIN_CARRIED_CHARS: Final = 24
MIN_CARRIED_WORDS: Final = 5
#: Nor is a single value of more letters than this.
MAX_COMMON_CHARS: Final = 6

_ADDRESS: Final = re.compile(
    r"[^\s@]+@[^\s@]+\.\w+|https?://\S+|[A-Za-z]{2}\d{2}[A-Za-z0-9 ]{8,}|\+\d[\d ()/-]{7,}\d|\d{9,}|(?:[\w-]+\.)+[a-z]{2,}"
)
_ADDRESSED: Final = re.compile(
    r"recipient|^to$|^cc$|^bcc$|email|address|iban|account|destination|channel|phone|url|uri|webhook|participant|payee|invitee|member"
)
_CONTROLS: Final = re.compile(
    r"amount|price|total|sum$|permission|role|scope|access|password|secret|code|command|script|query|sql|expression|limit"
)
_URL: Final = re.compile(r"https?://[^\s\"'<>)\]]+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d[\d,.']*")
_INDEX: Final = re.compile(r"\[\d+\]")


class Subject(Record):
    """The call as it is judged: ``destinations`` are where the manifest says that its effect goes."""

    tool: str
    effect: EffectKind
    args: dict[str, Any]
    destinations: tuple[str, ...] = ()


class Errand(Record):
    """What the run is for: the ``task`` it was given, or else the ``purpose`` that the manifest states for all of its runs."""

    task: str = ""
    purpose: str = ""


class Value(NamedTuple):
    """One value of the arguments, and what it is: an address that something goes to, something that controls what is done, a number."""

    field: str
    text: str
    address: bool
    controls: bool
    number: bool

    @property
    def carried(self) -> bool:
        """Whether it is a text long enough to have been taken from where it stands."""
        return len(self.text) >= MIN_CARRIED_CHARS and len(self.text.split()) >= MIN_CARRIED_WORDS

    @property
    def telling(self) -> bool:
        """Whether it hardly stands in a text by chance."""
        return self.address or len(squeezed(self.text)) > MAX_COMMON_CHARS


def values(subject: Subject) -> Iterator[Value]:
    """Yield the values of the call, at most :data:`MAX_VALUES`, and the links within its texts."""
    for field, value in fields_of(subject.args):
        text = str(value).strip()
        if not text or isinstance(value, bool) or value is None:
            continue
        number = isinstance(value, int | float)
        name = name_of_field(field)
        shaped = not number and _ADDRESS.fullmatch(text) is not None
        named = not (number or is_text(text)) and _ADDRESSED.search(name) and len(text) >= MAX_COMMON_CHARS
        yield Value(
            field=field,
            text=text,
            address=shaped or bool(named) or text in subject.destinations,
            controls=_CONTROLS.search(name) is not None,
            number=number,
        )
        if not number and not shaped:
            # A link within what is sent leads its reader somewhere.
            yield from (Value(field, link, True, False, False) for link in _URL.findall(text))


def name_of_field(field: str) -> str:
    """Answer what a field is called by itself, without its place in a list or within another."""
    return _INDEX.sub("", field).rsplit(".", 1)[-1].lower()


def links(args: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the links in the arguments, each with its field."""
    for field, value in fields_of(args):
        if isinstance(value, str) and "://" in value:
            yield from ((field, link) for link in _URL.findall(value))


def names_a_link(args: dict[str, Any]) -> bool:
    """Answer whether there is a link in the arguments."""
    return next(links(args), None) is not None


def place_of(value: Value, text: Text) -> Place | None:
    """Answer where the value stands in the text; a number in any of the ways in which it is written."""
    if not value.number:
        whole = len(value.text) < MIN_CARRIED_CHARS
        return find(value.text, text, whole_word=whole, pieces=value.address)
    wanted = float(value.text)
    for match in _NUMBER.finditer(text.plain):
        digits = match[0].strip(",.'").replace(",", "").replace("'", "")
        if len(digits) <= MAX_NUMBER_CHARS and digits.count(".") <= 1 and float(digits) == wanted:
            return Place(match.start(), match.end())
    return None


def fields_of(args: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each single value of the arguments with its path, at most :data:`MAX_VALUES`."""
    return islice(_fields(args, ""), MAX_VALUES)


def _fields(content: Any, field: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _fields(value, f"{field}.{key}" if field else str(key))
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from _fields(value, f"{field}[{index}]")
    else:
        yield field, content
