"""Who wrote a thing that was read: by the fields in which its system says so, never by its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from stopwork.control.steering.spelling import plain

MAX_DEPTH: Final = 4
MAX_AUTHORS: Final = 20

#: What follows is a field's name without what is neither letter nor digit.
_KIND: Final = r"(?:e?mail)?(?:addr(?:ess)?)?|phone|number|id"
_AUTHOR: Final = re.compile(rf"(?:from|sender|replyto|author|requester)(?:{_KIND})")
_WITHIN: Final = re.compile(_KIND)
_BETWEEN: Final = re.compile(r"[\W_]+")
#: An address may stand behind a name, as in *Lily Brown <lily@acme.test>*; of a list that is more than one nothing is taken.
_NAMED: Final = re.compile(r"(?:\"[^\"<>@]*\"\s*|[^\"<>@,;]*)<([^<>\s,;]+)>")


def authors(part: Any) -> Iterator[str]:
    """Yield who wrote the thing, in the spelling that is compared, at most :data:`MAX_AUTHORS`.

    Where it holds others, as a mail does the one that it forwards, the outermost is meant. Lists hold things of their own.
    """
    level = [part] if isinstance(part, dict) else []
    for _ in range(MAX_DEPTH):
        found = [value for each in level for name, value in each.items() if _AUTHOR.fullmatch(_bare(name))]
        if found:
            yield from list(_addresses(found))[:MAX_AUTHORS]
            return
        level = [value for each in level for value in each.values() if isinstance(value, dict)]


def address_in(value: str) -> str:
    """Answer the address alone, in the spelling that is compared, where a name stands before it; else all of the value."""
    text = plain(value).strip()
    named = _NAMED.fullmatch(text)
    return named[1] if named else text


def _addresses(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str) and value.strip():
            yield address_in(value)
        elif isinstance(value, dict):
            within = (each for name, each in value.items() if _WITHIN.fullmatch(_bare(name)))
            yield from (address_in(each) for each in within if isinstance(each, str) and each.strip())


def _bare(name: Any) -> str:
    return _BETWEEN.sub("", str(name)).lower()
