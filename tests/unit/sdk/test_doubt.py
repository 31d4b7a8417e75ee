"""Contract of doubt: which exceptions leave it open whether the tool took effect, and which are plain failures."""

from __future__ import annotations

import socket

import httpx
import pytest

from stopwork.sdk.doubt import in_doubt


class LibraryTimeout(Exception):
    """Known by its name alone."""


class Busy(Exception):
    """Nobody but its author knows what it means."""


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


REQUEST = httpx.Request("POST", "http://crm.test")

CASES: dict[str, tuple[BaseException, bool]] = {
    "a plain error": (ValueError("x"), False),
    "a time-out": (TimeoutError(), True),
    "a read time-out": (httpx.ReadTimeout("", request=REQUEST), True),
    "a write time-out": (httpx.WriteTimeout("", request=REQUEST), True),
    "a time-out before there was a connection": (httpx.ConnectTimeout("", request=REQUEST), False),
    "a time-out while waiting for a free connection": (httpx.PoolTimeout("", request=REQUEST), False),
    "no connection": (httpx.ConnectError("", request=REQUEST), False),
    "a connection refused": (ConnectionRefusedError(), False),
    "a name that does not resolve": (socket.gaierror(), False),
    "a connection reset": (ConnectionResetError(), True),
    "an answer that broke off": (httpx.RemoteProtocolError("", request=REQUEST), True),
    "a read error": (httpx.ReadError("", request=REQUEST), True),
    "an answer with a bad status": (
        httpx.HTTPStatusError("", request=REQUEST, response=httpx.Response(500)),
        False,
    ),
    "a library's time-out": (LibraryTimeout(), True),
    "an error raised from a time-out": (raised_from(RuntimeError("crm"), TimeoutError()), True),
    "an error raised from a refused connection": (
        raised_from(RuntimeError("crm"), ConnectionRefusedError()),
        False,
    ),
    "no connection, by way of a time-out": (
        raised_from(httpx.ConnectTimeout("", request=REQUEST), TimeoutError()),
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_doubt(name: str) -> None:
    error, doubtful = CASES[name]
    assert in_doubt(error) is doubtful


def test_a_tool_s_author_can_name_more() -> None:
    assert not in_doubt(Busy())
    assert in_doubt(Busy(), (Busy,))


def test_a_circle_of_causes_is_doubtful_and_ends() -> None:
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert in_doubt(first)
