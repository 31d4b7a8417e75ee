"""What came in from outside, taken apart: items, the texts in them, and what they hold beside texts.

A text is where somebody can write an order; a field that holds one short value is data. A result of many things (mails, events, files) is as
many items, each with its own names, so that what one of them says is not laid to another, and it can be told which one a task speaks of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from stopwork.control.steering.authors import authors
from stopwork.control.steering.spelling import MAX_TEXT_CHARS, Disguise, Text, plain, spelled
from stopwork.kernel.foreign_json import read_json
from stopwork.ledger.records import Record

MAX_ITEMS: Final = 500
MAX_LEAVES: Final = 5_000
MAX_DEPTH: Final = 12
#: So much of all texts together is looked at, for permits wait meanwhile.
MAX_LETTERS: Final = 500_000
#: Pieces of a long text have so much in common.
OVERLAP_CHARS: Final = 1_000
#: A value of more words, or letters, than this is a text.
MAX_DATA_WORDS: Final = 3
MAX_DATA_CHARS: Final = 80
#: A single word as long as this may be a text in another spelling.
MIN_HIDING_CHARS: Final = 24
MIN_NAME_CHARS: Final = 4
MAX_NAME_CHARS: Final = 120
#: What an item is known by where it was read, the surest first. The last is the key it stood under.
_IDS: Final = ("id", "uid", "uuid", "key", "path", "url", "file", "filename", "name", "subject", "title", "")


class Foreign(Record):
    """One thing that a run has read from outside: the call or the step, what it was asked for, and what came of it."""

    record: str
    source: str
    given: Any
    content: Any


class Item(NamedTuple):
    """One thing of several: what it can be called by, best first, its texts, its data in the spelling that is compared, and who wrote it."""

    id: str | None
    names: tuple[str, ...]
    texts: tuple[Text, ...]
    data: frozenset[str]
    authors: frozenset[str]


class _Told(NamedTuple):
    """One thing of several before its texts are looked at; ``values`` are single, and may be texts in another spelling."""

    id: str | None
    names: tuple[str, ...]
    texts: tuple[str, ...]
    values: tuple[str, ...]
    authors: frozenset[str]


def items(every: Sequence[Foreign]) -> list[tuple[Foreign, tuple[Item, ...]]]:
    """Answer what was read, each with its items, at most :data:`MAX_ITEMS`.

    Of their texts :data:`MAX_LETTERS` are looked at in all: where there are more, the longest only so far that it is no more.
    """
    told = [(foreign, tuple(_told(foreign))) for foreign in every]
    most = _share([len(text) for _, each in told for one in each for text in one.texts])
    return [(foreign, tuple(_item(one, most) for one in each)) for foreign, each in told]


def _told(foreign: Foreign) -> Iterator[_Told]:
    """Yield the things that were read together. What one alone was asked for by is a name of it, too."""
    parts = list(islice(_parts(_opened(foreign.content), 0), MAX_ITEMS))
    asked_by = [str(value) for value in leaves(foreign.given) if _can_name(value)] if len(parts) == 1 else []
    for part in parts:
        values = list(leaves(part))
        data = tuple(str(value) for value in values if not is_text(value) and not isinstance(value, bool))
        yield _Told(
            id=_id_of(part) or next(iter(asked_by), None),
            names=(*asked_by, *data),
            texts=tuple(value for value in values if is_text(value)),
            values=data,
            authors=frozenset(authors(part)),
        )


def _item(told: _Told, most: int) -> Item:
    fitting = (name for name in told.names if MIN_NAME_CHARS <= len(name) <= MAX_NAME_CHARS)
    return Item(
        id=told.id,
        names=tuple(dict.fromkeys(plain(name) for name in fitting)),
        texts=(
            *(each for text in told.texts for piece in _pieces(text[:most]) for each in spelled(piece)),
            *(each for value in told.values if _may_hide(value) for each in spelled(value)[1:]),
        ),
        data=frozenset(plain(value) for value in told.values),
        authors=told.authors,
    )


def _share(lengths: Sequence[int]) -> int:
    """Answer how much of each text is looked at, so that it comes to :data:`MAX_LETTERS` at most."""
    left = MAX_LETTERS
    for longer, length in zip(range(len(lengths), 0, -1), sorted(lengths), strict=True):
        if length > left // longer:
            return left // longer
        left -= length
    return MAX_LETTERS


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that can be looked at one by one: what stands together stands together in one of them."""
    for start in range(0, max(1, len(text) - OVERLAP_CHARS), MAX_TEXT_CHARS - OVERLAP_CHARS):
        yield text[start : start + MAX_TEXT_CHARS]


def name_of(item: Item, *, but_for: Collection[str] = ()) -> str | None:
    """Answer what the item can be told from others by; ``but_for`` are values that may stand in it because of the call."""
    return item.id or next((name for name in item.names if name not in but_for), None)


def is_text(value: Any) -> bool:
    """Answer whether a value is a text, in which something can be asked for."""
    if not isinstance(value, str):
        return False
    return len(value) > MAX_DATA_CHARS or len(value.split()) > MAX_DATA_WORDS or "\n" in value.strip()


def leaves(content: Any) -> Iterator[Any]:
    """Yield the single values of the content, at most :data:`MAX_LEAVES`, and the names of its fields where they are texts."""
    return islice(_leaves(content, 0), MAX_LEAVES)


def hidden(text: Text) -> bool:
    """Answer whether the text was disguised."""
    return text.disguise is not Disguise.NONE


def _leaves(content: Any, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        return
    if isinstance(content, dict):
        for key, value in content.items():
            if is_text(key):
                yield key
            yield from _leaves(value, depth + 1)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _leaves(value, depth + 1)
    elif content is not None:
        yield content


def _can_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _may_hide(value: str) -> bool:
    """Answer whether a single value is long enough to be a text in another spelling."""
    return len(value) >= MIN_HIDING_CHARS and max(map(len, value.split()), default=0) >= MIN_HIDING_CHARS


def _id_of(part: Any) -> str | None:
    """Answer the id of an item, or what stands for one, so that the item can be put in quarantine by it."""
    if not isinstance(part, dict):
        return None
    by_name = {str(key).strip("_").lower(): value for key, value in part.items()}
    named = (by_name.get(name) for name in _IDS)
    return next(
        (str(each)[:MAX_NAME_CHARS] for each in named if isinstance(each, str | int) and str(each)), None
    )


def _parts(content: Any, depth: int) -> Iterator[Any]:
    """Yield what stands beside each other: the members of a list, and of a table of records."""
    if depth > MAX_DEPTH:
        return
    if isinstance(content, list) and content:
        for member in content:
            yield from _parts(member, depth + 1)
    elif (
        isinstance(content, dict) and len(content) > 1 and all(isinstance(v, dict) for v in content.values())
    ):
        for key, value in content.items():
            yield value | {"": key}
    elif (
        isinstance(content, dict)
        and len(content) == 1
        and isinstance(next(iter(content.values())), list | dict)
    ):
        yield from _parts(next(iter(content.values())), depth + 1)
    elif content is not None:
        yield content


def _opened(content: Any) -> Any:
    """Answer the content of a text that is JSON; anything else as it is."""
    if isinstance(content, str) and content.lstrip()[:1] in ("{", "["):
        try:
            return read_json(content)
        except ValueError:
            return content
    return content
