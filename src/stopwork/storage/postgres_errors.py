"""What PostgreSQL's errors mean, and what to do about them.

Known by their SQLSTATE (PostgreSQL manual, appendix A), so that nothing here needs the driver.
"""

from __future__ import annotations

from typing import Final

from stopwork.kernel.errors import Internal, Invalid, StopworkError, Unavailable

_UNIQUE_VIOLATION: Final = "23505"
#: Two transactions could not both be done as they were begun: whoever lost may begin again.
_LOST_RACES: Final = frozenset({_UNIQUE_VIOLATION, "40001", "40P01"})
_TOO_LATE: Final = frozenset({"55P03", "57014", "25P03", "25P04"})
_NOT_STORABLE: Final = frozenset({"22001", "22021", "22P05", "54000"})
_FULL: Final = "53100"
#: The role, the database or the server is not as it has to be.
_REFUSED: Final = ("28", "3D", "42501", "25006")
_UNREACHABLE: Final = ("08", "53", "57", "58")


def is_one(error: BaseException) -> bool:
    """Answer whether the error comes from the driver or from the server behind it."""
    return type(error).__module__.partition(".")[0] == "psycopg"


def is_duplicate(error: BaseException) -> bool:
    """Answer whether a row could not be made because its key is taken."""
    return _state(error) == _UNIQUE_VIOLATION


def lost_a_race(error: BaseException | None) -> bool:
    """Answer whether this, or what it was raised from, is a conflict with a transaction that ran beside it."""
    while error is not None:
        if is_one(error) and _state(error) in _LOST_RACES:
            return True
        error = error.__cause__ or getattr(error, "orig", None) or error.__context__
    return False


def meaning(error: BaseException) -> StopworkError:
    """Answer the error that says what to do."""
    state = _state(error)
    if state == _FULL:
        return Unavailable("the database's disk is full: nothing was recorded", hint="Free some space there.")
    if state in _TOO_LATE:
        return Unavailable(
            "the database took too long: nothing was recorded",
            hint="Try again; if it stays, look for a transaction that does not end.",
        )
    if state in _LOST_RACES:
        return Unavailable("others wrote the same at the same time: nothing was recorded", hint="Try again.")
    if state in _NOT_STORABLE or (not state and type(error).__name__ == "DataError"):
        return Invalid(
            f"this cannot be stored: {_line(error)}", hint="Leave out what the database cannot hold."
        )
    if state.startswith(_REFUSED):
        return Unavailable(
            f"the database refuses this server: {_line(error)}",
            hint="Check the URL, and that its role owns the database and may write.",
        )
    if state.startswith(_UNREACHABLE) or (not state and type(error).__name__ == "OperationalError"):
        return Unavailable(
            f"the database does not answer: {_line(error)}", hint="Look whether it runs and can be reached."
        )
    return Internal(f"a statement failed: {_line(error)}", hint="Please report this.")


def _state(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
