"""What is wrong with a manifest, said so that its author can put it right without asking anyone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from msgspec import Struct, to_builtins

from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import count_of

Path = tuple[str | int, ...]
MAX_SHOWN_CHARS = 80
MAX_SHOWN_PROBLEMS = 20


class Problem(Struct, frozen=True, kw_only=True):
    """One thing to put right: where it stands, what was found, and what would be right.

    ``line`` and ``column`` count from one. ``field`` is the path of keys, dots between them.
    """

    file: str
    line: int
    column: int
    field: str
    value: str
    message: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        what = f"{self.field}: {self.message}" if self.field else self.message
        return f"{where}: {what}; expected {self.expected}" if self.expected else f"{where}: {what}"


class Misfit(ValueError):
    """Text that cannot stand where it stands; ``expected`` says what can."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.message, self.expected = message, expected


class InvalidManifest(Invalid):
    """The manifest cannot be used as it stands"""

    def __init__(self, problems: Sequence[Problem]) -> None:
        lines = "\n".join(str(problem) for problem in problems[:MAX_SHOWN_PROBLEMS])
        more = len(problems) - MAX_SHOWN_PROBLEMS
        super().__init__(
            f"{count_of(len(problems), 'problem')} in the manifest:\n{lines}"
            + (f"\n… and {more} more" if more > 0 else ""),
            hint="Nothing was changed. Correct the lines named and apply the file again.",
            problems=[to_builtins(problem) for problem in problems],
        )
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return f"{self.detail}\n{self.hint}"


def field_name(path: Path) -> str:
    """Answer a path as people write it: ``tools[crm.create_task].gate.approvers[0]``."""
    name = ""
    for key in path:
        if isinstance(key, int) or "." in key:
            name += f"[{key}]"
        else:
            name += f".{key}" if name else key
    return name


def shown(value: Any) -> str:
    """Answer a value in one short line, for a message."""
    match value:
        case None:
            text = "nothing"
        case bool():
            text = str(value).lower()
        case str():
            text = f'"{value}"'
        case dict():
            text = "a mapping"
        case list():
            text = "a list"
        case int() if value.bit_length() > 256:
            text = "a very large number"
        case _:
            text = str(value)
    return shortened(text)


def shortened(text: str) -> str:
    """Answer text in one short line."""
    line = " ".join(text[: 2 * MAX_SHOWN_CHARS].split())
    return line if len(line) <= MAX_SHOWN_CHARS else f"{line[: MAX_SHOWN_CHARS - 1]}…"


def one_of(words: Iterable[str], found: str = "") -> str:
    """Answer the words to choose from, beginning with the one that was probably meant."""
    known = sorted(words)
    near = get_close_matches(found.lower(), known, n=1, cutoff=0.6) if found else []
    choice = ", ".join(known)
    return f'"{near[0]}" (one of: {choice})' if near else f"one of: {choice}"
