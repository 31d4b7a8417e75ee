"""A client that costs next to nothing, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct


class Answers(Struct, frozen=True, kw_only=True):
    """How long each request took and how long all of them, and what the server said."""

    each_ms: tuple[float, ...]
    elapsed_s: float
    bodies: tuple[bytes, ...]

    @property
    def per_s(self) -> float:
        return len(self.each_ms) / self.elapsed_s


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection: one request at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) == length and self._answer is not None:
            self._received = bytearray()
            self._answer.set_result((int(head[9:12]), bytes(body)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    async def ask(self, request: bytes) -> bytes:
        """Answer the body of a successful answer; ``ConnectionError`` for any other."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        status, body = await self._answer
        if not 200 <= status < 300:
            raise ConnectionError(f"{status}: {body.decode()}")
        return body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def request(path: str, token: str, body: Any) -> bytes:
    """Answer a POST as bytes."""
    content = msgspec.json.encode(body)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def ends_with_input() -> asyncio.Future[None]:
    """Answer a future that is done when standard input ends: the process that started this one wants no more of it."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def look() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            loop.remove_reader(sys.stdin.fileno())
            over.set_result(None)

    loop.add_reader(sys.stdin.fileno(), look)
    return over


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """So many open connections to the server on this port, for as long as the block."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


async def ask_all(connections: Sequence[Connection], requests: Iterable[bytes]) -> Answers:
    """Ask everything, each connection one request after the other."""
    left = iter(requests)
    each_ms: list[float] = []
    bodies: list[bytes] = []
    started = time.perf_counter()
    await asyncio.gather(*(_drain(connection, left, each_ms, bodies) for connection in connections))
    return Answers(each_ms=tuple(each_ms), elapsed_s=time.perf_counter() - started, bodies=tuple(bodies))


async def _drain(
    connection: Connection, left: Iterator[bytes], each_ms: list[float], bodies: list[bytes]
) -> None:
    for asked in left:
        started = time.perf_counter()
        bodies.append(await connection.ask(asked))
        each_ms.append((time.perf_counter() - started) * 1e3)
