"""What SQLite's errors mean, and what to do about them."""

from __future__ import annotations

import sqlite3
from typing import Final

from stopwork.kernel.errors import Conflict, Internal, StopworkError, Unavailable

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


def is_fatal(error: BaseException) -> bool:
    """Answer whether the error may have ended the whole transaction and not only one statement of it."""
    return _code(error) in _FATAL


def is_damage(error: BaseException) -> bool:
    """Answer whether a database was found damaged, as opposed to not being one."""
    return _code(error) == sqlite3.SQLITE_CORRUPT


def meaning(error: sqlite3.Error) -> StopworkError:
    """Answer the error that says what to do."""
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return Unavailable(
                "the disk is full: nothing was recorded", hint="Free some space, then try again."
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Conflict(
                "another process is writing to the database", hint="Stop it, or use its address instead."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Unavailable(f"the database cannot be read ({error})", hint="Restore it from a backup.")
        case code if code in _FATAL:
            return Unavailable(
                f"the database does not answer ({error})", hint="Look at its disk and permissions."
            )
        case _:
            return Internal(f"a statement failed: {error}", hint="Please report this.")


def _code(error: BaseException) -> int:
    """Answer SQLite's primary result code; 0 for an error that did not come from SQLite itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
