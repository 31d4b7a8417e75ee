"""Row capture: the database itself says which rows a call has changed, in every table, cascades and triggers included.

A trigger on each table writes the row before and after into the table ``stopwork_capture``, in the same transaction, for statements that run
on behalf of a call; what is rolled back was never captured, and what others do is not captured at all. Which call it is, the
connection says: see :func:`watch`.

========== =====================================================================================================
SQLite     the triggers live in the connection that is watched; a row that ``REPLACE`` throws out is noted before and seen to be gone after
PostgreSQL the triggers live in the database (:meth:`~stopwork.systems.sql.SqlSystem.install_capture`) and read
           the setting ``stopwork.call``, which names the call before each statement; ``TRUNCATE`` is captured row by row
========== =====================================================================================================

What is not seen: changes of the schema itself, ``TRUNCATE`` of one partition alone, tables made after the triggers were, virtual tables, a row that ``REPLACE`` throws out on SQLite over
an index of expressions, what a connection does that is not watched, and what a thread does that was not begun with the context of the call.
"""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Callable, Generator
from typing import Any, Final

from stopwork.kernel.calling import current_call
from stopwork.kernel.errors import Invalid
from stopwork.systems.changed_rows import SETTING
from stopwork.systems.sqlite_capture import watch_connection

_SET: Final = f"SELECT set_config('{SETTING}', %s, false), extract(epoch FROM transaction_timestamp())::text"  # noqa: S608

#: Where a connection keeps which call was said last in its transaction; it may be in doubt, or be about to be said.
_SAID: Final = "stopwork_call"
_IN_DOUBT: Final = object()
_SAYING: Final = object()
_ENDS_A_TRANSACTION: Final = re.compile(r"\s*(COMMIT|END|ROLLBACK|ABORT|RESET|DISCARD)\b", re.IGNORECASE)


def watch(database: Any, *, call: Callable[[], str | None] = current_call) -> None:
    """Have the changes made on this connection, or on every connection of this engine, laid to the call they are made for.

    Takes a ``sqlite3.Connection`` that is in no transaction, or a SQLAlchemy ``Engine`` or ``AsyncEngine``. ``call`` answers the call of the moment; by default
    that is the guarded tool that runs in this thread or task.
    """
    database = getattr(database, "sync_engine", database)
    if isinstance(database, sqlite3.Connection):
        watch_connection(database, call)
    elif hasattr(database, "dialect") and hasattr(database, "begin"):
        _watch_engine(database, call)
    else:
        raise Invalid(
            f"{type(database).__name__} cannot be watched",
            hint="Give a sqlite3 connection or a SQLAlchemy engine; around a psycopg connection use attributed().",
        )


def attributed(connection: Any, *, call: Callable[[], str | None] = current_call) -> Attribution:
    """Lay what this psycopg connection does within the block to the call of the moment.

    ``with attributed(connection):``, or ``async with`` around what a connection of an event loop does. A transaction that begins within the block
    after another one ends within it too.
    """
    return Attribution(connection, call)


