"""The detectors' way through the journal: what is new is folded as it comes, what was found is recorded once.

The states of the detectors are kept in memory and run ahead of what is stored. Findings become durable together with the position that they
were found at; the states, which are megabytes, only now and then. Whoever goes on, after a crash or beside another, takes the states that
are stored, folds what lies between them and the position without telling what it shows, as that has been told, and finds nothing again
behind it, as nothing was found there. Folding needs only a snapshot, so no permit waits for it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.registry import DetectorFailed, Watch, restore
from stopwork.detect.rulebook import Rulebook
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
#: The states are stored apart from the position, which is written at every finding.
STATES: Final = "states of detectors"
BATCH: Final = 500
#: The most that this adds to the time for which a duplicate goes unnoticed; a round at every commit costs as much as a permit.
REST_S: Final = 0.01
#: How old the position may be that other servers, and whoever looks after a crash, are told.
SAVED_EVERY: Final = timedelta(seconds=5)
#: How much may have to be folded again after a crash: well under a second's work.
STATES_SAVED_EVERY: Final = timedelta(minutes=1)
MOST_UNSAVED: Final = 20_000
#: How often the detectors are told that time has passed.
TICKS_EVERY: Final = timedelta(seconds=1)
#: What a detector missed it will never see again: it counts as well when it has followed for this long without a fault.
WELL_AFTER: Final = timedelta(minutes=15)


class _Stored(Struct, frozen=True):
    """How far the database says that the detectors have come; ``turn`` tells two apart that stand at the same entry."""

    at: int
    turn: int


class _Seen(Struct, frozen=True, kw_only=True):
    """What the entries up to ``at`` and the passing of time showed.

    ``in_time`` says that time showed some of it. That cannot be folded again, so it is stored together with the states.
    """

    at: int
    entries: int
    ticked_at: datetime | None
    findings: tuple[Finding, ...]
    failures: tuple[DetectorFailed, ...]
    in_time: bool


class Detection:
    """All detectors of one installation, from where they stopped."""

    def __init__(self, installation: Installation, detectors: Iterable[Detector[Any]]) -> None:
        self._installation = installation
        self._detectors = tuple(detectors)
        self._one_at_a_time = threading.Lock()
        self._stored: _Stored | None = None
        self._saved_at: datetime | None = None
        self._states_at = 0
        self._states_saved_at: datetime | None = None
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
        if (seen.findings or seen.failures or self._is_due(seen, now)) and not self._save(
            seen, now, states=seen.in_time
        ):
            return True
        if self._states_are_due(seen, now):
            told = replace(seen, findings=(), failures=())
            if not self._save(told, now, states=True):
                return True
        self._at, self._ticked_at = seen.at, seen.ticked_at
        return seen.entries == BATCH

    def _look(self, view: View, now: datetime, recent: list[Entry] | None) -> _Seen:
        rules = functools.cache(signals.rules_in_force(view, self._installation.manifests))
        failures = () if self._stored else self._restore(view, now, rules)
        entries = view.entries(after=self._at, limit=BATCH) if recent is None else recent
        _, findings, failed = self._watch.follow(entries, rules)
        failures += failed
        overdue: tuple[Finding, ...] = ()
        # While there is more to catch up with, time has come no further than the entries: what they will tell has not been missed.
        reached = min(now, entries[-1].at) if len(entries) == BATCH else now
        if ticks := self._ticked_at is None or abs(reached - self._ticked_at) >= TICKS_EVERY:
            _, overdue, failed = self._watch.tick(reached, rules)
            failures += failed
        return _Seen(
            at=entries[-1].seq if entries else self._at,
            entries=len(entries),
            ticked_at=reached if ticks else self._ticked_at,
            findings=findings + overdue,
            failures=failures,
            in_time=bool(overdue),
        )

    def _restore(self, view: View, now: datetime, rules: Rulebook) -> tuple[DetectorFailed, ...]:
        """Take up the states that are stored, and bring them to the stored position; answer which of them could not follow."""
        self._stored = _stored(view)
        self._states_at, states = position(view, STATES)
        self._states_saved_at = now
        self._watch = restore(states, self._detectors) if states else Watch(detectors=self._detectors)
        failures: tuple[DetectorFailed, ...] = ()
        self._at = self._states_at
        while self._at < self._stored.at:
            limit = min(BATCH, self._stored.at - self._at)
            entries = view.entries(after=self._at, limit=limit)
            failures += self._watch.follow(entries, rules)[2]
            self._at = entries[-1].seq
        return failures

    def _is_due(self, seen: _Seen, now: datetime) -> bool:
        return (
            self._saved_at is None
            or abs(now - self._saved_at) >= SAVED_EVERY
            or (self._stored is not None and seen.at - self._stored.at >= MOST_UNSAVED)
        )

    def _states_are_due(self, seen: _Seen, now: datetime) -> bool:
        unsaved = seen.at - self._states_at
        late = self._states_saved_at is None or abs(now - self._states_saved_at) >= STATES_SAVED_EVERY
        return unsaved >= MOST_UNSAVED or (unsaved > 0 and late)

    def _save(self, seen: _Seen, now: datetime, *, states: bool) -> bool:
        """Make what was seen durable; answer whether nobody else has gone on from the same position meanwhile."""
        # Put into bytes here: there are megabytes of it, and permits wait while a writer is at work.
        remembered = self._watch.dump() if states else None
        self._stored = self._installation.store.write(
            lambda tx: self._record(tx, seen, remembered), actor=AS_DETECTORS, urgent=bool(seen.findings)
        )
        if self._stored is None:
            return False
        self._saved_at = now
        if states:
            self._states_at, self._states_saved_at = seen.at, now
        return True

    def _record(self, tx: Tx, seen: _Seen, states: bytes | None) -> _Stored | None:
        known = _stored(tx)
        if known != self._stored:
            return None
        for finding in seen.findings:
            signals.raise_finding(tx, self._installation.manifests, finding)
        self._tell(tx, seen.failures)
        if states is not None:
            advance(tx, STATES, position=seen.at, state=states)
        elif not seen.findings and seen.at == known.at:
            return known
        reached = _Stored(seen.at, known.turn + 1)
        advance(tx, DUTY, position=reached.at, state=b"%d" % reached.turn)
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
    at, turn = position(view, DUTY)
    return _Stored(at, int(turn or b"0"))
