"""Where an incident stands: the one place where its status moves, along the table of legal moves."""

from __future__ import annotations

from stopwork.incidents.lifecycle import require_move
from stopwork.ledger.events import StatusChanged
from stopwork.ledger.records import Incident
from stopwork.ledger.words import IncidentStatus
from stopwork.storage.transaction import Tx


def move(tx: Tx, incident: str, after: IncidentStatus, *, reason: str) -> None:
    """Record that the incident now stands elsewhere; nothing where it stands there already, ``Conflict`` for an illegal move."""
    known = tx.need(Incident, incident)
    if known.status is after:
        return
    require_move(known.status, after)
    tx.record(
        StatusChanged(
            incident=incident, workflow=known.workflow, before=known.status, after=after, reason=reason
        )
    )
