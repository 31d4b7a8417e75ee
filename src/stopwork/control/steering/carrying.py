"""A read as a way out: an address that nobody asked for, and in it something that the run has read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from stopwork.control.steering.content import Foreign, Item, items, name_of
from stopwork.control.steering.spelling import Text, find, plain, spelled, squeezed
from stopwork.control.steering.subject import Subject, links
from stopwork.control.steering.weighing import suspicion
from stopwork.ledger.records import Suspicion
from stopwork.ledger.words import Clue

#: What an address carries away is told by so many letters; fewer are found by chance.
MIN_SECRET_CHARS: Final = 6
#: So many addresses of one call are looked at, and so many of the words in them are searched for within others.
MAX_LINKS: Final = 100
MAX_SEARCHED: Final = 500
_WORDS: Final = re.compile(r"[\w@.+-]+")

Seen = tuple[Foreign, Item]


class _Known:
    """What a run has read, and every word of it."""

    def __init__(self, foreign: Sequence[Foreign]) -> None:
        self.seen: tuple[Seen, ...] = tuple((read, item) for read, every in items(foreign) for item in every)
        self._data = frozenset(value for _, item in self.seen for value in item.data)
        self._texts = tuple(text.plain for _, item in self.seen for text in item.texts)
        self._words = frozenset(word for text in self._texts for word in _WORDS.findall(text))
        self._left = MAX_SEARCHED

    def has(self, word: str) -> bool:
        """Answer whether the run has read this word; the first :data:`MAX_SEARCHED` that are asked for may also be parts of one."""
        if word in self._words or word in self._data:
            return True
        self._left -= 1
        return self._left >= 0 and any(word in text for text in self._texts)


def carrying_out(subject: Subject, foreign: Sequence[Foreign], task: Text | None) -> Iterator[Suspicion]:
    """Yield what speaks for each address in the call carrying out something that the run has read."""
    known: _Known | None = None
    for field, link in islice(links(subject.args), MAX_LINKS):
        parts = urlsplit(link)
        loads = [unquote(parts.path), *(value for _, value in parse_qsl(parts.query))]
        secrets = [load for load in loads if len(squeezed(load)) >= MIN_SECRET_CHARS]
        if not secrets or (task is not None and find(parts.netloc, task) is not None):
            continue
        if known is None:
            known = _Known(foreign)
        # What is only followed as it stands carries nothing that its writer did not know.
        if _is_given(link, known.seen) or not _leaks(secrets, known):
            continue
        from_text = _where(parts.netloc, known.seen)
        read, item, text = from_text or (*known.seen[0], None)
        clues = [Clue.CARRIES_OUT]
        if from_text is not None:
            clues.append(Clue.ADDRESS_IN_TEXT)
        if task is not None:
            clues.append(Clue.NOT_ASKED)
        yield suspicion(
            read,
            clues,
            item=name_of(item),
            field=field,
            value=link,
            text=text,
            place=find(parts.netloc, text) if text is not None else None,
        )


def _is_given(link: str, seen: Iterable[Seen]) -> bool:
    return any(
        plain(link) in item.data or any(find(link, text) is not None for text in item.texts)
        for _, item in seen
    )


def _leaks(secrets: Iterable[str], known: _Known) -> bool:
    """Answer whether a word in what an address carries is one that the run has read."""
    words = (word for load in secrets for text in spelled(load) for word in _WORDS.findall(text.plain))
    return any(len(squeezed(word)) >= MIN_SECRET_CHARS and known.has(word) for word in words)


def _where(host: str, seen: Iterable[Seen]) -> tuple[Foreign, Item, Text] | None:
    return next(
        ((read, item, text) for read, item in seen for text in item.texts if find(host, text) is not None),
        None,
    )
