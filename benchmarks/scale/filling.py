"""Filling a database with copies of one run: rows go straight into the tables, and the indexes are made afterwards."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql

from benchmarks.scale.pattern import ACCOUNT, MINUTE, RUN, WORKFLOW, Pattern
from stopwork.storage.tables import journal, metadata, micros
from tests.support.postgres import PostgresServer

WORKFLOWS: Final = tuple(f"flow-{number:02d}" for number in range(40))
#: Half of all runs are of the first workflow: an index over workflows is of little use there.
BUSIEST: Final = WORKFLOWS[0]
ACCOUNTS: Final = 1_000_000
_RUNS_AT_ONCE: Final = 500
_BETWEEN_TEXTS: Final = "\x1f"
_BETWEEN_BODIES: Final = b"\x00\x1f"
_POSTGRESQL: Final[sa.Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]
_SEQ: Final = b'"seq":'
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"

Rows = dict[str, list[tuple[Any, ...]]]


class Stretch(Struct, frozen=True, kw_only=True):
    """So many runs between two moments, the first of them with this number; the journal keeps the entries of those from ``journal_from``."""

    first: int
    runs: int
    begins: datetime
    ends: datetime
    journal_from: int


class Loader(Protocol):
    """Puts rows into tables."""

    def newest(self) -> int: ...
    def load(self, rows: Rows) -> None: ...
    def finish(self) -> None: ...


class Copies:
    """Copies of a pattern's run, each with its own ids, workflow, minute and accounts: seeded, so always the same ones."""

    def __init__(self, pattern: Pattern, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._minute = micros(MINUTE)
        self._texts: list[str] = []
        self._bodies: list[bytes] = []
        self._tables = {name: [self._row(row) for row in rows] for name, rows in pattern.rows.items()}
        self._text = _BETWEEN_TEXTS.join(self._texts)
        self._body = _BETWEEN_BODIES.join(self._bodies)

    def _row(self, row: tuple[Any, ...]) -> tuple[tuple[str, Any], ...]:
        """Take a row apart into cells: a text, a body, a time counted from the minute, or what is always the same."""
        cells: list[tuple[str, Any]] = []
        for cell in row:
            if isinstance(cell, str):
                self._texts.append(cell)
                cells.append(("text", len(self._texts) - 1))
            elif isinstance(cell, bytes):
                self._bodies.append(cell)
                cells.append(("body", len(self._bodies) - 1))
            elif isinstance(cell, int) and cell > self._minute - 1:
                cells.append(("time", cell - self._minute))
            else:
                cells.append(("same", cell))
        return tuple(cells)

    def of(self, stretch: Stretch, seq: int) -> Iterator[Rows]:
        """Answer the rows of a stretch, some hundred runs at a time, the journal going on from ``seq``."""
        step_us = (stretch.ends - stretch.begins) // max(1, stretch.runs)
        rows: Rows = {name: [] for name in self._tables}
        for number in range(stretch.runs):
            began = stretch.begins + step_us * number
            kept = self._copy(began.replace(second=0, microsecond=0), stretch.first + number)
            for name, copied in kept.items():
                if name == journal.name:
                    if stretch.first + number >= stretch.journal_from:
                        for row in copied:
                            seq += 1
                            rows[name].append(_numbered(row, seq))
                else:
                    rows[name] += copied
            if (number + 1) % _RUNS_AT_ONCE == 0:
                yield rows
                rows = {name: [] for name in self._tables}
        yield rows

    def _copy(self, minute: datetime, number: int) -> Rows:
        shuffled = self._random
        run = f"{_base32(micros(minute) // 1000, 10)}{_base32(number, len(RUN) - 10)}"
        workflow = BUSIEST if shuffled.random() < 0.5 else shuffled.choice(WORKFLOWS)
        account = f"{shuffled.randrange(ACCOUNTS):0{len(ACCOUNT)}d}"
        texts = self._text.replace(RUN, run).replace(WORKFLOW, workflow).replace(ACCOUNT, account)
        of_texts = texts.split(_BETWEEN_TEXTS)
        body = self._body.replace(RUN.encode(), run.encode()).replace(WORKFLOW.encode(), workflow.encode())
        body = body.replace(ACCOUNT.encode(), account.encode())
        # The permit's end lies in the next minute.
        later = minute + timedelta(minutes=1)
        body = body.replace(_spelled(MINUTE), _spelled(minute)).replace(
            _spelled(MINUTE + timedelta(minutes=1)), _spelled(later)
        )
        of_bodies = body.split(_BETWEEN_BODIES)
        at = micros(minute)
        return {
            name: [
                tuple(
                    of_texts[value]
                    if kind == "text"
                    else of_bodies[value]
                    if kind == "body"
                    else at + value
                    if kind == "time"
                    else value
                    for kind, value in row
                )
                for row in rows
            ]
            for name, rows in self._tables.items()
        }


def _spelled(minute: datetime) -> bytes:
    return minute.strftime("%Y-%m-%dT%H:%M:").encode()


def _base32(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, index = divmod(number, 32)
        digits = _CROCKFORD[index] + digits
    return digits


def _numbered(row: tuple[Any, ...], seq: int) -> tuple[Any, ...]:
    body = row[-2][: row[-2].rindex(_SEQ)] + b'"seq":%d}' % seq
    return (seq, *row[1:-2], body, hashlib.sha256(b"\x00" + body).digest())


class SqliteLoader:
    """Loads a database file that nobody has open; a bare one has no index meanwhile."""

    def __init__(self, path: Path, *, bare: bool) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "threads=2"):
            self._db.execute(f"PRAGMA {pragma}")
        made = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY rowid"
        self._indexes = dict(self._db.execute(made)) if bare else {}
        for name in self._indexes:
            self._db.execute(f"DROP INDEX {name}")

    def newest(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])

    def load(self, rows: Rows) -> None:
        self._db.execute("BEGIN")
        for name, each in rows.items():
            if each:
                places = ", ".join("?" * len(each[0]))
                self._db.executemany(f"INSERT INTO {name} ({_columns(name)}) VALUES ({places})", each)
        self._db.execute("COMMIT")

    def finish(self) -> None:
        """Make the indexes again, in their order: which one SQLite takes may depend on it."""
        for sql in self._indexes.values():
            self._db.execute(sql)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.close()


