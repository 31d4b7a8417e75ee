"""SQLite through the standard library: a connection to itself for each transaction, the write lock taken at its start.

Connections that came to a good end are kept for the next transaction, as long as the same file is there. Opening one costs more than reading a row.
"""

from __future__ import annotations

import os
import re
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from stopwork.kernel.errors import Conflict, Invalid, StopworkError, Unavailable
from stopwork.systems import sqlite_capture
from stopwork.systems.changed_rows import ChangedRow
from stopwork.systems.databases import Column, Referrer, Table
from stopwork.systems.foreign_keys import ForeignKey

_WAIT_S: Final = 5.0
_IDLE_MAX: Final = 8
_WHOLE_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
#: What a table without a primary key knows its rows by.
ROWID: Final = "rowid"
_FAILURES: Final = (sqlite3.Error, OverflowError)
_COMPUTED: Final = (2, 3)  # "hidden" in table_xinfo: a virtual or stored generated column


_Identity = tuple[int, int, int]
_Columns = dict[Table, list[Column]]


class _Opened:
    """A connection, of which file and process it is, and what it knows of the columns while the schema is ``version``."""

    __slots__ = ("columns", "connection", "of", "version")

    def __init__(self, connection: sqlite3.Connection, of: _Identity) -> None:
        self.connection = connection
        self.of = of
        self.version = -1
        self.columns: _Columns = {}

    def known_columns(self) -> _Columns:
        """Answer what is known of the columns in this transaction."""
        (version,) = self.connection.execute("PRAGMA schema_version").fetchone()
        if version != self.version:
            self.version, self.columns = version, {}
        return self.columns


class SqliteDatabase:
    """A database file that exists; it is never made here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[_Opened] = []
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def transaction(self, *, writing: bool, lasting: bool = True) -> Iterator[SqliteSession]:
        try:
            opened = self._opened()
            try:
                if not lasting:
                    opened.connection.execute("PRAGMA synchronous = NORMAL")
                opened.connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield SqliteSession(opened.connection, opened.known_columns(), self._path)
                opened.connection.execute("COMMIT")
                if not lasting:
                    opened.connection.execute("PRAGMA synchronous = FULL")
            except BaseException:
                opened.connection.close()  # without a commit that rolls back
                raise
            self._keep(opened)
        except _FAILURES as error:
            raise _ours(error, self._path) from error

    def _opened(self) -> _Opened:
        here = self._identity()
        while self._idle:
            opened = self._idle.pop()
            if opened.of == here:
                return opened
            if opened.of[0] == os.getpid():
                opened.connection.close()
        address = f"file:{quote(str(self._path))}?mode=rw"
        connection = sqlite3.connect(
            address, uri=True, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        return _Opened(connection, here)

    def _keep(self, opened: _Opened) -> None:
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(opened)
        else:
            opened.connection.close()

    def _identity(self) -> _Identity:
        """Answer which file is there, and in which process: a connection must not be used after a fork."""
        try:
            found = self._path.stat()
        except OSError:
            return os.getpid(), 0, 0  # opening it says what is wrong
        return os.getpid(), found.st_dev, found.st_ino


def _ours(error: Exception, path: Path) -> StopworkError:
    """Answer what the driver's error means."""
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(
            f"the database refuses the change: {error}", hint="Decide about the rows it refers to first."
        )
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError | OverflowError):
        return Invalid(
            f"the database cannot hold the value: {error}", hint="Give text, a number, null or bytes."
        )
    return Unavailable(
        f"the database {path} cannot be used: {error}", hint="See that the file is there and not locked."
    )


def _close(idle: list[_Opened]) -> None:
    for opened in idle:
        if opened.of[0] == os.getpid():
            opened.connection.close()


