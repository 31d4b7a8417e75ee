"""The patterns that a manifest's owner writes for restricted classes of data.

They are in the syntax of RE2, which takes time in proportion to the text whatever the pattern is: no pattern can hold up the detectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import re2

from stopwork.manifest.problems import Misfit

MAX_PATTERN_CHARS: Final = 500
#: What one compiled pattern may take: repeats of repeats grow beyond it and are refused.
MAX_PATTERN_BYTES: Final = 1 << 20


def compiled(text: str | bytes) -> Any:
    """Answer a pattern that takes time in proportion to what it is looked for in; ``re2.error`` for one that can not be run so."""
    options = re2.Options()
    options.max_mem = MAX_PATTERN_BYTES
    options.log_errors = False
    return re2.compile(text, options)


def why_not(error: re2.error) -> str:
    """Answer what is wrong with a pattern."""
    why = error.args[0] if error.args else "it cannot be read"
    return why.decode() if isinstance(why, bytes) else str(why)


def check_pattern(text: str) -> None:
    """Refuse what RE2 cannot run, and what is found in nothing."""
    expected = r"a regular expression in RE2 syntax, such as 'EMP-\d{6}'"
    if len(text) > MAX_PATTERN_CHARS:
        raise Misfit(f"a pattern has at most {MAX_PATTERN_CHARS} characters, this has {len(text)}", expected)
    try:
        pattern = compiled(text.encode())
    except re2.error as error:
        raise Misfit(f"this is no pattern: {why_not(error)}", expected) from None
    if pattern.search(b"") is not None:
        raise Misfit("this pattern is found in an empty text, so it would be found everywhere", expected)


class Restricted:
    """The patterns of one manifest, by the class of data that they find."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: compiled(text.encode()) for name, text in patterns.items()}

    def found_in(self, text: bytes) -> Iterator[tuple[str, tuple[int, int]]]:
        """Yield the class of each value that a pattern finds, and where it stands."""
        for name, pattern in self._patterns.items():
            for match in pattern.finditer(text):
                yield name, match.span()