class Attribution:
    """A block in which a PostgreSQL connection works for a call.

    The setting must not outlive it, and what is set in a transaction comes back when a later one is rolled back. So a transaction that is open at the
    end of the block has to be the one that was there at its beginning, or has begun it; another one is rolled back, and that is an error.
    """

    def __init__(self, connection: Any, call: Callable[[], str | None]) -> None:
        self._connection = connection
        self._call = call
        self._transaction: Any = None

    def __enter__(self) -> None:
        if inspect.iscoroutinefunction(self._connection.execute):
            raise Invalid(
                f"{type(self._connection).__name__} belongs to an event loop",
                hint="Write `async with attributed(connection):`.",
            )
        _carried_out(self._begun())

    def __exit__(self, kind: object, *_exc: object) -> None:
        _carried_out(self._ended(raised=kind is not None))

    async def __aenter__(self) -> None:
        await _acarried_out(self._begun())

    async def __aexit__(self, kind: object, *_exc: object) -> None:
        await _acarried_out(self._ended(raised=kind is not None))

    def _begun(self) -> _Steps:
        lasting = self._status() == "IDLE" and self._connection.autocommit
        transaction = yield from self._set(self._call() or "")
        self._transaction = None if lasting else transaction

    def _ended(self, *, raised: bool) -> _Steps:
        if getattr(self._connection, "broken", False) or getattr(self._connection, "closed", False):
            return
        status = self._status()
        if status == "INERROR":
            try:
                yield self._connection.rollback
            except Exception:  # noqa: BLE001 - within `connection.transaction()`, which nothing can have committed, and which takes it back
                return
            yield from self._set_for_good("")
        elif status == "IDLE":
            yield from self._set_for_good("")
        elif (yield from self._set("")) != self._transaction:
            yield self._connection.rollback
            yield from self._set_for_good("")
            if not raised:
                raise Invalid(
                    "a transaction was begun within attributed(), and is open at its end",
                    hint="Commit or roll back within the block, or open one block for each transaction. It was rolled back.",
                )

    def _status(self) -> str:
        status = getattr(getattr(self._connection, "info", None), "transaction_status", None)
        return getattr(status, "name", "")

    def _set(self, call: str) -> _Steps:
        """Set it, and answer which transaction that was in."""
        from psycopg.rows import tuple_row

        cursor = self._connection.cursor(row_factory=tuple_row)
        yield lambda: cursor.execute(_SET, (call,))
        _, transaction = yield cursor.fetchone
        return transaction

    def _set_for_good(self, call: str) -> _Steps:
        yield from self._set(call)
        if not self._connection.autocommit:
            yield self._connection.commit


#: What is to be done on a connection one after the other, each step answered with what came of it.
_Steps = Generator[Callable[[], Any], Any, Any]


def _carried_out(steps: _Steps) -> None:
    try:
        step = next(steps)
        while True:
            try:
                done = step()
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration:
        return


async def _acarried_out(steps: _Steps) -> None:
    try:
        step = next(steps)
        while True:
            try:
                done = await step()
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                step = steps.throw(error)
            else:
                step = steps.send(done)
    except StopIteration:
        return


def _watch_engine(engine: Any, call: Callable[[], str | None]) -> None:
    import sqlalchemy as sa

    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            watch_connection(connection, call)

    elif engine.dialect.name == "postgresql":
        _watch_postgresql(engine, call)
    else:
        raise Invalid(
            f"{engine.dialect.name} cannot capture rows",
            hint="SQLite and PostgreSQL can; use `scan` elsewhere.",
        )


def _watch_postgresql(engine: Any, call: Callable[[], str | None]) -> None:
    """Say before each statement for which call it is, where that is not what was said last in the same transaction."""
    import sqlalchemy as sa

    setting = sa.text(f"SELECT set_config('{SETTING}', :call, true)")

    def begun(connection: Any, *_two_phase: Any) -> None:
        connection.info[_SAID] = ""

    def in_doubt(connection: Any, *_savepoint: Any) -> None:
        connection.info[_SAID] = _IN_DOUBT

    def stated(connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        meant, said = call() or "", connection.info.get(_SAID, _IN_DOUBT)
        if said is _SAYING:
            return
        if meant and getattr(connection.connection.dbapi_connection, "autocommit", False):
            raise Invalid(
                "a connection that commits each statement by itself does not capture what a call changes",
                hint="Let the tool work in a transaction: `with engine.begin() as connection:`.",
            )
        if meant != said:
            connection.info[_SAID] = _SAYING
            try:
                connection.execute(setting, {"call": meant}).scalar_one()
            except BaseException:
                in_doubt(connection)
                raise
            connection.info[_SAID] = meant
        if _ENDS_A_TRANSACTION.match(statement):
            in_doubt(connection)

    sa.event.listen(engine, "before_cursor_execute", stated)
    sa.event.listen(engine, "begin", begun)
    sa.event.listen(engine, "begin_twophase", begun)
    sa.event.listen(engine, "rollback_savepoint", in_doubt)
