"""Work that waits to be written: bounded, what is urgent first, and nobody left without an answer."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import InvalidStateError
from typing import Any, Final, Protocol

import msgspec

from stopwork.kernel.errors import StopworkError, Unavailable
from stopwork.ledger.records import Principal
from stopwork.storage.transaction import Tx

MAX_WAITING: Final = 10_000


class Waiting(Protocol):
    """Whoever waits for the answer to a job: a :class:`concurrent.futures.Future`, or what behaves like one. Told by a writer's thread."""

    def set_running_or_notify_cancel(self) -> bool:
        """Answer whether the job is still wanted; from here on it is carried out."""
        ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException | None, /) -> None: ...


class Job(msgspec.Struct):
    """What one caller wants done in one transaction. Work that runs ``beside_others`` locks by itself what it decides by."""

    work: Callable[[Tx], Any]
    actor: Principal
    urgent: bool
    beside_others: bool
    future: Waiting

    def refuse(self, error: BaseException) -> None:
        """Answer a caller who is still waiting; one who has cancelled meanwhile is not."""
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)


_Place = tuple[int, int, Job | None]
"""Where a job stands in line: urgent ones first, then as they came; behind all of them ``None``, which ends the line."""

_URGENT, _IN_TURN, _END = range(3)


class Line:
    """The jobs that wait, for one writer or several."""

    def __init__(self) -> None:
        self._places: queue.PriorityQueue[_Place] = queue.PriorityQueue(MAX_WAITING)
        self._numbers = itertools.count()
        self._accepting = threading.Lock()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, job: Job) -> None:
        """Let the job wait; where that cannot be, it is refused."""
        with self._accepting:
            if self._closed:
                job.refuse(closed())
                return
            try:
                self._places.put_nowait((_URGENT if job.urgent else _IN_TURN, next(self._numbers), job))
            except queue.Full:
                job.refuse(
                    Unavailable(
                        "too many writes are waiting", hint="Try again in a moment.", waiting=MAX_WAITING
                    )
                )

    def take(self) -> Job | None:
        """Wait for the next job and answer it; at the end of a closed line answer ``None``, to every writer that asks."""
        place = self._places.get()
        if place[-1] is None:
            self._places.put(place)
        return place[-1]

    def behind(self, first: Job, limit: int) -> Iterator[Job]:
        """Answer the first job and those that wait behind it now, up to ``limit``; an urgent one is the last."""
        yield first
        for _ in range(min(self._places.qsize(), limit - 1)):
            if first.urgent:
                return
            following = self.take()
            if following is None:
                return
            first = following
            yield first

    def close(self) -> bool:
        """Accept nothing more, and end the line behind what waits; answer whether it was open."""
        with self._accepting:
            if self._closed:
                return False
            self._closed = True
        self._places.put((_END, next(self._numbers), None))
        return True

    def refuse_all(self) -> None:
        """Answer everybody who still waits: nothing is written any more, however the writers came to their end."""
        with self._accepting:
            self._closed = True
            self._refuse(closed)

    def refuse_waiting(self, error: Callable[[], StopworkError]) -> None:
        """Answer everybody who waits now; who comes later waits as usual."""
        with self._accepting:
            self._refuse(error)

    def _refuse(self, error: Callable[[], StopworkError]) -> None:
        ends = []
        with contextlib.suppress(queue.Empty):
            while True:
                place = self._places.get_nowait()
                if place[-1] is None:
                    ends.append(place)
                else:
                    place[-1].refuse(error())
        for place in ends:
            self._places.put(place)


def closed() -> Unavailable:
    """Answer the error for whoever uses a store that is closed."""
    return Unavailable("the store is closed", hint="Open it again.")
