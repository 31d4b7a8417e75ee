"""Requests that wait for a writer: many answers reach the event loop by one wake-up.

A commit answers many jobs at once. A future of its own for each would wake the event loop as often, and each wake-up is a system call
and a fight for the interpreter between the writer's thread and the loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from stopwork.ledger.records import Principal
from stopwork.storage.jobs import Job
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx


async def written(store: Store, work: Callable[[Tx], Any], *, actor: Principal, urgent: bool) -> Any:
    """Answer what :meth:`Store.write` would, without a thread that waits. Who is cancelled before the work begins takes it back."""
    loop = asyncio.get_running_loop()
    arrivals = _ARRIVALS.get(loop)
    if arrivals is None:
        arrivals = _ARRIVALS[loop] = _Arrivals(loop)
    waiter = _Waiter(arrivals, loop.create_future())
    store.put(Job(work=work, actor=actor, urgent=urgent, future=waiter))
    return await waiter.future


class _Arrivals:
    """What writers have answered to requests of one event loop, until the loop has seen it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._arrived: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False

    def put(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Hand one answer over; called by a writer's thread."""
        self._arrived.append((future, result, error))
        if not self._woken:
            self._woken = True
            loop = self._loop()
            if loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        # Before the look: whatever is put from here on is seen below, or wakes the loop again.
        self._woken = False
        while self._arrived:
            future, result, error = self._arrived.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)


class _Waiter:
    """One request that waits; what a job needs of a future."""

    __slots__ = ("_arrivals", "future")

    def __init__(self, arrivals: _Arrivals, future: asyncio.Future[Any]) -> None:
        self._arrivals = arrivals
        self.future = future

    def set_running_or_notify_cancel(self) -> bool:
        return not self.future.cancelled()

    def set_result(self, result: Any) -> None:
        self._arrivals.put(self.future, result, None)

    def set_exception(self, exception: BaseException | None) -> None:
        self._arrivals.put(self.future, None, exception)


_ARRIVALS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals]] = WeakKeyDictionary()
