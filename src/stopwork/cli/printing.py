"""What a person reads: tables, facts and sentences on stdout; questions, progress and errors on stderr.

Words from outside (an agent's arguments, a file's name) never reach the terminal as control sequences. Colour is for
terminals only, and for none when ``NO_COLOR`` is set.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from stopwork.kernel.phrases import lasting

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: Wide enough that nothing is folded where no person looks.
PIPE_WIDTH: Final = 4_000
#: A table that needs more than so many times the terminal's width is no table any more.
MOST_FOLDING: Final = 1.4
NOTHING: Final = "-"
JUST_NOW_S: Final = 5
_CONTROL: Final = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NOT_IN_JSON: Final = re.compile(r"[\x7f-\x9f\ud800-\udfff]")

_STYLES: Final = {
    **dict.fromkeys(
        ("sev0", "sev1", "deny", "failed", "conflict", "rejected", "pausing", "in_doubt"), "bold red"
    ),
    **dict.fromkeys(("sev2", "wait", "draft", "pending", "unknown", "proposed", "paused", "held"), "yellow"),
    **dict.fromkeys(
        ("allow", "succeeded", "verified", "passed", "done", "drained", "sent", "normal"), "green"
    ),
    **dict.fromkeys(("attested", "excepted", "accepted", "discarded", "not_applicable"), "cyan"),
}


class Paper:
    """Where an answer is written for people. ``now`` is what relative times are counted from."""

    def __init__(self, file: TextIO, *, now: datetime, width: int | None = None) -> None:
        self._file = file
        self._now = now
        self._on_terminal = file.isatty()
        self._width = width

    def line(self, text: str = "") -> None:
        """Write one paragraph; line breaks in it stay."""
        from rich.text import Text

        self._print(Text(printable(text)))

    def heading(self, text: str) -> None:
        """Write a title with an empty line before it."""
        from rich.text import Text

        self._print(Text(""))
        self._print(Text(printable(text), style="bold"))

    def facts(self, facts: Mapping[str, Any]) -> None:
        """Write names and values below each other; what is empty is left out."""
        table = _grid()
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in facts.items():
            if value not in (None, "", [], {}, ()):
                table.add_row(name, _cell(value))
        self._print(table)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
        """Write a table, or the sentence ``empty`` when there are no rows.

        Where the terminal is far too narrow for it, each row is written as a block of its own.
        """
        filled = [[_cell(value) for value in row] for row in rows]
        if not filled:
            self.line(empty)
        elif self._fits(headings, filled):
            self._columns(headings, filled)
        else:
            self._blocks(headings, filled)

    def _fits(self, headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> bool:
        widths = [
            max(len(heading), *(row[place].cell_len for row in rows))
            for place, heading in enumerate(headings)
        ]
        needed = sum(widths) + 2 * (len(widths) - 1)
        return not self._on_terminal or needed <= MOST_FOLDING * self._console(self._file, self._width).width

    def _columns(self, headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
        table = _grid(show_header=True)
        for place, heading in enumerate(headings):
            # The first is what people copy: it stays in one piece.
            table.add_column(heading.upper(), overflow="fold", header_style="dim", no_wrap=place == 0)
        for row in rows:
            table.add_row(*row)
        self._print(table)

    def _blocks(self, headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
        for number, row in enumerate(rows):
            if number:
                self.line()
            self._print(row[0])
            block = _grid()
            block.add_column(style="dim", no_wrap=True)
            block.add_column(overflow="fold")
            for heading, cell in zip(headings[1:], row[1:], strict=True):
                if cell.plain != NOTHING:
                    block.add_row(f"  {heading}", cell)
            self._print(block)

    def when(self, moment: str | None) -> str:
        """Answer an ISO time in the local zone, with the zone's name and how far away it is."""
        if not moment:
            return NOTHING
        at = datetime.fromisoformat(moment)
        local = at.astimezone()
        away_s = (self._now - at).total_seconds()
        if abs(away_s) < JUST_NOW_S:
            distance = "just now"
        else:
            distance = f"{lasting(away_s)} ago" if away_s > 0 else f"in {lasting(-away_s)}"
        return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()} ({distance})"

    def _print(self, what: Text | Table) -> None:
        if self._on_terminal:
            self._console(self._file, self._width).print(what)
            return
        # Aligned with spaces, and without those at a line's end.
        draft = io.StringIO()
        self._console(draft, PIPE_WIDTH).print(what)
        self._file.write("".join(f"{line.rstrip()}\n" for line in draft.getvalue().splitlines()))

    def _console(self, file: TextIO, width: int | None) -> Console:
        from rich.console import Console

        return Console(
            file=file,
            width=width,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )


def write_json(value: Any, file: TextIO) -> None:
    """Write one JSON value. What could steer a terminal is escaped, which JSON allows in any text."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    file.write(_NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def printable(text: str) -> str:
    """Answer the text with everything replaced that could steer a terminal or reorder what it shows."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", "    "))


def in_short(value: Any, *, most: int = 80) -> str:
    """Answer a JSON value on one line, cut at ``most`` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def object_name(ref: Mapping[str, str]) -> str:
    """Answer an object as ``system/type/id``."""
    return "/".join((ref["system"], ref["type"], ref["id"]))


def content_of(image: Mapping[str, Any] | None, *, most: int = 80) -> str:
    """Answer an image in short: its content, or why there is none."""
    if image is None:
        return NOTHING
    return in_short(image.get("content"), most=most) if image["state"] == "present" else str(image["state"])


def _cell(value: Any) -> Text:
    from rich.text import Text

    if value is None or value == "":
        return Text(NOTHING, style="dim")
    text = printable(value if isinstance(value, str) else in_short(value, most=PIPE_WIDTH))
    return Text(text, style=_STYLES.get(text, ""))


def _grid(*, show_header: bool = False) -> Table:
    from rich.table import Table

    return Table(box=None, show_header=show_header, pad_edge=False, padding=(0, 2, 0, 0))
