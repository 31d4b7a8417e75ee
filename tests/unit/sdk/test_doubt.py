"""Contract of doubt: after which exceptions a tool has certainly not taken effect, after which looking tells, and after which it may
take effect even now.
"""

from __future__ import annotations

import socket
import urllib.error
from email.message import Message

import httpx
import pytest

from stopwork.control.steps import Doubt
from stopwork.sdk.doubt import AuthorSays, doubt_of


class LibraryTimeout(Exception):
    """Known by its name alone."""


class OperationalError(Exception):
    """As databases raise it."""


class Busy(Exception):
    """Nobody but its author knows what it means."""


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


REQUEST = httpx.Request("POST", "http://crm.test")

NOTHING = AuthorSays()


def answered(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("", request=REQUEST, response=httpx.Response(status))


STATUSES = {
    400: Doubt.NONE,
    404: Doubt.NONE,
    408: Doubt.LASTING,
    409: Doubt.NONE,
    429: Doubt.NONE,
    500: Doubt.OPEN,
    502: Doubt.LASTING,
    503: Doubt.OPEN,
    504: Doubt.LASTING,
}

CASES: dict[str, tuple[BaseException, Doubt]] = {
    "an error that says nothing": (ValueError("x"), Doubt.OPEN),
    "a database that is gone at the commit": (OperationalError("server closed the connection"), Doubt.OPEN),
    "a time-out": (TimeoutError(), Doubt.LASTING),
    "a read time-out": (httpx.ReadTimeout("", request=REQUEST), Doubt.LASTING),
    "a write time-out": (httpx.WriteTimeout("", request=REQUEST), Doubt.LASTING),
    "a time-out before there was a connection": (httpx.ConnectTimeout("", request=REQUEST), Doubt.NONE),
    "a time-out while waiting for a free connection": (httpx.PoolTimeout("", request=REQUEST), Doubt.NONE),
    "no connection": (httpx.ConnectError("", request=REQUEST), Doubt.NONE),
    "a connection refused": (ConnectionRefusedError(), Doubt.NONE),
    "a name that does not resolve": (socket.gaierror(), Doubt.NONE),
    "a connection reset": (ConnectionResetError(), Doubt.LASTING),
    "an answer that broke off": (httpx.RemoteProtocolError("", request=REQUEST), Doubt.LASTING),
    "a read error": (httpx.ReadError("", request=REQUEST), Doubt.LASTING),
    **{f"an answer of {status}": (answered(status), doubt) for status, doubt in STATUSES.items()},
    "an answer of 404 to another library": (
        urllib.error.HTTPError("u", 404, "", Message(), None),
        Doubt.NONE,
    ),
    "a library's time-out": (LibraryTimeout(), Doubt.LASTING),
    "an error raised from a time-out": (raised_from(RuntimeError("crm"), TimeoutError()), Doubt.LASTING),
    "an error raised from a refused connection": (
        raised_from(RuntimeError("crm"), ConnectionRefusedError()),
        Doubt.NONE,
    ),
    "no connection, by way of a time-out": (
        raised_from(httpx.ConnectTimeout("", request=REQUEST), TimeoutError()),
        Doubt.NONE,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_doubt(name: str) -> None:
    error, doubt = CASES[name]
    assert doubt_of(error, NOTHING) is doubt


def test_a_tool_s_author_knows_better() -> None:
    assert doubt_of(Busy(), NOTHING) is Doubt.OPEN
    assert doubt_of(Busy(), AuthorSays(unknown=(Busy,))) is Doubt.LASTING
    assert doubt_of(Busy(), AuthorSays(failed=(Busy,))) is Doubt.NONE
    assert doubt_of(Busy(), AuthorSays(unknown=(Busy,), failed=(Exception,))) is Doubt.LASTING
    assert doubt_of(raised_from(RuntimeError("x"), Busy()), AuthorSays(failed=(Busy,))) is Doubt.NONE


def test_a_circle_of_causes_is_open_and_ends() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert doubt_of(first, NOTHING) is Doubt.OPEN
