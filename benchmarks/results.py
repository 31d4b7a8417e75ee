"""RESULTS.md: one section for each bench, between two markers, and how its tables are written."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).parent / "RESULTS.md"


def write(name: str, text: str, path: Path = RESULTS) -> None:
    """Put the section of this name into the file, in place of the one that stands there."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    known = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    if begin not in known:
        known += f"\n{begin}\n{end}\n"
    before, _, rest = known.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Answer the lines of a table in Markdown."""
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]


def machine() -> str:
    """Answer in words what the figures were measured on."""
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} shared cores ({platform.machine()}), {versions}"
