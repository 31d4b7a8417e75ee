"""Row capture: the database itself says which rows a call has changed, in every table, cascades and triggers included.

A trigger on each table writes the row before and after into the table ``stopwork_capture``, in the same transaction, for statements that run
on behalf of a call; what is rolled back was never captured, and what others do is not captured at all. Which call it is, the
connection says: see :func:`watch`.

========== =====================================================================================================
SQLite     the triggers live in the connection that is watched; a row that ``REPLACE`` throws out is noted before and seen to be gone after
PostgreSQL the triggers live in the database (:meth:`~stopwork.systems.sql.SqlSystem.install_capture`) and read
           the setting ``stopwork.call`` of the transaction; ``TRUNCATE`` is captured row by row
========== =====================================================================================================

What is not seen: changes of the schema itself, tables made after the triggers were, virtual tables, a row that ``REPLACE`` throws out on SQLite over
an index of expressions, what a connection does that is not watched, and what a thread does that was not begun with the context of the call.
"""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from stopwork.kernel.calling import current_call
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Record

#: The table with the captured rows.
CAPTURE: Final = "stopwork_capture"
#: The setting of a PostgreSQL session or transaction that names the call.
SETTING: Final = "stopwork.call"

_SET: Final = f"SELECT set_config('{SETTING}', %s, false)"

#: How many changed rows of one call are listed; beyond that the effects of the call are not complete.
CAPTURED_ROWS_MAX: Final = 100_000


class ChangedRow(Record):
    """One change of one row, in the driver's own values; ``before`` is ``None`` for one that came, ``after`` for one that went."""

    table: str
    schema: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


def watch(database: Any, *, call: Callable[[], str | None] = current_call) -> None:
    """Have the changes made on this connection, or on every connection of this engine, laid to the call they are made for.

    Takes a ``sqlite3.Connection`` that is in no transaction, or a SQLAlchemy ``Engine`` or ``AsyncEngine``. ``call`` answers the call of the moment; by default
    that is the guarded tool that runs in this thread or task.
    """
    database = getattr(database, "sync_engine", database)
    if isinstance(database, sqlite3.Connection):
        from stopwork.systems.sqlite_capture import watch_connection

        watch_connection(database, call)
    elif hasattr(database, "dialect") and hasattr(database, "begin"):
        _watch_engine(database, call)
    else:
        raise Invalid(
            f"{type(database).__name__} cannot be watched",
            hint="Give a sqlite3 connection or a SQLAlchemy engine; around a psycopg connection use attributed().",
        )


def attributed(connection: Any, *, call: Callable[[], str | None] = current_call) -> Attribution:
    """Lay what this PostgreSQL connection (psycopg, or any with ``execute``) does within the block to the call of the moment.

    ``with attributed(connection):``, or ``async with`` around what a connection of an event loop does.
    """
    return Attribution(connection, call)


class Attribution:
    """A block in which a PostgreSQL connection works for a call."""

    def __init__(self, connection: Any, call: Callable[[], str | None]) -> None:
        self._connection = connection
        self._call = call

    def __enter__(self) -> None:
        if inspect.iscoroutinefunction(self._connection.execute):
            raise Invalid(
                f"{type(self._connection).__name__} belongs to an event loop",
                hint="Write `async with attributed(connection):`.",
            )
        self._connection.execute(_SET, (self._call() or "",))

    def __exit__(self, *_exc: object) -> None:
        if self._usable():
            self._connection.execute(_SET, ("",))

    async def __aenter__(self) -> None:
        await self._connection.execute(_SET, (self._call() or "",))

    async def __aexit__(self, *_exc: object) -> None:
        if self._usable():
            await self._connection.execute(_SET, ("",))

    def _usable(self) -> bool:
        """Whether the setting can be taken back; where it cannot, the rollback or the end of the connection does it."""
        connection = self._connection
        if getattr(connection, "broken", False) or getattr(connection, "closed", False):
            return False
        status = getattr(getattr(connection, "info", None), "transaction_status", None)
        return getattr(status, "name", "") != "INERROR"


def _watch_engine(engine: Any, call: Callable[[], str | None]) -> None:
    import sqlalchemy as sa

    if engine.dialect.name == "sqlite":
        from stopwork.systems.sqlite_capture import watch_connection

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            watch_connection(connection, call)

    elif engine.dialect.name == "postgresql":
        statement = sa.text(f"SELECT set_config('{SETTING}', :call, true)")

        @sa.event.listens_for(engine, "begin")
        def begun(connection: Any) -> None:
            connection.execute(statement, {"call": call() or ""})

    else:
        raise Invalid(
            f"{engine.dialect.name} cannot capture rows",
            hint="SQLite and PostgreSQL can; use `scan` elsewhere.",
        )


class RowName(Record):
    """What a row is called; ``unique`` unless rows are named by their content, so that several may have the name."""

    text: str
    unique: bool = True


NameOf = Callable[[ChangedRow, dict[str, Any]], RowName]


def net(rows: Iterable[ChangedRow], name_of: NameOf) -> Iterator[tuple[str, ChangedRow]]:
    """Answer, under its name, what became of each row over all its changes, in the order in which rows were first changed.

    A change of the name is a row that went and one that came. A row that came and went again, or is as it was, is left out: nothing of it
    is left.
    """
    found: dict[tuple[str | None, str, str], ChangedRow] = {}
    balance: dict[tuple[str | None, str, str], list[ChangedRow]] = {}
    for row in rows:
        for name, part in _parts(row, name_of):
            key = (part.schema, part.table, name.text)
            if not name.unique:
                _weigh(balance.setdefault(key, []), part)
                continue
            first = found.get(key)
            found[key] = part if first is None else replace(part, before=first.before)
    for (_, _, text), row in found.items():
        if row.before != row.after:
            yield text, row
    for (_, _, text), alike in balance.items():
        for number, row in enumerate(alike, start=1):
            yield text if number == 1 else f"{text}#{number}", row


def _parts(row: ChangedRow, name_of: NameOf) -> Iterator[tuple[RowName, ChangedRow]]:
    """Answer the change by name: two changes when the row has another name after it."""
    names = [None if content is None else name_of(row, content) for content in (row.before, row.after)]
    if names[0] == names[1] and names[0] is not None and names[0].unique:
        yield names[0], row
        return
    for name, part in zip(names, (replace(row, after=None), replace(row, before=None)), strict=True):
        if name is not None:
            yield name, part


def _weigh(alike: list[ChangedRow], part: ChangedRow) -> None:
    """Let one of several equal rows come or go: it makes up for one that went or came before."""
    came = part.before is None
    if alike and (alike[-1].before is None) is not came:
        alike.pop()
    else:
        alike.append(part)
