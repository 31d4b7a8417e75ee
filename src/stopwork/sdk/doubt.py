"""Which exceptions leave it open whether a tool took effect.

A time-out after the request was sent, or a connection that broke, says nothing about what the other side did: the outcome is
*unknown*. A connection that was never made is a plain failure. Classes are known by name, so that no HTTP library has to
be installed to recognise its exceptions.
"""

from __future__ import annotations

from typing import Final

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
_MAX_CAUSES: Final = 10


def in_doubt(error: BaseException, more: tuple[type[BaseException], ...] = ()) -> bool:
    """Answer whether the tool may have taken effect although it raised ``error``.

    ``more`` are exceptions of which the tool's author says so. An exception raised *from* another is as doubtful as that one.
    """
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            return False
        if more and isinstance(cause, more):
            return True
        names = {kind.__name__ for kind in type(cause).__mro__}
        if names & _NEVER_SENT:
            return False
        if names & _BROKE_OFF or any("timeout" in name.lower() for name in names):
            return True
        cause = cause.__cause__
    return True
