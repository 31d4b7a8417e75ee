"""The sign of life of an enforcement point, from a thread of its own for each workflow.

It confirms the control epoch it was last told, so that whoever pauses something sees which guards have heard of it. Where the desk can
hold a request until there is something to say, it is asked to, and a pause is heard of at once; elsewhere a point beats once a second.
With each beat it takes a new lease for reads. That it has stopped is never silent: :meth:`Heartbeat.health` says so, the log says so,
and the control plane counts the seconds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from stopwork.control.protocol import Heartbeat as Beat
from stopwork.control.protocol import RegisterPoint, Request, RetirePoint
from stopwork.kernel.clock import SystemClock, boottime
from stopwork.kernel.errors import Conflict, Invalid, NotFound, StopworkError
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.ledger.records import Record
from stopwork.sdk.desk import Desk
from stopwork.sdk.reads import Reads
from stopwork.sdk.recording import in_words

A = TypeVar("A")

log = logging.getLogger("stopwork.sdk")

INTERVAL_S: Final = 1.0
#: How long the desk may hold a beat: less than a third of the shortest time that anything is counted on.
HELD_S: Final = 3.0
SILENT_AFTER_S: Final = 5.0


class PointHealth(Record):
    """How one workflow's enforcement point stands. ``confirmed_ago_s`` is ``None`` before the first confirmation."""

    workflow: str
    point: str | None
    epoch: int
    confirmed_ago_s: float | None
    error: str = ""


class Health(Record):
    """How the guard stands. ``well`` is false while a point is not confirmed, or the thread that confirms is gone."""

    well: bool
    points: tuple[PointHealth, ...] = ()


class _Point:
    def __init__(self, workflow: str, point: str) -> None:
        self.workflow = workflow
        self.id = point
        self.registered = False
        self.epoch = 0
        self.confirmed_at: float | None = None
        self.error = ""
        self.leased = False
        self.wake = threading.Event()
        self.thread: threading.Thread | None = None


