"""The detectors' way through the journal: what is new is folded as it comes, what was found is recorded once.

The states of the detectors are kept in memory and run ahead of what is stored. Findings, position and states become durable together, so
whoever goes on from the stored position, after a crash or beside another, finds nothing again: behind it nothing has been found that is not
recorded. Folding needs only a snapshot, so no permit waits for it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.registry import DetectorFailed, Watch, restore
from stopwork.ledger.events import DutyFailed, Entry
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import signals
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.worker.duty import advance, failure_of, note_health, position

AS_DETECTORS: Final = Principal(kind=PrincipalKind.SYSTEM, id="detectors")
DUTY: Final = "detectors"
BATCH: Final = 500
#: The most that this adds to the time for which a duplicate goes unnoticed; a round at every commit costs as much as a permit.
REST_S: Final = 0.01
#: How much may have to be folded again after a crash, where nothing was found.
SAVED_EVERY: Final = timedelta(seconds=5)
MOST_UNSAVED: Final = 5_000
#: How often the detectors are told that time has passed.
TICKS_EVERY: Final = timedelta(seconds=1)
#: What a detector missed it will never see again: it counts as well when it has followed for this long without a fault.
WELL_AFTER: Final = timedelta(minutes=15)


class _Stored(Struct, frozen=True):
    """How far the database says that the detectors have come."""

    at: int
    state: bytes


class _Seen(Struct, frozen=True, kw_only=True):
    """The watch after the entries up to ``at``, and what they and the passing of time showed."""

    watch: Watch
    at: int
    entries: int
    ticked_at: datetime | None
    findings: tuple[Finding, ...]
    failures: tuple[DetectorFailed, ...]


class Detection:
    """All detectors of one installation, from where they stopped."""

    def __init__(self, installation: Installation, detectors: Iterable[Detector[Any]]) -> None:
        self._installation = installation
        self._detectors = tuple(detectors)
        self._one_at_a_time = threading.Lock()
        self._stored: _Stored | None = None
        self._saved_at: datetime | None = None
        self._ticked_at: datetime | None = None
        self._watch = Watch(detectors=self._detectors)
        self._at = 0

    @property
    def reached(self) -> int:
        """The last entry that was gone through here."""
        return self._at

    def follow(self) -> None:
        """Go through everything that is committed, and record what it shows."""
        with self._one_at_a_time:
            try:
                while self._go_on():
                    pass
            except BaseException:
                # The watch is ahead of what is stored, and what it found is lost: it begins anew from there.
                self._stored = None
                raise

    def _go_on(self) -> bool:
        """Take the next entries; answer whether there are more to take at once."""
        store = self._installation.store
        now = store.clock.now()
        # Before the snapshot is taken: what the entries are judged by must not be older than they are.
        recent = store.recent(after=self._at, limit=BATCH) if self._stored else None
        seen = store.read(lambda view: self._look(view, now, recent))
        if seen.findings or seen.failures or self._due(seen, now):
            # Put into bytes here: there are megabytes of it, and permits wait while a writer is at work.
            reached = _Stored(seen.at, seen.watch.dump())
            stored = store.write(
                lambda tx: self._record(tx, seen, reached), actor=AS_DETECTORS, urgent=bool(seen.findings)
            )
            self._stored, self._saved_at = stored, now
            if stored is None:
                return True
        self._at, self._ticked_at = seen.at, seen.ticked_at
        return seen.entries == BATCH

    def _look(self, view: View, now: datetime, recent: list[Entry] | None) -> _Seen:
        if self._stored is None:
            self._stored = _stored(view)
            self._at = self._stored.at
            self._watch = (
                restore(self._stored.state, self._detectors)
                if self._stored.state
                else Watch(detectors=self._detectors)
            )
        rules = functools.cache(signals.rules_in_force(view, self._installation.manifests))
        entries = view.entries(after=self._at, limit=BATCH) if recent is None else recent
        watch, findings, failures = self._watch.follow(entries, rules)
        # While there is more to catch up with, time has come no further than the entries: what they will tell has not been missed.
        reached = min(now, entries[-1].at) if len(entries) == BATCH else now
        if ticks := self._ticked_at is None or abs(reached - self._ticked_at) >= TICKS_EVERY:
            watch, found, failed = watch.tick(reached, rules)
            findings += found
            failures += failed
        return _Seen(
            watch=watch,
            at=entries[-1].seq if entries else self._at,
            entries=len(entries),
            ticked_at=reached if ticks else self._ticked_at,
            findings=findings,
            failures=failures,
        )

    def _due(self, seen: _Seen, now: datetime) -> bool:
        unsaved = seen.at - self._stored.at if self._stored else 0
        return unsaved >= MOST_UNSAVED or self._saved_at is None or now - self._saved_at >= SAVED_EVERY

    def _record(self, tx: Tx, seen: _Seen, reached: _Stored) -> _Stored | None:
        """Make what was seen durable, and how far that is; ``None`` when somebody else has gone on from the same position meanwhile."""
        if _stored(tx) != self._stored:
            return None
        for finding in seen.findings:
            signals.raise_finding(tx, self._installation.manifests, finding)
        self._tell(tx, seen.failures)
        if reached != self._stored:
            advance(tx, DUTY, position=reached.at, state=reached.state)
        return reached

    def _tell(self, tx: Tx, failures: Iterable[DetectorFailed]) -> None:
        """Record that a detector cannot follow: in its health at once, in the journal once and not at every entry."""
        failing = {failure.detector: failure.error for failure in failures}
        for detector in self._detectors:
            duty, error = f"detector {detector.name}", failing.get(detector.name, "")
            known = failure_of(tx, duty)
            if error:
                note_health(tx, duty, error=error)
                if known is None or known.error != error:
                    tx.record(DutyFailed(duty=duty, error=error))
            elif known is not None and tx.now - known.at >= WELL_AFTER:
                note_health(tx, duty, error="")


def _stored(view: View) -> _Stored:
    return _Stored(*position(view, DUTY))
