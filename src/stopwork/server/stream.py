"""The live stream (server-sent events): a hint that something is new, never the news itself.

Each journal entry becomes one event named ``entry`` with its number and what it is about; whoever listens looks at
the records. A listener that comes back says where it was (``Last-Event-ID``) and misses nothing. Who may listen is
asked again before each look, so a stream ends with its session. An agent hears of its own workflow only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stopwork.kernel.errors import Denied, Invalid, StopworkError, Unavailable
from stopwork.ledger.events import Entry, name_of
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import privacy
from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import MAX_NUMBER, Access
from stopwork.server.auth import identify_request
from stopwork.server.problems import problem_response
from stopwork.storage.view import View

KEEP_ALIVE_S: Final = 15.0
BATCH: Final = 500
MAX_LISTENERS: Final = 200
MAX_DIGITS: Final = 16


class Stream:
    """Serves ``/v1/stream``. Bounded: beyond ``max_listeners`` a listener is told to come back."""

    def __init__(self, installation: Installation, *, max_listeners: int = MAX_LISTENERS) -> None:
        self._installation = installation
        self._max_listeners = max_listeners
        self._listeners = 0
        self.closing = asyncio.Event()

    async def serve(self, request: Request) -> Response:
        """Answer one listener."""
        try:
            listener = await run_in_threadpool(identify_request, self._installation, request)
            if not Access.ANY.admits(listener.kind):
                raise Denied(
                    "this token is for telling, not for listening", hint="Listen as a person or an agent."
                )
            after = self._start(request)
            if self._listeners >= self._max_listeners:
                raise Unavailable("too many listeners", hint="Try again later, or read /v1/journal.")
        except StopworkError as error:
            return problem_response(error)
        self._listeners += 1
        return _Listening(self._events(request, after), self._left)

    def _left(self) -> None:
        self._listeners -= 1

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self.closing.set()

    def _start(self, request: Request) -> int:
        given = request.headers.get("last-event-id") or request.query_params.get("after", "")
        if not given:
            return self._installation.store.last_seq
        if not given.isdecimal() or len(given) > MAX_DIGITS or int(given) > MAX_NUMBER:
            raise Invalid(
                f"{given[:50]!r} is no entry number", hint="Use the id of the last event.", field="after"
            )
        return int(given)

    async def _events(self, request: Request, after: int) -> AsyncIterator[bytes]:
        store = self._installation.store
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def wake(_seq: int) -> None:
            loop.call_soon_threadsafe(news.set)

        with store.listening(wake):
            yield b": listening\n\n"
            while not self.closing.is_set():
                news.clear()
                try:
                    entries, heard = await run_in_threadpool(self._look, request, after)
                except StopworkError:
                    return  # signed out, revoked, expired, or the store is closed: coming back says which
                for entry in heard:
                    yield event_of(entry)
                if entries:
                    after = entries[-1].seq
                elif not await self._wait(news):
                    yield b": still here\n\n"

    def _look(self, request: Request, after: int) -> tuple[list[Entry], list[Entry]]:
        """Answer the next entries, and those of them that this listener hears of."""
        listener = identify_request(self._installation, request)
        store = self._installation.store

        def look(view: View) -> tuple[list[Entry], list[Entry]]:
            entries = view.entries(after=after, limit=BATCH)
            seen = privacy.seen_by(view, listener, store.clock.now())
            if seen is view or not entries:
                return entries, entries
            heard = seen.entries(after=after, limit=BATCH)
            return entries, [each for each in heard if each.seq <= entries[-1].seq]

        entries, heard = store.read(look)
        if listener.kind is not PrincipalKind.AGENT:
            return entries, heard
        return entries, [each for each in heard if _about(each)["workflow"] in (None, listener.id)]

    async def _wait(self, news: asyncio.Event) -> bool:
        """Wait for news or the end; answer whether there is any."""
        waits = [asyncio.ensure_future(news.wait()), asyncio.ensure_future(self.closing.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        return bool(done)


def event_of(entry: Entry) -> bytes:
    """Answer one entry as a server-sent event."""
    data = msgspec.json.encode({"seq": entry.seq, "kind": name_of(entry.event), **_about(entry)})
    return b"event: entry\nid: %d\ndata: %s\n\n" % (entry.seq, data)


def _about(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry.event, name, None) for name in ("workflow", "run", "call", "incident")}


class _Listening(StreamingResponse):
    """One listener's answer; however it ends, ``left`` is called once."""

    def __init__(self, events: AsyncIterator[bytes], left: Callable[[], None]) -> None:
        super().__init__(
            events,
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._left()
