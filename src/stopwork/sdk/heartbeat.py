"""The sign of life of an enforcement point, once a second from a thread of its own.

It confirms the control epoch it was last told, so that whoever pauses something sees which guards have heard of it. That it has
stopped is never silent: :meth:`Heartbeat.health` says so, the log says so, and the control plane counts the seconds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Final

from stopwork.control.protocol import Heartbeat as Beat
from stopwork.control.protocol import RegisterPoint, RetirePoint
from stopwork.kernel.clock import SystemClock, boottime
from stopwork.kernel.errors import Conflict, Invalid, NotFound, StopworkError
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.ledger.records import Record
from stopwork.sdk.desk import Desk

log = logging.getLogger("stopwork.sdk")

INTERVAL_S: Final = 1.0
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


class Heartbeat:
    """Registers a point for each watched workflow and keeps it confirmed."""

    def __init__(
        self,
        desk: Desk,
        name: str,
        *,
        interval_s: float = INTERVAL_S,
        clock: Callable[[], float] = boottime,
        ids: IdSource | None = None,
    ) -> None:
        self._desk = desk
        self._name = name
        self._interval_s = interval_s
        self._clock = clock
        self._ids = ids or TimeOrderedIds(SystemClock())
        self._points: dict[str, _Point] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def watch(self, workflow: str) -> None:
        """Keep a point of this workflow confirmed from now on; also after a fork, which leaves threads behind."""
        with self._lock:
            if self._closed:
                return
            if workflow not in self._points:
                self._points[workflow] = _Point(workflow, self._ids.new("point"))
            if self._thread is None or not self._thread.is_alive():
                for point in self._points.values():
                    self._forget(point)
                self._wake = threading.Event()
                self._thread = threading.Thread(target=self._beat_on, name="stopwork-heartbeat", daemon=True)
                self._thread.start()
            self._wake.set()

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
            beats = not self._points or (self._thread is not None and self._thread.is_alive())
        fresh = all(
            point.confirmed_ago_s is not None and point.confirmed_ago_s < SILENT_AFTER_S for point in points
        )
        return Health(well=beats and fresh, points=points)

    def beat(self) -> None:
        """Register and confirm once for every watched workflow."""
        with self._lock:
            points = list(self._points.values())
        for point in points:
            try:
                self._confirm(point)
            except Exception as error:  # noqa: BLE001 - the thread has to go on, and the failure is shown
                self._failed(point, error)
            else:
                if point.error:
                    log.warning("the guard of %s is confirmed again", point.workflow)
                point.error = ""

    def close(self) -> None:
        """Stop, and say goodbye for every point; one that cannot be told is retired by its silence."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=SILENT_AFTER_S)
        for point in self._points.values():
            if point.registered:
                with contextlib.suppress(StopworkError):
                    self._desk.send(RetirePoint(point=point.id))

    def _beat_on(self) -> None:
        while not self._closed:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            if not self._closed:
                self.beat()

    def _confirm(self, point: _Point) -> None:
        if not point.registered:
            asked = RegisterPoint(workflow=point.workflow, name=self._name, point=point.id)
            registered = self._desk.send(asked)
            point.id, point.epoch, point.registered = registered.point, registered.epoch, True
        newest = self._desk.send(Beat(point=point.id, epoch=point.epoch)).epoch
        if newest != point.epoch:
            # From here on this process acts on the newer controls, so it may say so at once.
            point.epoch = newest
            self._desk.send(Beat(point=point.id, epoch=newest))
        point.confirmed_at = self._clock()

    def _forget(self, point: _Point) -> None:
        """Have the point registered anew, as another one: the control plane does not count on it any more."""
        point.id, point.registered = self._ids.new("point"), False

    def _failed(self, point: _Point, error: Exception) -> None:
        if isinstance(error, NotFound | Conflict | Invalid):
            self._forget(point)
        if not point.error:
            log.warning("the guard of %s is not confirmed: %s", point.workflow, error)
        point.error = error.detail if isinstance(error, StopworkError) else f"{type(error).__name__}: {error}"
