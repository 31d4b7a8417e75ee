"""The control plane as the guard sees it: a desk that answers requests.

A desk raises only errors of :mod:`stopwork.kernel.errors`, and ``Unavailable`` exactly when the same request may be answered if
it is sent again.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

from stopwork.control.protocol import Request

A = TypeVar("A")


class Desk(Protocol):
    """Answers requests; may be used by several threads at once."""

    def send(self, request: Request[A]) -> A: ...

    def close(self) -> None: ...


class AsyncDesk(Protocol):
    """Answers requests without blocking the event loop."""

    async def send(self, request: Request[A]) -> A: ...

    async def aclose(self) -> None: ...


class InThread:
    """An :class:`AsyncDesk` that asks a blocking desk from a thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def send(self, request: Request[A]) -> A:
        """Answer the request; the wait happens elsewhere."""
        return await asyncio.to_thread(self._desk.send, request)

    async def aclose(self) -> None:
        """Leave the blocking desk to its owner."""
