"""Custody: who sealed, held, looked at and took out an incident's evidence, when and why. All of it is read from the journal.

Whoever looks at the same thing again within some minutes is noted once, so that the log says what happened and is not a list of clicks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from stopwork.ledger.events import (
    Entry,
    EvidenceAdded,
    EvidenceSealed,
    EvidenceViewed,
    LegalHoldLifted,
    LegalHoldSet,
    name_of,
)
from stopwork.ledger.records import Incident, Principal, Record
from stopwork.ledger.words import CustodyDeed, PrincipalKind
from stopwork.operations.installation import Installation
from stopwork.storage.glances import held_as
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: Looking at the same thing again within this time is one look.
ONE_LOOK: Final = timedelta(minutes=15)
_LOOKS_READ: Final = 200
_ENTRIES_AT_ONCE: Final = 1_000
_KINDS: Final = tuple(
    name_of(kind) for kind in (EvidenceAdded, EvidenceSealed, EvidenceViewed, LegalHoldSet, LegalHoldLifted)
)


class CustodyLine(Struct, frozen=True, kw_only=True):
    """One deed. ``digest`` is that of the file it is about, ``why`` what the person or the duty gave as the reason."""

    at: datetime
    by: Principal
    deed: CustodyDeed
    what: str
    why: str = ""
    digest: str | None = None
    seq: int = 0


def custody(view: View, incident: str) -> Iterator[CustodyLine]:
    """Answer every deed about the evidence of an incident, oldest first."""
    after = 0
    while page := view.entries(after=after, limit=_ENTRIES_AT_ONCE, kinds=_KINDS, incident=incident):
        yield from map(_line, page)
        after = page[-1].seq


def _line(entry: Entry) -> CustodyLine:
    deed, what, why, digest = _told(entry)
    return CustodyLine(
        at=entry.at, by=entry.actor, deed=deed, what=what, why=why, digest=digest, seq=entry.seq
    )


def _told(entry: Entry) -> tuple[CustodyDeed, str, str, str | None]:
    match entry.event:
        case EvidenceAdded(blobs=blobs, why=why):
            return CustodyDeed.ADDED, ", ".join(blob.name for blob in blobs), why, blobs[0].digest
        case EvidenceSealed(path=path, digest=digest, reason=reason):
            return CustodyDeed.SEALED, path, reason, digest
        case EvidenceViewed(what=what, exported=None):
            return CustodyDeed.VIEWED, what, "", None
        case EvidenceViewed(what=what, exported=digest):
            return CustodyDeed.EXPORTED, what, "", digest
        case LegalHoldSet(reason=reason):
            return CustodyDeed.HELD, "every record of the incident", reason, None
        case LegalHoldLifted(reason=reason):
            return CustodyDeed.RELEASED, "every record of the incident", reason, None
    raise TypeError(f"{name_of(entry.event)} is no deed about evidence")


def note_look(installation: Installation, actor: Principal, *, incident: str, what: str) -> None:
    """Record that somebody looks at evidence, unless that was recorded minutes ago."""
    store = installation.store
    if store.read(lambda view: _noted(view, actor, incident, what, store.clock.now())):
        return

    def record(tx: Tx) -> None:
        if not _noted(tx, actor, incident, what, tx.now):
            known = tx.need(Incident, incident)
            tx.record(EvidenceViewed(incident=incident, workflow=known.workflow, what=what))

    store.write(record, actor=actor)


def note_export(tx: Tx, *, incident: str, what: str, digest: str) -> None:
    """Record that somebody takes evidence out, each time anew."""
    known = tx.need(Incident, incident)
    tx.record(EvidenceViewed(incident=incident, workflow=known.workflow, what=what, exported=digest))


def _noted(view: View, actor: Principal, incident: str, what: str, now: datetime) -> bool:
    looks = view.entries(
        kinds=(name_of(EvidenceViewed),), incident=incident, newest_first=True, limit=_LOOKS_READ
    )
    return any(
        isinstance(look.event, EvidenceViewed)
        and look.event.exported is None
        and (look.actor, look.event.what) == (actor, what)
        and look.at > now - ONE_LOOK
        for look in looks
    )


class _Evidence(Record):
    """What of an incident says whether it is sensitive, and whose calls are its evidence."""

    id: str
    data_classes: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()


def sensitive_incidents(view: View, runs: Collection[str], incident: str | None = None) -> set[str]:
    """Answer the incidents under legal hold whose evidence is declared sensitive: this one, and those to which one of these runs belongs."""
    belonging = frozenset(runs)
    return {
        each.id
        for each in held_as(view, _Evidence, runs=belonging, incident=incident)
        if each.data_classes and (each.id == incident or not belonging.isdisjoint(each.runs))
    }


def note_reading(
    installation: Installation,
    actor: Principal,
    *,
    what: str,
    runs: Collection[str] = (),
    incident: str | None = None,
) -> None:
    """Record that a person reads what an incident or the calls of these runs hold, where that is sensitive evidence."""
    if actor.kind is not PrincipalKind.PERSON or not (runs or incident):
        return
    for each in sorted(installation.store.read(lambda view: sensitive_incidents(view, runs, incident))):
        note_look(installation, actor, incident=each, what=what)
