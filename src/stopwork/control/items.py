"""Items of a source: whether what a call says names one of them.

An item is named by its id, wherever in the values it stands, as a value of its own or as a word within one (an address, a query). It is
compared in any letters: that an item in quarantine is refused once too often does less harm than that it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote


def names(said: Any, item: str) -> bool:
    """Answer whether any value in ``said``, however deep, names the item."""
    wanted = item.casefold()
    word = re.compile(rf"(?<![\w-]){re.escape(wanted)}(?![\w-])")
    return any(
        wanted in value and word.search(value)
        for text in _texts(said)
        for value in dict.fromkeys((text.casefold(), unquote(text).casefold()))
    )


def _texts(said: Any) -> Iterator[str]:
    match said:
        case str():
            yield said
        case bool():
            return
        case int() | float():
            yield str(said)
        case dict():
            for key, value in said.items():
                yield from _texts(key)
                yield from _texts(value)
        case list() | tuple():
            for value in said:
                yield from _texts(value)
