"""Connections to a database: what lies below SQLAlchemy, lending to readers, and what errors mean."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import sqlalchemy as sa

from stopwork.kernel.errors import Internal
from stopwork.storage import postgres_errors, sqlite_errors

MAX_IDLE_READERS: Final = 16


class Cursor(Protocol):
    """What both drivers answer to a statement."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Driver(Protocol):
    """A driver's own connection, for what is too frequent or too simple for anything above it."""

    def execute(self, sql: str, values: Any = ..., /) -> Cursor: ...


def driver_of(connection: sa.Connection) -> Driver:
    """Answer the driver's own connection."""
    driver: Driver | None = connection.connection.driver_connection
    if driver is None:
        raise Internal("a connection was used after it had been closed")
    return driver


class Readers:
    """Connections for reading, each lent to one reader at a time; ``begin`` starts a snapshot and ``end`` gives it back."""

    def __init__(self, connect: Callable[[], sa.Connection], *, begin: str, end: str) -> None:
        self._connect = connect
        self._begin = begin
        self._end = end
        self._idle: list[sa.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def lend(self) -> Iterator[sa.Connection]:
        """Lend a connection inside a transaction, which is its snapshot and ends with the block."""
        connection = self._begun()
        try:
            yield connection
            driver_of(connection).execute(self._end)
        except Exception as error:
            if is_of_database(error) or not self._ended(connection):
                connection.close()
            else:
                self._take_back(connection)
            raise
        except BaseException:
            connection.close()
            raise
        self._take_back(connection)

    def close(self) -> None:
        """Close what is idle now, and everything that is still lent when it comes back."""
        with self._lock:
            self._closed = True
        self._drop_idle()

    def _begun(self) -> sa.Connection:
        """Answer a connection at the beginning of a snapshot; one that died while it lay idle is replaced."""
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            try:
                driver_of(idle).execute(self._begin)
            except Exception as error:
                idle.close()
                self._drop_idle()
                if not is_of_database(error):
                    raise
            else:
                return idle
        fresh = self._connect()
        try:
            driver_of(fresh).execute(self._begin)
        except BaseException:
            fresh.close()
            raise
        return fresh

    def _ended(self, connection: sa.Connection) -> bool:
        try:
            driver_of(connection).execute(self._end)
        except Exception as error:
            if not is_of_database(error):
                raise
            return False
        return True

    def _take_back(self, connection: sa.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def is_of_database(error: BaseException) -> bool:
    """Answer whether the error comes from a database, and not from what was done with it."""
    cause = cause_of(error)
    return isinstance(cause, sqlite3.Error) or postgres_errors.is_one(cause)


def is_duplicate(error: BaseException) -> bool:
    """Answer whether a row could not be made because its key is taken."""
    cause = cause_of(error)
    if isinstance(cause, sqlite3.Error):
        return isinstance(cause, sqlite3.IntegrityError)
    return postgres_errors.is_duplicate(cause)


def translated(error: BaseException) -> BaseException:
    """Answer a database's error as one that says what to do; any other error as it is."""
    cause = cause_of(error)
    if isinstance(cause, sqlite3.Error):
        found: BaseException = sqlite_errors.meaning(cause)
    elif postgres_errors.is_one(cause):
        found = postgres_errors.meaning(cause)
    else:
        return error
    found.__cause__ = cause
    return found


def cause_of(error: BaseException) -> BaseException:
    """Answer the driver's own error behind one of SQLAlchemy's."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
