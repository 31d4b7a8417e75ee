"""The live stream (server-sent events): a hint that something is new, never the news itself.

Each journal entry becomes one event named ``entry`` with its number and what it is about; whoever listens looks at
the records. A listener that comes back says where it was (``Last-Event-ID``) and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stopwork.kernel.errors import Invalid, StopworkError, Unavailable
from stopwork.ledger.events import Entry, name_of
from stopwork.operations.installation import Installation
from stopwork.server.auth import identify_request
from stopwork.server.problems import problem_response

KEEP_ALIVE_S: Final = 15.0
BATCH: Final = 500
MAX_LISTENERS: Final = 200


class Stream:
    """Serves ``/v1/stream``. Bounded: beyond :data:`MAX_LISTENERS` a listener is told to come back."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._listeners = 0
        self._closing = asyncio.Event()

    async def serve(self, request: Request) -> Response:
        """Answer one listener."""
        try:
            await run_in_threadpool(identify_request, self._installation, request)
            after = self._start(request)
            if self._listeners >= MAX_LISTENERS:
                raise Unavailable("too many listeners", hint="Try again later, or read /v1/journal.")
        except StopworkError as error:
            return problem_response(error)
        return StreamingResponse(
            self._events(after),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closing.set()

    def _start(self, request: Request) -> int:
        given = request.headers.get("last-event-id") or request.query_params.get("after", "")
        if given and not given.isdigit():
            raise Invalid(
                f"{given!r} is no entry number", hint="Use the id of the last event.", field="after"
            )
        return int(given) if given else self._installation.store.last_seq

    async def _events(self, after: int) -> AsyncIterator[bytes]:
        store = self._installation.store
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        self._listeners += 1

        def wake(_seq: int) -> None:
            loop.call_soon_threadsafe(news.set)

        try:
            with store.listening(wake):
                yield b": listening\n\n"
                while not self._closing.is_set():
                    news.clear()
                    entries = await run_in_threadpool(
                        store.read, lambda view, seq=after: view.entries(after=seq, limit=BATCH)
                    )
                    for entry in entries:
                        after = entry.seq
                        yield event_of(entry)
                    if not entries and not await self._wait(news):
                        yield b": still here\n\n"
        finally:
            self._listeners -= 1

    async def _wait(self, news: asyncio.Event) -> bool:
        """Wait for news or the end; answer whether there is any."""
        waits = [asyncio.ensure_future(news.wait()), asyncio.ensure_future(self._closing.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return bool(done)


def event_of(entry: Entry) -> bytes:
    """Answer one entry as a server-sent event."""
    about = {name: getattr(entry.event, name, None) for name in ("workflow", "run", "call", "incident")}
    data = msgspec.json.encode({"seq": entry.seq, "kind": name_of(entry.event), **about})
    return b"event: entry\nid: %d\ndata: %s\n\n" % (entry.seq, data)
