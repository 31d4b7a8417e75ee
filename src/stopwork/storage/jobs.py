"""Work that waits to be written: bounded, what is urgent first, and nobody left without an answer."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import InvalidStateError
from typing import Any, Final, Protocol

import msgspec

from stopwork.kernel.errors import StopworkError, Unavailable
from stopwork.ledger.records import Principal
from stopwork.storage.transaction import Tx

#: So many jobs may wait in turn, and as many that are urgent.
MAX_WAITING: Final = 10_000


class Waiting(Protocol):
    """Whoever waits for the answer to a job: a :class:`concurrent.futures.Future`, or what behaves like one. Told by a writer's thread."""

    def set_running_or_notify_cancel(self) -> bool:
        """Answer whether the job is still wanted; from here on it is carried out."""
        ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException | None, /) -> None: ...


class Job(msgspec.Struct):
    """What one caller wants done in one transaction."""

    work: Callable[[Tx], Any]
    actor: Principal
    urgent: bool
    future: Waiting

    def refuse(self, error: BaseException) -> None:
        """Answer a caller who is still waiting; one who has cancelled meanwhile is not."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)


class Line:
    """The jobs that wait, for one writer or several: what is urgent first, and otherwise as they came.

    Every permit passes here, so a lock is taken to join and to wait, and not to take what waits already: deques are safe to take from,
    and only the one writer of SQLite does that.
    """

    def __init__(self) -> None:
        self._urgent: deque[Job] = deque()
        self._in_turn: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, job: Job) -> None:
        """Let the job wait; where that cannot be, it is refused. What is urgent finds room however many wait in turn."""
        jobs = self._urgent if job.urgent else self._in_turn
        with self._changed:
            if not self._closed and len(jobs) < MAX_WAITING:
                jobs.append(job)
                self._changed.notify()
                return
        job.refuse(closed() if self._closed else _too_many())

    def take(self) -> Job | None:
        """Wait for the next job and answer it; at the end of a closed line answer ``None``, to every writer that asks."""
        with self._changed:
            while (job := self._next()) is None and not self._closed:
                self._changed.wait()
            return job

    def behind(self, first: Job, limit: int) -> Iterator[Job]:
        """Answer the first job and those that wait behind it now, up to ``limit``; an urgent one is the last."""
        yield first
        for _ in range(min(len(self._urgent) + len(self._in_turn), limit - 1)):
            if first.urgent:
                return
            following = self._next()
            if following is None:
                return
            first = following
            yield first

    def close(self) -> bool:
        """Accept nothing more, and end the line behind what waits; answer whether it was open."""
        with self._changed:
            was_open, self._closed = not self._closed, True
            self._changed.notify_all()
        return was_open

    def refuse_all(self) -> None:
        """Answer everybody who still waits: nothing is written any more, however the writers came to their end."""
        self.close()
        self.refuse_waiting(closed)

    def refuse_waiting(self, error: Callable[[], StopworkError]) -> None:
        """Answer everybody who waits now; who comes later waits as usual."""
        with self._changed:
            waiting = (*self._urgent, *self._in_turn)
            self._urgent.clear()
            self._in_turn.clear()
        for job in waiting:
            job.refuse(error())

    def _next(self) -> Job | None:
        try:
            return self._urgent.popleft() if self._urgent else self._in_turn.popleft()
        except IndexError:
            return None


def closed() -> Unavailable:
    """Answer the error for whoever uses a store that is closed."""
    return Unavailable("the store is closed", hint="Open it again.")


def _too_many() -> Unavailable:
    return Unavailable("too many writes are waiting", hint="Try again in a moment.", waiting=MAX_WAITING)
