"""The least that could be done in the place of what is measured."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Self

from benchmarks.timing.figures import median_ms, timed_ms

COMMIT: Final = "one durable commit"
ROW_BYTES: Final = 500
COMMITS: Final = 60
FIRST_LOOKS: Final = 8


class BareDatabase:
    """A SQLite file with the store's own durability (WAL, ``synchronous=FULL``) and one table."""

    def __init__(self, folder: Path) -> None:
        self._quietest_ms = math.inf
        self._connection = sqlite3.connect(folder / "yardstick.db", isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS line (body BLOB)"
        )

    def commit_ms(self) -> float:
        """Answer the time of one durable commit of one row: the quietest median so far.

        Others use the disk as well, and aims are set against a disk that nobody else uses: a commit that waited for them would make
        everything beside it look better than it is.
        """
        looks = 1 if self._quietest_ms < math.inf else FIRST_LOOKS
        medians = [median_ms(lambda: self._insert(1), COMMITS) for _ in range(looks)]
        self._quietest_ms = min(self._quietest_ms, *medians)
        return self._quietest_ms

    def rows_per_s(self, rows: int, row_bytes: int) -> float:
        """Answer how many rows a second one durable commit of so many rows makes."""
        return rows / timed_ms(lambda: self._insert(rows, row_bytes)) * 1e3

    def _insert(self, rows: int, row_bytes: int = ROW_BYTES) -> None:
        body = b"x" * row_bytes
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany("INSERT INTO line VALUES (?)", ((body,) for _ in range(rows)))
            cursor.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._connection.close()
