"""A background duty and the record of its health. Silence is not success: a duty that stopped is itself a signal."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from stopwork.kernel.clock import boottime
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.events import DutyFailed
from stopwork.storage import leases
from stopwork.storage.store import Store
from stopwork.storage.tables import duty as duties
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

log = logging.getLogger(__name__)

#: A duty counts as silent when it has not succeeded for this many of its periods, and never before the floor.
SILENT_PERIODS: Final = 10
SILENT_FLOOR: Final = timedelta(seconds=15)
#: Where servers share a database, how long after one has died another does its duties.
LEASE_S: Final = 10.0
#: A duty that reads the journal is not well when what it has not read yet is so old.
LATE_S: Final = 30.0


class Duty(Struct, frozen=True, kw_only=True):
    """Work that is done again and again: every ``period_s``, and at once after a commit when it ``follows`` the journal.

    Between two rounds it rests for ``rest_s``, so that what comes in quick succession is taken together. One that reads the journal
    answers with ``reached`` up to which entry it has come, as far as this process or a view knows.
    """

    name: str
    period_s: float
    work: Callable[[], None]
    follows: bool = False
    rest_s: float = 0.0
    reached: Callable[[View], int] | None = None


class Health(Struct, frozen=True, kw_only=True):
    """How a duty is doing. ``silent`` when it has neither succeeded nor failed for ``silent_after_s``.

    One that reads the journal is ``behind`` by so many entries, and the oldest of them has waited for ``behind_s``.
    """

    name: str
    succeeded_at: datetime | None
    failed_at: datetime | None
    error: str
    silent: bool
    silent_after_s: float = SILENT_FLOOR.total_seconds()
    behind: int = 0
    behind_s: float = 0.0

    @property
    def healthy(self) -> bool:
        return not self.error and not self.silent and self.behind_s <= LATE_S

    @property
    def last_at(self) -> datetime | None:
        """When it succeeded or failed last."""
        return max((at for at in (self.succeeded_at, self.failed_at) if at), default=None)


class DutyLoop:
    """Runs one duty on a thread of its own until stopped. A failure is recorded once, and tried again.

    Of the servers that share a database one does the duty at a time; the others wait for it to be given back or to run out.
    """

    def __init__(self, store: Store, duty: Duty) -> None:
        self._store = store
        self._duty = duty
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._failing = False
        self._noted_at: datetime | None = None
        self._owner = store.ids.new("turn")
        self._renew_at = 0.0
        self._thread = threading.Thread(target=self._loop, name=f"stopwork-{duty.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let the present round end and begin no other."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        if self._renew_at:
            with contextlib.suppress(StopworkError):
                self._store.write(partial(leases.give_back, duty=self._duty.name, owner=self._owner))

    def _loop(self) -> None:
        follow = self._store.listening(lambda _seq: self._wake.set())
        with follow if self._duty.follows else contextlib.nullcontext():
            while not self._stop.is_set():
                self._wake.clear()
                self._round()
                self._stop.wait(self._duty.rest_s)
                self._wake.wait(self._duty.period_s)

    def _round(self) -> None:
        try:
            if not self._is_its_turn():
                return
            self._duty.work()
        except Exception as error:  # noqa: BLE001 - a duty that fails says so and tries again
            self._failed(error)
        else:
            self._succeeded()

    def _is_its_turn(self) -> bool:
        if not self._store.shared or boottime() < self._renew_at:
            return True
        asked_at = boottime()
        turn = partial(leases.take, duty=self._duty.name, owner=self._owner, for_s=LEASE_S)
        self._renew_at = asked_at + LEASE_S / 2 if self._store.write(turn) is not None else 0.0
        return self._renew_at > 0

    def _succeeded(self) -> None:
        now = self._store.clock.now()
        if not self._failing and self._noted_at and now - self._noted_at < SILENT_FLOOR / 3:
            return
        self._failing, self._noted_at = False, now
        with contextlib.suppress(StopworkError):
            self._store.write(lambda tx: note_health(tx, self._duty.name, error=""))

    def _failed(self, error: Exception) -> None:
        words = f"{type(error).__name__}: {error}"[:500]
        log.warning("%s failed: %s", self._duty.name, words, exc_info=not isinstance(error, StopworkError))
        first, self._failing = not self._failing, True

        def note(tx: Tx) -> None:
            note_health(tx, self._duty.name, error=words)
            if first:
                tx.record(DutyFailed(duty=self._duty.name, error=words))

        with contextlib.suppress(StopworkError):
            self._store.write(note)


def note_health(tx: Tx, name: str, *, error: str) -> None:
    """Write down that a duty succeeded (no error) or failed, now."""
    values = {"error": error, ("failed_at" if error else "succeeded_at"): tx.now}
    if tx.execute(sa.update(duties).where(duties.c.name == name).values(values)).rowcount == 0:
        tx.execute(sa.insert(duties).values(name=name, position=0, state=b"", **values))


class Failure(Struct, frozen=True):
    """Why and when a duty failed last."""

    error: str
    at: datetime


def failure_of(view: View, name: str) -> Failure | None:
    """Answer the failure of a duty that is not well."""
    row = view.execute(sa.select(duties.c.error, duties.c.failed_at).where(duties.c.name == name)).first()
    return Failure(row.error, row.failed_at) if row is not None and row.error else None


def health(view: View, expected: list[Duty], *, now: datetime) -> list[Health]:
    """Answer how each expected duty is doing, and whatever else fails; one that never ran is silent."""
    rows = {row.name: row for row in view.execute(sa.select(duties))}
    found = []
    for duty in expected:
        row = rows.get(duty.name)
        bound = max(SILENT_FLOOR, timedelta(seconds=duty.period_s * SILENT_PERIODS))
        last = max((at for at in (row.succeeded_at, row.failed_at) if at), default=None) if row else None
        behind, behind_s = _behind(view, duty, row.position if row else 0, now)
        found.append(
            Health(
                name=duty.name,
                succeeded_at=row.succeeded_at if row else None,
                failed_at=row.failed_at if row else None,
                error=row.error if row else "",
                silent=last is None or now - last > bound,
                silent_after_s=bound.total_seconds(),
                behind=behind,
                behind_s=behind_s,
            )
        )
    known = {duty.name for duty in expected}
    return found + [
        Health(
            name=row.name,
            succeeded_at=row.succeeded_at,
            failed_at=row.failed_at,
            error=row.error,
            silent=False,
        )
        for row in rows.values()
        if row.error and row.name not in known
    ]


def _behind(view: View, duty: Duty, stored: int, now: datetime) -> tuple[int, float]:
    """Answer how many entries a duty has not read yet, and for how long the oldest of them has waited."""
    if duty.reached is None:
        return 0, 0.0
    # What is stored may be another server's doing, and is a few seconds old.
    reached = max(stored, duty.reached(view))
    waiting = view.entries(after=reached, limit=1)
    if not waiting:
        return 0, 0.0
    return view.last_seq() - reached, max(0.0, (now - waiting[0].at).total_seconds())


def position(view: View, name: str) -> tuple[int, bytes]:
    """Answer how far a duty that reads the journal has come, and its saved state."""
    row = view.execute(sa.select(duties.c.position, duties.c.state).where(duties.c.name == name)).first()
    return (row.position, row.state) if row else (0, b"")


def advance(tx: Tx, name: str, *, position: int, state: bytes) -> None:
    """Save how far a duty has come, together with what it found, in one transaction."""
    values = {"position": position, "state": state}
    if tx.execute(sa.update(duties).where(duties.c.name == name).values(values)).rowcount == 0:
        tx.execute(sa.insert(duties).values(name=name, error="", **values))