class Heartbeat:
    """Registers a point for each watched workflow and keeps it confirmed."""

    def __init__(
        self,
        desk: Desk,
        name: str,
        *,
        interval_s: float = INTERVAL_S,
        held_s: float = 0.0,
        reads: Reads | None = None,
        clock: Callable[[], float] = boottime,
        ids: IdSource | None = None,
    ) -> None:
        self._desk = desk
        self._name = name
        self._interval_s = interval_s
        self._held_s = held_s
        self._reads = reads
        self._clock = clock
        self._ids = ids or TimeOrderedIds(SystemClock())
        self._points: dict[str, _Point] = {}
        self._lock = threading.Lock()
        self._closed = False

    def watch(self, workflow: str) -> None:
        """Keep a point of this workflow confirmed from now on; also after a fork, which leaves threads behind."""
        with self._lock:
            if self._closed:
                return
            if workflow not in self._points:
                self._points[workflow] = _Point(workflow, self._ids.new("point"))
            for point in self._points.values():
                if point.thread is None or not point.thread.is_alive():
                    self._start(point)

    def point_of(self, workflow: str) -> str | None:
        """Answer the id under which this process guards the workflow, registered or about to be."""
        with self._lock:
            point = self._points.get(workflow)
            return None if point is None else point.id

    def health(self) -> Health:
        """Answer how the guard stands, from what was confirmed, not from what was intended."""
        now = self._clock()
        with self._lock:
            points = tuple(
                PointHealth(
                    workflow=point.workflow,
                    point=point.id if point.registered else None,
                    epoch=point.epoch,
                    confirmed_ago_s=None if point.confirmed_at is None else now - point.confirmed_at,
                    error=point.error,
                )
                for point in self._points.values()
            )
            beats = all(
                point.thread is not None and point.thread.is_alive() for point in self._points.values()
            )
        fresh = all(
            point.confirmed_ago_s is not None and point.confirmed_ago_s < SILENT_AFTER_S for point in points
        )
        return Health(well=beats and fresh, points=points)

    def beat(self) -> None:
        """Register and confirm once for every watched workflow, without being held."""
        with self._lock:
            points = list(self._points.values())
        for point in points:
            while self._beat(point, held_s=0.0):
                pass

    def close(self) -> None:
        """Stop, and say goodbye for every point; one that cannot be told is retired by its silence."""
        with self._lock:
            self._closed = True
            points = list(self._points.values())
        for point in points:
            point.wake.set()
            # A beat that the desk holds ends by itself; nothing waits for it.
            if (
                point.thread is not None
                and point.thread is not threading.current_thread()
                and not self._held_s
            ):
                point.thread.join(timeout=SILENT_AFTER_S)
            if point.registered:
                with contextlib.suppress(StopworkError):
                    self._tell(point)  # nobody asks any more after what a point reads that has said goodbye
                    self._desk.send(RetirePoint(point=point.id))

    def _start(self, point: _Point) -> None:
        self._forget(point)
        point.wake = threading.Event()
        name = f"stopwork-heartbeat-{point.workflow}"
        point.thread = threading.Thread(target=self._beat_on, args=(point,), name=name, daemon=True)
        point.thread.start()

    def _beat_on(self, point: _Point) -> None:
        began = self._clock() - self._interval_s
        while not self._closed:
            # What is held takes its time at the desk; what is not, here.
            point.wake.wait(max(0.0, self._interval_s - (self._clock() - began)))
            point.wake.clear()
            began = self._clock()
            while self._beat(point, held_s=self._held_s):
                pass

    def _beat(self, point: _Point, *, held_s: float) -> bool:
        """Beat once; answer whether there is something new to confirm."""
        try:
            return not self._closed and self._confirm(point, held_s)
        except Exception as error:  # noqa: BLE001 - the thread has to go on, and the failure is shown
            self._failed(point, error)
            return False

    def _confirm(self, point: _Point, held_s: float) -> bool:
        if not point.registered:
            self._register(point)
        leases = self._reads is not None
        # The first lease is wanted at once.
        wait_s = held_s if point.leased or not leases else 0.0
        asked = None if self._reads is None else self._reads.asking(point.workflow)
        pulse = self._send(point, Beat(point=point.id, epoch=point.epoch, wait_s=wait_s, lease=leases))
        if self._reads is not None and asked is not None:
            self._reads.adopt(point.workflow, point.id, pulse, asked)
        moved, first = pulse.epoch != point.epoch, leases and not point.leased
        if moved:
            self._tell(point)
        point.epoch, point.leased = pulse.epoch, pulse.lease is not None
        point.confirmed_at = self._clock()
        if point.error:
            log.warning("the guard of %s is confirmed again", point.workflow)
        point.error = ""
        return moved or (first and point.leased and bool(held_s))

    def _register(self, point: _Point) -> None:
        self._tell(point)  # to register is to confirm the newest epoch
        asked = RegisterPoint(workflow=point.workflow, name=self._name, point=point.id)
        registered = self._send(point, asked)
        point.id, point.epoch, point.registered = registered.point, registered.epoch, True

    def _tell(self, point: _Point) -> None:
        """Report every read that has begun: whoever set new controls counts on hearing of those that the old ones let begin."""
        if self._reads is not None:
            self._reads.report(workflow=point.workflow, running=True)

    def _send(self, point: _Point, request: Request[A]) -> A:
        """Answer what the desk does; when it refuses the point itself, the next beat registers another one."""
        try:
            return self._desk.send(request)
        except (NotFound, Conflict, Invalid):
            self._forget(point)
            raise

    def _forget(self, point: _Point) -> None:
        """Have the point registered anew, as another one: the control plane does not count on it any more."""
        point.id, point.registered, point.leased = self._ids.new("point"), False, False
        if self._reads is not None:
            self._reads.drop(point.workflow)

    def _failed(self, point: _Point, error: Exception) -> None:
        if self._closed:
            return
        if not point.error:
            log.warning("the guard of %s is not confirmed: %s", point.workflow, error)
        point.error = error.detail if isinstance(error, StopworkError) else in_words(error)
