"""Row capture on SQLite: triggers that live in one connection and write what they see in SQL's own spelling."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from stopwork.kernel.errors import Invalid, Tampered
from stopwork.ledger.records import Record
from stopwork.systems.changed_rows import CAPTURE, ChangedRow

_TABLE: Final = (
    f"CREATE TABLE IF NOT EXISTS main.{CAPTURE} (number INTEGER PRIMARY KEY, call TEXT NOT NULL,"
    " name TEXT NOT NULL, columns TEXT NOT NULL, before TEXT, after TEXT)"
)
_INDEX: Final = f"CREATE INDEX IF NOT EXISTS main.{CAPTURE}_call ON {CAPTURE} (call)"
_TABLES: Final = (
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ? ORDER BY name"
)
#: The rows that the row on its way in would replace. SQLite runs no trigger for a row that REPLACE throws out, unless every trigger may start
#: itself; and one that sets `updated_at` of its own row, as many do, would then never end. A trigger of the application may change the same
#: table in between: `turn` is the row on whose behalf a row was noted, so that each turn ends with its own.
_STAGED: Final = "stopwork_staged"
_STAGED_COLUMNS: Final = (
    "call TEXT NOT NULL, name TEXT NOT NULL, turn TEXT NOT NULL, key, before TEXT NOT NULL"
)
_STAGED_INDEXES: Final = {"calls": "call", "turns": "name, turn", "keys": "name, key"}
_DOOMED: Final = (
    f"CREATE TEMP TABLE IF NOT EXISTS {_STAGED} ({_STAGED_COLUMNS})",
    *(
        f"CREATE INDEX IF NOT EXISTS temp.{_STAGED}_{name} ON {_STAGED} ({columns})"
        for name, columns in _STAGED_INDEXES.items()
    ),
)
_ROWIDS: Final = ("rowid", "_rowid_", "oid")
_UNIQUE_INDEXES: Final = "SELECT name FROM pragma_index_list(?, 'main') WHERE \"unique\" ORDER BY seq"
_UNIQUE_COLUMNS: Final = "SELECT name, coll FROM pragma_index_xinfo(?, 'main') WHERE key ORDER BY seqno"
_NO_TEXT: Final = "surrogateescape"
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
    for statement in _DOOMED:
        connection.execute(statement)
    for (table,) in connection.execute(_TABLES, (CAPTURE,)).fetchall():
        for statement in _triggers(_described(connection, table)):
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
        "SELECT name, columns, CAST(before AS BLOB), CAST(after AS BLOB)"  # noqa: S608
        f" FROM main.{CAPTURE} WHERE call = ? ORDER BY number LIMIT ?",
        (call, limit),
    )
    for name, columns, before, after in rows:
        names = json.loads(columns)
        yield ChangedRow(table=name, before=_row(names, before), after=_row(names, after))


def forget(connection: sqlite3.Connection, call: str) -> None:
    """Remove what was captured for a call."""
    connection.execute(f"DELETE FROM main.{CAPTURE} WHERE call = ?", (call,))  # noqa: S608


def kept(connection: sqlite3.Connection) -> frozenset[str]:
    """Answer the calls for which anything captured is still there."""
    return frozenset(call for (call,) in connection.execute(f"SELECT DISTINCT call FROM main.{CAPTURE}"))  # noqa: S608


class _Watched(Record):
    """A table with its columns that are not computed, how a row is told from the others, and which columns must be unique together.

    ``rowid`` is what the number of a row is called, ``None`` where rows have none and are known by the ``primary`` key. Each column that must be
    unique stands with how it is compared.
    """

    name: str
    columns: tuple[str, ...]
    rowid: str | None
    primary: tuple[str, ...]
    unique: tuple[tuple[tuple[str, str], ...], ...]

    def key(self, row: str) -> str:
        """Answer the SQL for what tells this row from the others."""
        if self.rowid is not None:
            return f"{row}.{self.rowid}"
        return _array([f"quote({row}.{_quoted(column)})" for column in self.primary])

    def turn(self, event: str) -> str:
        """Answer the SQL for what tells the row on its way in from others that are on theirs, before it is there and after.

        The number that SQLite gives to a new row is not known before.
        """
        if event == "UPDATE":
            unique = dict.fromkeys(column for together in self.unique for column, _ in together)
            return f"'u' || {self.key('OLD')} || {_spelled('NEW', list(unique))}"
        given = self.primary if self.rowid is not None and len(self.primary) == 1 else (self.rowid,)
        return f"'i' || {_spelled('NEW', [column for column in self.columns if column not in given])}"

    def rivals(self) -> str:
        """Answer the SQL for the rows ``r`` that could not stand beside ``NEW``."""
        alike = [
            " AND ".join(
                f"r.{_quoted(column)} = NEW.{_quoted(column)} COLLATE {_quoted(way)}"
                for column, way in together
            )
            for together in self.unique
        ]
        return " OR ".join(f"({each})" for each in alike)


def _described(connection: sqlite3.Connection, table: str) -> _Watched:
    found = connection.execute(
        "SELECT name, pk FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0 ORDER BY cid", (table,)
    ).fetchall()
    names = [name for name, _ in found]
    primary = [name for name, pk in sorted(found, key=lambda column: column[1]) if pk]
    (rowless,) = connection.execute(
        "SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,)
    ).fetchone()
    lowered = {name.lower() for name in names}
    rowid = None if rowless else next((each for each in _ROWIDS if each not in lowered), None)
    unique = [
        tuple(connection.execute(_UNIQUE_COLUMNS, (index,)).fetchall())
        for (index,) in connection.execute(_UNIQUE_INDEXES, (table,)).fetchall()
    ]
    if rowid is not None and len(primary) == 1:
        unique.append(((primary[0], "BINARY"),))  # a whole number that is the row's own has no index
    # What is unique by an expression is not found here.
    unique = [each for each in unique if each and all(name is not None for name, _ in each)]
    return _Watched(
        name=table,
        columns=tuple(names if primary or "rowid" in lowered else ["rowid", *names]),
        rowid=rowid,
        primary=tuple(primary),
        unique=tuple(dict.fromkeys(unique)),
    )


def _triggers(table: _Watched) -> Iterator[str]:
    def written(before: str, after: str) -> str:
        values = ("stopwork_call()", _text(table.name), _text(json.dumps(table.columns)), before, after)
        return f"INSERT INTO {CAPTURE} (call, name, columns, before, after) VALUES ({', '.join(values)});"  # noqa: S608

    def trigger(moment: str, event: str, *statements: str) -> str:
        name = _quoted(f"stopwork {moment} {event} {table.name}".lower())
        return (
            f"CREATE TEMP TRIGGER IF NOT EXISTS {name} {moment} {event} ON main.{_quoted(table.name)}"
            f" WHEN stopwork_call() IS NOT NULL BEGIN {' '.join(statements)} END"
        )

    old, new = _spelled("OLD", table.columns), _spelled("NEW", table.columns)
    replaces = bool(table.unique) and (table.rowid is not None or bool(table.primary))
    for event, before in (("INSERT", "NULL"), ("UPDATE", old)):
        if replaces:
            yield trigger("BEFORE", event, *_staged(table, event))
            yield trigger("AFTER", event, *_replaced(table, event), written(before, new))
        else:
            yield trigger("AFTER", event, written(before, new))
    gone = f"DELETE FROM {_STAGED} WHERE name = {_text(table.name)} AND key = {table.key('OLD')};"  # noqa: S608
    yield trigger("AFTER", "DELETE", *([gone] if replaces else []), written(old, "NULL"))


def _staged(table: _Watched, event: str) -> Iterator[str]:
    """Yield the SQL that notes the rows which ``REPLACE`` would throw out for this one.

    What an earlier call has left there, and what an earlier try at this row has, is of statements that ended without it.
    """
    yield f"DELETE FROM {_STAGED} WHERE call < stopwork_call() OR call > stopwork_call();"  # noqa: S608
    yield _told(table, event)
    other = f" AND {table.key('r')} IS NOT {table.key('OLD')}" if event == "UPDATE" else ""
    yield (
        f"INSERT INTO {_STAGED} SELECT stopwork_call(), {_text(table.name)}, {table.turn(event)}, {table.key('r')},"  # noqa: S608
        f" {_spelled('r', table.columns)} FROM main.{_quoted(table.name)} AS r WHERE ({table.rivals()}){other};"
    )


def _replaced(table: _Watched, event: str) -> Iterator[str]:
    """Yield the SQL that lays those of the noted rows to the call which are not there any more, once, and ends the turn.

    A row that was noted for another turn, and that this one changes, is noted there as it is now.
    """
    name, mine = _text(table.name), f"s.turn = {table.turn(event)}"
    still_there = f"SELECT 1 FROM main.{_quoted(table.name)} AS r WHERE {table.key('r')} = s.key"  # noqa: S608
    gone = f"s.name = {name} AND {mine} AND (s.key = {table.key('NEW')} OR NOT EXISTS ({still_there}))"
    yield (
        f"INSERT INTO {CAPTURE} (call, name, columns, before) SELECT stopwork_call(), s.name,"  # noqa: S608
        f" {_text(json.dumps(table.columns))}, s.before FROM {_STAGED} AS s WHERE {gone};"
    )
    yield f"DELETE FROM {_STAGED} WHERE name = {name} AND key IN (SELECT s.key FROM {_STAGED} AS s WHERE {gone});"  # noqa: S608
    yield _told(table, event)
    if event == "UPDATE":
        yield (
            f"UPDATE {_STAGED} SET key = {table.key('NEW')}, before = {_spelled('NEW', table.columns)}"  # noqa: S608
            f" WHERE name = {name} AND key = {table.key('OLD')};"
        )


def _told(table: _Watched, event: str) -> str:
    return f"DELETE FROM {_STAGED} WHERE name = {_text(table.name)} AND turn = {table.turn(event)};"  # noqa: S608


def _spelled(row: str, columns: Sequence[str]) -> str:
    """Answer the SQL that spells a row as a JSON list of SQL literals: nothing is lost, whatever the values are."""
    literals = [_literal(f"{row}.{_quoted(column)}") for column in columns]
    pieces = [_array(literals[at : at + _PIECE]) for at in range(0, len(literals), _PIECE)]
    return _array(pieces)


def _array(values: list[str]) -> str:
    return f"json_array({', '.join(values)})"


def _literal(value: str) -> str:
    # quote() ends a text at its first zero byte.
    return f"CASE WHEN typeof({value}) = 'text' AND instr({value}, char(0)) THEN 'T' || hex({value}) ELSE quote({value}) END"


def _row(columns: list[str], spelled: bytes | None) -> dict[str, Any] | None:
    if spelled is None:
        return None
    # SQLite takes any bytes for text. Those that are none are kept as what stands for them, which nothing can be mistaken for.
    literals = [literal for piece in json.loads(spelled.decode(errors=_NO_TEXT)) for literal in piece]
    return dict(zip(columns, map(_value, literals), strict=True))


def _value(literal: str) -> Any:
    match literal[0]:
        case "'":
            return literal[1:-1].replace("''", "'")
        case "X":
            return bytes.fromhex(literal[2:-1])
        case "T":
            return bytes.fromhex(literal[1:]).decode(errors=_NO_TEXT)
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
