"""The control plane over HTTP, for threads and for event loops.

What goes over the wire is decided once, in :class:`_Wire`; the two desks differ only in how they wait. They retry nothing but a
connection that was never made. Whether an answer that got lost may be asked for again is known to
:mod:`stopwork.control.session`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx
import msgspec

from stopwork.control.protocol import Request
from stopwork.kernel.errors import (
    Conflict,
    Denied,
    Internal,
    Invalid,
    NotFound,
    StopworkError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    by_code,
)

A = TypeVar("A")

MAX_REQUEST_BYTES: Final = 16 * 1024 * 1024
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
CONNECT_TRIES: Final = 2
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_BY_STATUS: Final[dict[int, type[StopworkError]]] = {
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    429: Unavailable,
    500: Internal,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class _Wire:
    """Requests to bytes, bytes to answers or errors. Knows the token and never shows it."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(
                f"{url!r} is not the address of a Stopwork server",
                hint="It looks like https://stopwork.example or http://127.0.0.1:8080.",
                field="url",
            )
        if not token or not token.isascii() or any(letter.isspace() for letter in token):
            raise Invalid("a token is needed", hint="Make one with: stopwork token create", field="token")
        self.url = url.rstrip("/")
        self.options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout_s,
            "headers": {
                "authorization": f"Bearer {token}",
                "content-type": "application/json",
                "accept": "application/json",
            },
            # A proxy of the environment has no business between a process and its own machine.
            "trust_env": parts.hostname not in _LOOPBACK,
            "follow_redirects": False,
        }

    def content(self, request: Request[Any]) -> bytes:
        body = request.body()
        if len(body) > MAX_REQUEST_BYTES:
            raise TooLarge(
                f"the request has {len(body)} bytes, more than {MAX_REQUEST_BYTES}",
                hint="Pass a reference instead of the content.",
                found=len(body),
                expected=MAX_REQUEST_BYTES,
            )
        return body

    def answer(self, request: Request[A], status: int, body: bytes) -> A:
        if not 200 <= status < 300:
            raise self._error(status, body)
        try:
            return msgspec.json.decode(body or b"{}", type=request.answer)  # type: ignore[return-value]
        except msgspec.MsgspecError as error:
            raise Internal(
                f"{self.url} gave an answer to {type(request).__name__} that cannot be read: {error}",
                hint="Is it a Stopwork server of the same version?",
            ) from error

    def unreachable(self, error: httpx.HTTPError) -> Unavailable:
        return Unavailable(
            f"{self.url} did not answer: {type(error).__name__}",
            hint="Nothing that is guarded runs until it answers again.",
        )

    def _error(self, status: int, body: bytes) -> StopworkError:
        try:
            problem = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError:
            problem = {}
        fields = {
            name: value
            for name, value in problem.items()
            if name not in ("type", "title", "status", "detail", "code", "hint")
        }
        code = problem.get("code")
        kind = by_code(code) if isinstance(code, str) else StopworkError
        if kind is StopworkError:
            kind = _BY_STATUS.get(status, Internal)
        detail = str(problem.get("detail") or f"{self.url} answered with status {status}")
        hint = str(problem.get("hint") or "")
        if not problem and kind is NotFound:
            hint = "Is this the address of a Stopwork server?"
        return kind(detail, hint=hint, **fields)


class HttpDesk:
    """The control plane behind ``url``, with kept-alive connections."""

    def __init__(
        self, url: str, token: str, *, timeout_s: float = 10.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._wire = _Wire(url, token, timeout_s)
        transport = transport or httpx.HTTPTransport(
            retries=CONNECT_TRIES - 1, trust_env=self._wire.options["trust_env"]
        )
        self._client = httpx.Client(transport=transport, **self._wire.options)

    def __repr__(self) -> str:
        return f"HttpDesk({self._wire.url!r})"

    def send(self, request: Request[A]) -> A:
        """Answer the request as the server does."""
        content = self._wire.content(request)
        try:
            with self._client.stream(request.method, request.address(), content=content) as response:
                body = _bounded(response.iter_bytes())
                return self._wire.answer(request, response.status_code, body)
        except httpx.HTTPError as error:
            raise self._wire.unreachable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncHttpDesk:
    """The same for event loops. Connections belong to the loop in which they were made."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._wire = _Wire(url, token, timeout_s)
        self._transport = transport
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"AsyncHttpDesk({self._wire.url!r})"

    async def send(self, request: Request[A]) -> A:
        """Answer the request as the server does."""
        content = self._wire.content(request)
        try:
            async with self._client().stream(request.method, request.address(), content=content) as response:
                body = await _bounded_async(response.aiter_bytes())
                return self._wire.answer(request, response.status_code, body)
        except httpx.HTTPError as error:
            raise self._wire.unreachable(error) from error

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _client(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            transport = self._transport or httpx.AsyncHTTPTransport(
                retries=CONNECT_TRIES - 1, trust_env=self._wire.options["trust_env"]
            )
            client = self._clients[loop] = httpx.AsyncClient(transport=transport, **self._wire.options)
        return client


def _bounded(chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += _checked(chunk, len(body))
    return bytes(body)


async def _bounded_async(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += _checked(chunk, len(body))
    return bytes(body)


def _checked(chunk: bytes, so_far: int) -> bytes:
    if so_far + len(chunk) > MAX_ANSWER_BYTES:
        raise Internal(
            f"the server's answer has more than {MAX_ANSWER_BYTES} bytes",
            hint="Is this the address of a Stopwork server?",
        )
    return chunk
