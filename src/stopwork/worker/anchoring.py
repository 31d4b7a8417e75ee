"""Taking checkpoints to the anchors, each in its own time. An anchor that takes nothing is told once, tried again and shown."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from stopwork.anchors.base import Anchor, Receipt
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.events import DutyFailed
from stopwork.ledger.notes import read_checkpoint, text_of
from stopwork.ledger.records import Principal
from stopwork.ledger.words import AnchorKind, PrincipalKind
from stopwork.operations import sealing
from stopwork.operations.anchoring import SealedLog, anchored
from stopwork.operations.installation import Installation
from stopwork.storage.tables import duty as duties
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.worker.duty import advance, failure_of, note_health

log = logging.getLogger(__name__)

DUTY: Final = "anchors"
AS_ANCHORS: Final = Principal(kind=PrincipalKind.SYSTEM, id=DUTY)
#: How soon a place that took nothing is tried again; twice as long each time, and never longer than its period.
TRIED_AGAIN_AFTER_S: Final = 30.0
#: How many are used at the same time.
AT_ONCE: Final = 8
_PREFIX: Final = "anchor "


class Standing(Struct, frozen=True, kw_only=True):
    """How an anchor is doing: the size of the log that it keeps a checkpoint of, and since when. ``late`` when that is longer ago than three of its periods."""

    name: str
    kind: AnchorKind
    place: str
    every_s: float
    size: int
    succeeded_at: datetime | None
    failed_at: datetime | None
    error: str
    late: bool


class LogStanding(Struct, frozen=True, kw_only=True):
    """How far the journal is sealed, since when the rest waits, by which key, and which places keep checkpoints of it."""

    origin: str
    key: str
    size: int
    entries: int
    root: str
    unsealed_for_s: float
    checked_at: datetime
    anchors: list[Standing]


class Anchoring:
    """Every anchor of one installation."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._failures: Counter[str] = Counter()
        self._begun_at = installation.store.clock.now()
        self._tidy = False

    def look(self) -> None:
        """Take the newest checkpoint to every anchor whose time has come, to several at once: none waits for one that is slow."""
        store = self._installation.store
        if not self._tidy:
            store.write(lambda tx: _forget_others(tx, self._installation.anchors))
            self._tidy = True
        now, found = store.clock.now(), store.read(self.standings)
        known = zip(found, self._installation.anchors, strict=True)
        if due := [anchor for standing, anchor in known if now >= self._next_at(standing)]:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="anchor") as pool:
                list(pool.map(self._take, due))

    def log(self, view: View) -> LogStanding:
        """Answer how the log stands."""
        now, key, newest = (
            self._installation.store.clock.now(),
            self._installation.signer.key,
            view.checkpoint(),
        )
        signed = read_checkpoint(text_of(newest[1])) if newest else None
        return LogStanding(
            origin=key.name,
            key=key.vkey,
            size=signed.size if signed else 0,
            entries=view.last_seq(),
            root=signed.root.hex() if signed else "",
            unsealed_for_s=sealing.unsealed_for_s(view, now),
            checked_at=now,
            anchors=self.standings(view),
        )

    def standings(self, view: View) -> list[Standing]:
        """Answer how each anchor is doing."""
        now = self._installation.store.clock.now()
        return standings(view, self._installation.anchors, now=now, since=self._begun_at)

    def _next_at(self, standing: Standing) -> datetime:
        if standing.error and standing.failed_at:
            again_s = TRIED_AGAIN_AFTER_S * 2 ** min(10, max(0, self._failures[standing.name] - 1))
            return standing.failed_at + timedelta(seconds=min(again_s, standing.every_s))
        if standing.succeeded_at is None:
            return self._begun_at
        return standing.succeeded_at + timedelta(seconds=standing.every_s)

    def _take(self, anchor: Anchor) -> None:
        store = self._installation.store
        sealed = SealedLog.newest(store)
        if sealed is None:
            return
        try:
            receipt = anchor.take(sealed, _message_id(sealed))
        except Exception as error:
            self._failures[anchor.name] += 1
            words = f"{type(error).__name__}: {error}"[:500]
            log.warning(
                "%s%s failed: %s", _PREFIX, anchor.name, words, exc_info=not isinstance(error, StopworkError)
            )
            store.write(lambda tx: _failed(tx, anchor, words), actor=AS_ANCHORS)
        else:
            del self._failures[anchor.name]
            store.write(lambda tx: _kept(tx, anchor, sealed, receipt), actor=AS_ANCHORS)


def _message_id(sealed: SealedLog) -> str:
    """Answer the same id for the same checkpoint, so that a place knows what it was sent twice."""
    return f"checkpoint_{hashlib.sha256(sealed.note.encode()).hexdigest()[:24]}"


def _failed(tx: Tx, anchor: Anchor, error: str) -> None:
    known = failure_of(tx, _PREFIX + anchor.name)
    note_health(tx, _PREFIX + anchor.name, error=error)
    if known is None:
        tx.record(DutyFailed(duty=_PREFIX + anchor.name, error=error))


def _kept(tx: Tx, anchor: Anchor, sealed: SealedLog, receipt: Receipt) -> None:
    anchored(tx, anchor=anchor, log=sealed, receipt=receipt)
    note_health(tx, _PREFIX + anchor.name, error="")
    advance(tx, _PREFIX + anchor.name, position=sealed.checkpoint.size, state=b"")


def _forget_others(tx: Tx, anchors: Sequence[Anchor]) -> None:
    """An anchor that is not configured any more is not failing any more."""
    names = [_PREFIX + each.name for each in anchors]
    others = duties.c.name.startswith(_PREFIX) & duties.c.name.not_in(names)
    tx.execute(sa.delete(duties).where(others))


def standings(view: View, anchors: Sequence[Anchor], *, now: datetime, since: datetime) -> list[Standing]:
    """Answer how each anchor is doing, for a server that runs ``since`` then."""
    rows = {row.name: row for row in view.execute(sa.select(duties).where(duties.c.name.startswith(_PREFIX)))}
    found = []
    for anchor in anchors:
        row = rows.get(_PREFIX + anchor.name)
        last = row.succeeded_at if row and row.succeeded_at else since
        found.append(
            Standing(
                name=anchor.name,
                kind=anchor.kind,
                place=anchor.place,
                every_s=anchor.every_s,
                size=row.position if row else 0,
                succeeded_at=row.succeeded_at if row else None,
                failed_at=row.failed_at if row else None,
                error=row.error if row else "",
                late=now - last > timedelta(seconds=3 * anchor.every_s),
            )
        )
    return found
