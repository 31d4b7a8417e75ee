"""When two sets of arguments say the same in other words: what names something must be equal, only running text may differ, and little.

Numbers, dates, addresses, identifiers and whatever else is one word are compared as they are. In a text of several words case, spacing,
punctuation and the ways in which Unicode writes one character make no difference, and neither do articles and the endings of words. A
name, a number, a negation or any other word that only one of them has makes two texts different, however long and equal the rest is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

MOST_PARTS: Final = 64
MOST_TEXT_CHARS: Final = 2_000
MOST_DEPTH: Final = 4

SAME_STEM: Final = 0.7
"""Two forms of a word share this much of the longer from its beginning: *renewal* and *renewals*, not *internal* and *interval*."""
LEAST_STEM_CHARS: Final = 4

_LITTLE_WORDS: Final = frozenset({"a", "an", "the", "please"})
_EDGES: Final = " \t\r\n.,;:!?()[]{}<>\"'`*_~|/\\-\u2013\u2014\u2026\u201c\u201d\u2018\u2019\u00ab\u00bb"
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")


class Parts(NamedTuple):
    """Arguments taken apart: ``exact`` is equal only for arguments that name the same, ``texts`` are what may differ."""

    exact: str
    texts: tuple[str, ...]


def taken_apart(args: Mapping[str, Any]) -> Parts | None:
    """Answer the parts of a call's arguments; ``None`` where no text is among them, or there is too much to compare."""
    exact: list[str] = []
    texts: list[str] = []
    for number, (path, value) in enumerate(_leaves(args, "", MOST_DEPTH)):
        if number >= MOST_PARTS:
            return None
        if isinstance(value, str) and len(value.split(None, 1)) > 1:
            if len(value) > MOST_TEXT_CHARS:
                return None
            texts.append(value)
            exact.append(path)
        else:
            exact.append(f"{path}={_named(value)!r}")
    return Parts("\x1f".join(exact), tuple(texts)) if texts else None


def _named(value: Any) -> Any:
    """Answer what names something as it is compared: an address in capitals is the same address."""
    if not isinstance(value, str):
        return value
    name = value.strip() if value.isascii() else unicodedata.normalize("NFKC", value).strip()
    return name.casefold() if "@" in name else name


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth and isinstance(value, dict):
        for name in sorted(value):
            inner = value[name]
            # Nearly all arguments are plain values.
            if isinstance(inner, dict | list):
                yield from _leaves(inner, f"{path}.{name}", depth - 1)
            else:
                yield f"{path}.{name}", inner
    elif depth and isinstance(value, list):
        for place, each in enumerate(value):
            yield from _leaves(each, f"{path}.{place}", depth - 1)
    else:
        yield path, value


def alike(texts: Sequence[str], others: Sequence[str], at_least: float) -> float | None:
    """Answer how alike the texts are, each with its other, from 0 to 1: that of the pair which differs most.

    ``None`` where one of them is not ``at_least`` so alike, or says something else.
    """
    least = 1.0
    for text, other in zip(texts, others, strict=True):
        if text == other:
            continue
        words, its = _words(text), _words(other)
        if not words or not its:
            return None
        folded, its_folded = [each.casefold() for each in words], [each.casefold() for each in its]
        if folded == its_folded:
            continue
        ratio = fuzz.ratio(" ".join(folded), " ".join(its_folded)) / 100
        if ratio < at_least or not _differ_in_form_only(words, its, folded, its_folded):
            return None
        least = min(least, ratio)
    return least


def _words(text: str) -> list[str]:
    """Answer the words without what stands around them; one with a digit in it stays whole: 1,000 is not 1 and 000."""
    words: list[str] = []
    for raw in unicodedata.normalize("NFKC", text).split():
        word = raw.strip(_EDGES)
        if any(map(str.isdigit, word)):
            # A sign in front of a number is part of it.
            words.append(raw.rstrip(_EDGES).lstrip("([{<\"'`"))
        else:
            words += [each for each in _BETWEEN_WORDS.split(word) if each]
    return words


def _differ_in_form_only(
    words: Sequence[str], its: Sequence[str], folded: Sequence[str], its_folded: Sequence[str]
) -> bool:
    for equal, group in groupby(Indel.opcodes(folded, its_folded), key=lambda each: each.tag == "equal"):
        if equal:
            continue
        changes = list(group)
        first, last = changes[0], changes[-1]
        mine = [each for each in words[first.src_start : last.src_end] if not _is_little(each)]
        other = [each for each in its[first.dest_start : last.dest_end] if not _is_little(each)]
        if len(mine) != len(other) or not all(map(_is_form_of, mine, other)):
            return False
    return True


def _is_little(word: str) -> bool:
    return word.casefold() in _LITTLE_WORDS


def _is_form_of(word: str, other: str) -> bool:
    # Whoever writes a word with a capital may name something, and a name of almost the same letters is another one.
    if not word.islower() or not other.islower() or not word.isalpha() or not other.isalpha():
        return False
    shared = next(
        (at for at, (mine, its) in enumerate(zip(word, other, strict=False)) if mine != its),
        min(len(word), len(other)),
    )
    return shared >= max(LEAST_STEM_CHARS, SAME_STEM * max(len(word), len(other)))