def prepared(server: PostgresServer) -> None:
    """Have a server write no more of what is loaded into its log than it has to."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for setting in ("wal_level = minimal", "max_wal_senders = 0", "max_wal_size = '8GB'"):
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
    server.stop()
    server.start()


class PostgresLoader:
    """Loads a PostgreSQL database that nobody uses; a bare one has no index meanwhile."""

    def __init__(self, url: str, *, bare: bool) -> None:
        self._db = psycopg.connect(url, autocommit=True)
        self._db.execute("SET synchronous_commit = off")
        self._db.execute("SET maintenance_work_mem = '1GB'")
        made = (
            "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND NOT i.indisprimary AND NOT i.indisunique ORDER BY c.oid"
        )
        self._indexes = {str(name): str(sql) for name, sql in self._db.execute(made)} if bare else {}
        for name in self._indexes:
            self._db.execute(f"DROP INDEX {name}".encode())
        if bare:
            # What is written into a table that this transaction has emptied is not written into the log as well.
            self._db.execute("BEGIN")
            self._db.execute("TRUNCATE run, step, call, key, effect")

    def newest(self) -> int:
        row = self._db.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
        return int(row[0]) if row else 0

    def load(self, rows: Rows) -> None:
        for name, each in rows.items():
            if not each:
                continue
            types = [_postgres_type(column) for column in metadata.tables[name].c]
            truths = [number for number, each_type in enumerate(types) if each_type == "boolean"]
            with self._db.cursor().copy(
                f"COPY {name} ({_columns(name)}) FROM STDIN (FORMAT binary)".encode()
            ) as copy:
                copy.set_types(types)
                for row in each:
                    copy.write_row(_with_truths(row, truths))

    def finish(self) -> None:
        if self._indexes:
            self._db.execute("COMMIT")
        self._db.execute("UPDATE journal_head SET seq = (SELECT coalesce(max(seq), 0) FROM journal)")
        for sql in self._indexes.values():
            self._db.execute(sql.encode())
        self._db.execute("VACUUM ANALYZE")
        self._db.close()


def _columns(table: str) -> str:
    """Name the columns in the order of the rows: a migration may have added one at the end."""
    return ", ".join(f'"{column.name}"' for column in metadata.tables[table].c)


def _postgres_type(column: sa.Column[Any]) -> str:
    name = column.type.compile(_POSTGRESQL).lower()
    return "text" if name.startswith(("varchar", "text")) else name


def _with_truths(row: tuple[Any, ...], truths: list[int]) -> Sequence[Any]:
    if not truths:
        return row
    cells = list(row)
    for number in truths:
        cells[number] = None if cells[number] is None else bool(cells[number])
    return cells
