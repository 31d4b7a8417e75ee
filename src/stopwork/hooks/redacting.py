"""Redacting: what a hook says is told in few words, without the secrets it was given and without what looks like one."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from stopwork.detect.patterns.reading import sights
from stopwork.hooks.base import MAX_SAID_CHARS

_SHORTEST_SECRET: Final = 4
_INSTEAD: Final = "[withheld]"


class Redactor:
    """Knows the secrets of the hooks file, in the spellings in which programs repeat them."""

    def __init__(self) -> None:
        self._spellings: set[str] = set()

    def learn(self, secret: str) -> str:
        """Take note of a secret, and answer it."""
        for each in {secret, secret.strip(), *secret.split()}:
            if len(each) >= _SHORTEST_SECRET:
                coded = base64.b64encode(each.encode()).decode()
                self._spellings |= {each, quote(each, safe=""), coded, coded.rstrip("=")}
        return secret

    def told(self, text: str) -> str:
        """Answer the text in one short line, without anything that must not be repeated."""
        line = " ".join(text.split())
        # The longest first: one spelling may be part of another.
        for spelling in sorted(self._spellings, key=len, reverse=True):
            line = line.replace(spelling, _INSTEAD)
        for sight in sights(line):
            line = line.replace(sight.value, _INSTEAD)
        return line if len(line) <= MAX_SAID_CHARS else line[: MAX_SAID_CHARS - 1] + "…"

    def last_line(self, texts: Iterable[str]) -> str:
        """Answer the last line that says something."""
        lines = [line for text in texts for line in text.splitlines() if line.strip()]
        return self.told(lines[-1]) if lines else ""
