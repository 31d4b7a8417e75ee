"""Row capture on SQLite: triggers that live in one connection and write what they see in SQL's own spelling."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Final

from stopwork.kernel.errors import Invalid, Tampered
from stopwork.systems.capture import CAPTURE, ChangedRow

_TABLE: Final = (
    f"CREATE TABLE IF NOT EXISTS main.{CAPTURE} (number INTEGER PRIMARY KEY, call TEXT NOT NULL,"
    " name TEXT NOT NULL, columns TEXT NOT NULL, before TEXT, after TEXT)"
)
_INDEX: Final = f"CREATE INDEX IF NOT EXISTS main.{CAPTURE}_call ON {CAPTURE} (call)"
_TABLES: Final = (
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ? ORDER BY name"
)
#: A function of SQLite takes so many arguments at most; a wide row is spelled in pieces.
_PIECE: Final = 90


def watch_connection(connection: sqlite3.Connection, call: Callable[[], str | None]) -> None:
    """Have what this connection changes written down, with the call that ``call`` answers then; ``Invalid`` inside a transaction."""
    if connection.in_transaction:
        raise Invalid(
            "a connection is watched from outside of a transaction",
            hint="Commit first, or watch it right after it is opened.",
        )
    install(connection)
    connection.create_function("stopwork_call", 0, call)
    connection.execute("PRAGMA recursive_triggers = ON")
    for (table,) in connection.execute(_TABLES, (CAPTURE,)).fetchall():
        for statement in _triggers(table, _columns(connection, table)):
            connection.execute(statement)


def install(connection: sqlite3.Connection) -> None:
    """Make the table of captured rows, unless it is there."""
    known = connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (CAPTURE,)).fetchone()
    if known is None:
        connection.execute(_TABLE)
        connection.execute(_INDEX)


def captured(connection: sqlite3.Connection, call: str, limit: int) -> Iterator[ChangedRow]:
    """Answer the changes laid to a call, in their order."""
    rows = connection.execute(
        f"SELECT name, columns, before, after FROM main.{CAPTURE} WHERE call = ? ORDER BY number LIMIT ?",  # noqa: S608
        (call, limit),
    )
    for name, columns, before, after in rows:
        names = json.loads(columns)
        yield ChangedRow(table=name, before=_row(names, before), after=_row(names, after))


def forget(connection: sqlite3.Connection, call: str) -> None:
    """Remove what was captured for a call."""
    connection.execute(f"DELETE FROM main.{CAPTURE} WHERE call = ?", (call,))  # noqa: S608


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Answer the columns of a table that are not computed; a table without a primary key is known by its ``rowid``."""
    found = connection.execute(
        "SELECT name, pk FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0", (table,)
    ).fetchall()
    names = [name for name, _ in found]
    keyed = any(pk for _, pk in found)
    return names if keyed or "rowid" in (name.lower() for name in names) else ["rowid", *names]


def _triggers(table: str, columns: list[str]) -> Iterator[str]:
    shown = json.dumps(columns)
    for event, before, after in (("INSERT", "", "NEW"), ("UPDATE", "OLD", "NEW"), ("DELETE", "OLD", "")):
        name = _quoted(f"stopwork {event.lower()} {table}")
        values = (
            "stopwork_call()",
            _text(table),
            _text(shown),
            _spelled(before, columns),
            _spelled(after, columns),
        )
        written = f"INSERT INTO {CAPTURE} (call, name, columns, before, after) VALUES ({', '.join(values)})"  # noqa: S608
        yield (
            f"CREATE TEMP TRIGGER IF NOT EXISTS {name} AFTER {event} ON main.{_quoted(table)}"
            f" WHEN stopwork_call() IS NOT NULL BEGIN {written}; END"
        )


def _spelled(row: str, columns: list[str]) -> str:
    """Answer the SQL that spells a row as a JSON list of SQL literals: nothing is lost, whatever the values are."""
    if not row:
        return "NULL"
    literals = [_literal(f"{row}.{_quoted(column)}") for column in columns]
    pieces = [_array(literals[at : at + _PIECE]) for at in range(0, len(literals), _PIECE)]
    return _array(pieces)


def _array(values: list[str]) -> str:
    return f"json_array({', '.join(values)})"


def _literal(value: str) -> str:
    # quote() ends a text at its first zero byte.
    return f"CASE WHEN typeof({value}) = 'text' AND instr({value}, char(0)) THEN 'T' || hex({value}) ELSE quote({value}) END"


def _row(columns: list[str], spelled: str | None) -> dict[str, Any] | None:
    if spelled is None:
        return None
    literals = [literal for piece in json.loads(spelled) for literal in piece]
    return dict(zip(columns, map(_value, literals), strict=True))


def _value(literal: str) -> Any:
    match literal[0]:
        case "'":
            return literal[1:-1].replace("''", "'")
        case "X":
            return bytes.fromhex(literal[2:-1])
        case "T":
            return bytes.fromhex(literal[1:]).decode()
        case "N":
            return None
    try:
        return int(literal)
    except ValueError:
        pass
    try:
        return float(literal)
    except ValueError as error:
        raise Tampered(f"{literal!r} is no captured value", hint=f"Look at {CAPTURE}.") from error


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
