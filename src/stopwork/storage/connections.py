"""Connections to one SQLite file, and what their errors mean."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from stopwork.kernel.errors import Conflict, Internal, Unavailable

BUSY_MS: Final = 5_000
MAX_IDLE_READERS: Final = 16

# After these SQLite may have ended the whole transaction; after any other error only a statement has failed.
_FATAL: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


def sqlite_engine(path: Path) -> sa.Engine:
    """Answer the engine of a database file: every commit durable, every transaction begun by hand."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # transactions are begun by hand, IMMEDIATE for the writer
        poolclass=sa.pool.NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_MS}",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class Readers:
    """Connections that can neither write nor checkpoint, each lent to one reader at a time."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._idle: list[sa.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def lend(self) -> Iterator[sa.Connection]:
        """Lend a connection inside a transaction, which is its snapshot and ends with the block."""
        with self._lock:
            known = self._idle.pop() if self._idle else None
        connection = known if known is not None else self._open()
        try:
            driver = driver_of(connection)
            driver.execute("BEGIN")
            try:
                yield connection
            finally:
                driver.execute("ROLLBACK")
        except (sa.exc.DBAPIError, sqlite3.Error):
            connection.close()
            raise
        except BaseException:
            self._take_back(connection)
            raise
        self._take_back(connection)

    def close(self) -> None:
        """Close what is idle now, and everything that is still lent when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _open(self) -> sa.Connection:
        connection = self._engine.connect()
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")
        return connection

    def _take_back(self, connection: sa.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MAX_IDLE_READERS:
                self._idle.append(connection)
                return
        connection.close()


def driver_of(connection: sa.Connection) -> sqlite3.Connection:
    """Answer the driver's own connection, for what is too frequent or too simple for anything above it."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise Internal(f"{type(driver).__qualname__} is no connection to SQLite")
    return driver


def is_fatal(error: BaseException, connection: sa.Connection) -> bool:
    """Answer whether the error ended, or may have ended, the whole transaction and not only one job in it."""
    return _code(_cause(error)) in _FATAL or not driver_of(connection).in_transaction


def is_damage(error: BaseException) -> bool:
    """Answer whether a database was found damaged, as opposed to not being one."""
    return _code(_cause(error)) == sqlite3.SQLITE_CORRUPT


def translated(error: BaseException) -> BaseException:
    """Answer a database's error as one that says what to do; any other error as it is."""
    cause = _cause(error)
    if not isinstance(cause, sqlite3.Error):
        return error
    match _code(cause):
        case sqlite3.SQLITE_FULL:
            found: BaseException = Unavailable(
                "the disk is full: nothing was recorded", hint="Free some space, then try again."
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            found = Conflict(
                "another process is writing to the database", hint="Stop it, or use its address instead."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            found = Unavailable(f"the database cannot be read ({cause})", hint="Restore it from a backup.")
        case code if code in _FATAL:
            found = Unavailable(
                f"the database does not answer ({cause})", hint="Look at its disk and permissions."
            )
        case _:
            found = Internal(f"a statement failed: {cause}", hint="Please report this.")
    found.__cause__ = cause
    return found


def _cause(error: BaseException) -> BaseException:
    return error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error


def _code(error: BaseException) -> int:
    """Answer SQLite's primary result code; 0 for an error that did not come from SQLite itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
