"""Of what kind an address is, and what a task calls it: to ask for *its IBAN* is to leave it to the item which one that is.

Then an item may say one. Where it says two, somebody else may have written the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from stopwork.control.steering.content import Item
from stopwork.control.steering.spelling import Text, find, squeezed
from stopwork.control.steering.subject import Value, name_of_field

MIN_FIELD_CHARS: Final = 4


class _Kind(NamedTuple):
    """How addresses of a kind look in a text, and what a task calls them, in the languages that are known."""

    shape: re.Pattern[str]
    called: re.Pattern[str]


_ACCOUNT: Final = re.compile(
    r"\b(?:ibans?|(?:bank )?accounts?|bank details|konten|konto|bankverbindung|compte|cuenta|conto|conta|rekening)\b"
)
_KINDS: Final = (
    _Kind(
        re.compile(r"[^\s@<>(),;:'\"]+@[\w.-]+\w"),
        re.compile(
            r"\b(?:address(?:es)?|adress[en]*|senders?|absender|adresses?|direcci(?:ó|o)n(?:es)?|indirizz[oi]|adres(?:sen)?)\b"
        ),
    ),
    _Kind(re.compile(r"https?://\S+"), re.compile(r"\b(?:links?|urls?|pages?|websites?|enlaces?|liens?)\b")),
    _Kind(re.compile(r"\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?\b"), _ACCOUNT),
    _Kind(re.compile(r"\b\d{9,}\b"), _ACCOUNT),
    _Kind(
        re.compile(r"\+\d[\d ()/-]{7,}\d"),
        re.compile(
            r"\b(?:(?:tele)?phones?|(?:tele)?phone numbers?|telefon\w*|téléphone|teléfono|telefono|telefoon\w*)\b"
        ),
    ),
)


def is_asked_for(value: Value, task: Text) -> bool:
    """Answer whether the task speaks of such a value: by the name of its field, or by what its kind is called."""
    name = name_of_field(value.field)
    if len(name) >= MIN_FIELD_CHARS and find(name.replace("_", " "), task, whole_word=True) is not None:
        return True
    return any(kind.called.search(task.plain) for kind in _KINDS if kind.shape.fullmatch(value.text.lower()))


def is_alone(value: Value, item: Item) -> bool:
    """Answer whether the item says no other value of the kind."""
    own = squeezed(value.text)
    return all(
        own in other or other in own
        for kind in _KINDS
        if kind.shape.fullmatch(value.text.lower())
        for other in _others(kind, item)
    )


def _others(kind: _Kind, item: Item) -> Iterator[str]:
    for text in (*(each.flat for each in item.texts), *item.data):
        yield from (squeezed(found) for found in kind.shape.findall(text))
