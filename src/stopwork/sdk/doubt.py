"""What an exception of a tool says about whether it took effect.

Nothing, unless something is known of it: a change that raised may have been made. It has *certainly not* been made where the request
never left, or was turned down. It may be made *even now* where the other side was left with it: after a time-out, a connection that
broke off, a gateway that gave up. In between, looking at what it would have changed settles it. Classes are known by name, so that
no HTTP library has to be installed to recognise its exceptions.
"""

from __future__ import annotations

from typing import Any, Final

from stopwork.control.steps import Doubt
from stopwork.ledger.records import Record

_NEVER_SENT: Final = frozenset(
    {
        "ConnectTimeout",
        "ConnectTimeoutError",
        "PoolTimeout",
        "ConnectError",
        "ConnectionRefusedError",
        "NewConnectionError",
        "NameResolutionError",
        "ClientConnectorError",
        "gaierror",
    }
)
_BROKE_OFF: Final = frozenset(
    {
        "ConnectionError",
        "ReadError",
        "WriteError",
        "CloseError",
        "ProtocolError",
        "RemoteProtocolError",
        "IncompleteRead",
        "RemoteDisconnected",
        "ServerDisconnectedError",
    }
)
_ANSWERED: Final = frozenset({"HTTPStatusError", "HTTPError", "ClientResponseError"})
_GAVE_UP: Final = frozenset({408, 502, 504})
_TURNED_DOWN: Final = range(400, 500)
_MAX_CAUSES: Final = 10


class AuthorSays(Record):
    """What a tool's author knows of its exceptions: after which nobody can say, and after which it has not taken effect."""

    unknown: tuple[type[BaseException], ...] = ()
    failed: tuple[type[BaseException], ...] = ()


def doubt_of(error: BaseException, author: AuthorSays) -> Doubt:
    """Answer what is open after ``error``. An exception raised *from* another says what that one says."""
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            break
        known = _known(cause, author)
        if known is not None:
            return known
        cause = cause.__cause__
    return Doubt.OPEN


def _known(error: BaseException, author: AuthorSays) -> Doubt | None:
    if isinstance(error, author.unknown):
        return Doubt.LASTING
    if isinstance(error, author.failed):
        return Doubt.NONE
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NEVER_SENT:
        return Doubt.NONE
    if names & _BROKE_OFF or any("timeout" in name.lower() for name in names):
        return Doubt.LASTING
    if names & _ANSWERED:
        status = _status(error)
        if status in _GAVE_UP:
            return Doubt.LASTING
        if status in _TURNED_DOWN:
            return Doubt.NONE
    return None


def _status(error: Any) -> int | None:
    """Answer the HTTP status, wherever this library keeps it."""
    places = (getattr(getattr(error, "response", None), "status_code", None), getattr(error, "status", None))
    return next((each for each in (*places, getattr(error, "code", None)) if isinstance(each, int)), None)