class SqliteSession:
    """One SQLite transaction."""

    def __init__(self, connection: sqlite3.Connection, known_columns: _Columns, path: Path) -> None:
        self._connection = connection
        self._known_columns = known_columns
        self._path = path

    def columns(self, table: Table) -> list[Column]:
        known = self._known_columns.get(table)
        if known is None:
            known = self._known_columns[table] = self._columns(table)
        return known

    def _columns(self, table: Table) -> list[Column]:
        rows = self._connection.execute(
            "SELECT name, hidden FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1",
            (table.table, table.schema or "main"),
        )
        found = [Column(name=row["name"], computed=row["hidden"] in _COMPUTED) for row in rows]
        return [Column(name=ROWID), *found] if table.key == (ROWID,) and found else found

    def keys(self, table: Table, column: str, text: str) -> list[Any]:  # noqa: ARG002
        # Affinity turns either into what the column holds; a column without one may hold either.
        return [text, int(text)] if _WHOLE_NUMBER.fullmatch(text) else [text]

    def select(self, table: Table, where: Mapping[str, list[Any]], *, limit: int) -> list[dict[str, Any]]:
        conditions = [f"{_quoted(column)} IN ({', '.join('?' * len(where[column]))})" for column in where]
        values = [value for values in where.values() for value in values]
        shown = f"{ROWID}, *" if table.key == (ROWID,) else "*"
        query = f"SELECT {shown} FROM {_name(table)} WHERE {' AND '.join(conditions) or '1'} LIMIT ?"  # noqa: S608
        return [dict(row) for row in self._connection.execute(query, (*values, limit))]

    def insert(self, table: Table, row: Mapping[str, Any]) -> None:
        columns = ", ".join(map(_quoted, row))
        marks = ", ".join("?" * len(row))
        self._connection.execute(
            f"INSERT INTO {_name(table)} ({columns}) VALUES ({marks})",  # noqa: S608
            tuple(row.values()),
        )

    def update(self, table: Table, where: Mapping[str, Any], changes: Mapping[str, Any]) -> int:
        columns = ", ".join(f"{_quoted(column)} = ?" for column in changes)
        query = f"UPDATE {_name(table)} SET {columns} WHERE {_equals(where)}"  # noqa: S608
        return self._connection.execute(query, (*changes.values(), *where.values())).rowcount

    def update_many(
        self, table: Table, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> int:
        return sum(self.update(table, where, values) for where, values in changes)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT one_of_many")
        try:
            yield
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO one_of_many")
                self._connection.execute("RELEASE one_of_many")
            if isinstance(error, _FAILURES):
                raise _ours(error, self._path) from error
            raise
        self._connection.execute("RELEASE one_of_many")

    def delete(self, table: Table, where: Mapping[str, Any]) -> int:
        query = f"DELETE FROM {_name(table)} WHERE {_equals(where)}"  # noqa: S608
        return self._connection.execute(query, tuple(where.values())).rowcount

    def referrers(self, table: Table) -> list[Referrer]:
        rows = self._connection.execute(
            'SELECT m.name, f.id, f."from" AS source, f."to" AS target'
            " FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f"
            " WHERE m.type = 'table' AND lower(f.\"table\") = lower(?)"
            " AND f.on_delete NOT IN ('NO ACTION', 'RESTRICT') ORDER BY m.name, f.id, f.seq",
            (table.table,),
        ).fetchall()
        found = []
        for (name, _), group in groupby(rows, key=lambda row: (row["name"], row["id"])):
            pairs = list(group)
            columns = tuple(pair["source"] for pair in pairs)
            # A reference that names no column means the primary key.
            named = all(pair["target"] for pair in pairs)
            referred = tuple(pair["target"] for pair in pairs) if named else self._primary_key(table)
            found.append(Referrer(table=Table(table=name, key=columns), columns=columns, referred=referred))
        return found

    def foreign_keys(self, schema: str | None) -> list[ForeignKey]:
        rows = self._connection.execute(
            'SELECT m.name, f.id, o.name AS other, f."from" AS source, f."to" AS target'
            " FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f"
            " JOIN sqlite_master AS o ON o.type = 'table' AND lower(o.name) = lower(f.\"table\")"
            " WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq"
        ).fetchall()
        found = []
        for (name, _), group in groupby(rows, key=lambda row: (row["name"], row["id"])):
            pairs = list(group)
            other = Table(table=pairs[0]["other"], key=())
            # It may name the columns in other letters than they are declared in, or none, which means the primary key.
            spelled = {column.name.casefold(): column.name for column in self.columns(other)}
            named = [spelled.get((pair["target"] or "").casefold()) for pair in pairs]
            found.append(
                ForeignKey(
                    table=(schema, name),
                    columns=tuple(pair["source"] for pair in pairs),
                    other=(schema, other.table),
                    referred=tuple(filter(None, named)) or self._primary_key(other),
                )
            )
        return found

    def to_plain(self, value: Any) -> Any:
        return value

    def from_plain(self, table: Table, column: str, value: Any) -> Any:  # noqa: ARG002
        return value

    def primary_key(self, table: Table) -> tuple[str, ...]:
        return self._primary_key(table) or (ROWID,)

    def install_capture(self) -> None:
        sqlite_capture.install(self._connection)

    def captured(self, call: str, *, limit: int) -> Iterator[ChangedRow]:
        return sqlite_capture.captured(self._connection, call, limit)

    def forget(self, call: str) -> None:
        sqlite_capture.forget(self._connection, call)

    def kept(self) -> frozenset[str]:
        return sqlite_capture.kept(self._connection)

    def _primary_key(self, table: Table) -> tuple[str, ...]:
        rows = self._connection.execute(
            "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table.table,)
        )
        return tuple(row["name"] for row in rows)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _name(table: Table) -> str:
    return ".".join(_quoted(part) for part in (table.schema, table.table) if part)


def _equals(where: Mapping[str, Any]) -> str:
    return " AND ".join(f"{_quoted(column)} IS ?" for column in where)
