"""Events of keeping evidence: what must not go, and who handled what was sealed."""

from __future__ import annotations

from stopwork.ledger.events.base import Event
from stopwork.ledger.records import BlobRef


class LegalHoldSet(Event, tag="legal_hold.set"):
    """Nothing that belongs to the incident is removed any more, however long it is kept otherwise."""

    incident: str
    workflow: str
    reason: str


class LegalHoldLifted(Event, tag="legal_hold.lifted"):
    """What belongs to the incident is kept as long as everything else again."""

    incident: str
    workflow: str
    reason: str


class KeysKept(Event, tag="keys.kept"):
    """Idempotency keys that were due are kept for another turn: a legal hold covers their runs."""

    workflow: str
    keys: tuple[str, ...]


class EvidenceAdded(Event, tag="evidence.added"):
    """A person added files to an incident's evidence; their content lies beside the journal."""

    incident: str
    workflow: str
    blobs: tuple[BlobRef, ...]
    why: str
