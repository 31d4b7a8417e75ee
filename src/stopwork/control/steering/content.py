"""What came in from outside, taken apart: items, the texts in them, and what they hold beside texts.

A text is where somebody can write an order; a field that holds one short value is data. A result of many things (mails, events, files) is as
many items, each with its own names, so that what one of them says is not laid to another, and it can be told which one a task speaks of.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from stopwork.control.steering.spelling import Disguise, Text, plain, spelled
from stopwork.ledger.records import Record

MAX_ITEMS: Final = 500
MAX_LEAVES: Final = 5_000
MAX_DEPTH: Final = 12
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
    """One thing of several: what it can be called by, best first, its texts, and its data in the spelling that is compared."""

    id: str | None
    names: tuple[str, ...]
    texts: tuple[Text, ...]
    data: frozenset[str]


def items(foreign: Foreign) -> Iterator[Item]:
    """Yield the items of what was read, at most :data:`MAX_ITEMS`. What one alone was asked for by is a name of it, too."""
    parts = list(islice(_parts(_opened(foreign.content), 0), MAX_ITEMS))
    asked_by = [value for value in leaves(foreign.given) if isinstance(value, str)] if len(parts) == 1 else []
    for part in parts:
        values = list(leaves(part))
        texts = [value for value in values if is_text(value)]
        data = [str(value) for value in values if not is_text(value) and not isinstance(value, bool)]
        yield Item(
            id=_id_of(part) or next(iter(asked_by), None),
            names=tuple(
                dict.fromkeys(
                    plain(name)
                    for name in (*asked_by, *data)
                    if MIN_NAME_CHARS <= len(name) <= MAX_NAME_CHARS
                )
            ),
            texts=(
                *(each for text in texts for each in spelled(text)),
                *(each for value in data if _may_hide(value) for each in spelled(value)[1:]),
            ),
            data=frozenset(plain(value) for value in data),
        )


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
            return json.loads(content)
        except ValueError:
            return content
    return content
