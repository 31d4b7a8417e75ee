"""Contain: the checklist of an incident, snapshotted when it is proposed, done item by item."""

from __future__ import annotations

from msgspec.structs import replace

from stopwork.incidents.contain import check_ending, complete, propose
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import ContainmentProposed, ContainmentRecorded
from stopwork.ledger.records import ContainmentItem, Incident
from stopwork.ledger.words import ContainmentState, IncidentStatus
from stopwork.operations.cases import gather
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import require_person
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx


def checklist(tx: Tx, manifests: Manifests, *, incident: str) -> list[ContainmentItem]:
    """Answer the incident's checklist, and propose it when there is none yet."""
    require_person(tx, "propose containment")
    known = tx.need(Incident, incident)
    if not tx.count(ContainmentItem, incident=incident):
        items = propose(gather(tx, manifests, incident))
        tx.record(ContainmentProposed(incident=incident, workflow=known.workflow, items=tuple(items)))
    return list(tx.each(ContainmentItem, incident=incident))


def record(tx: Tx, *, item: str, state: ContainmentState, verified_how: str) -> ContainmentItem:
    """Record how one item ended. *Done* and *not applicable* both need a sentence that says how one knows."""
    known = tx.need(ContainmentItem, item)
    require_person(tx, "contain an incident")
    incident = tx.need(Incident, known.incident)
    if incident.status.ended:
        raise Conflict(f"{incident.id} is {incident.status}", hint="A closed incident does not change.")
    check_ending(known, state, verified_how)
    ended = (
        replace(each, state=state) if each.id == item else each
        for each in tx.each(ContainmentItem, incident=incident.id)
    )
    done = complete(tuple(ended))
    tx.record(
        ContainmentRecorded(
            incident=incident.id,
            workflow=incident.workflow,
            item=item,
            state=state,
            verified_how=verified_how.strip(),
            complete=done,
        )
    )
    if done and incident.status is IncidentStatus.INVESTIGATING:
        move(tx, incident.id, IncidentStatus.CONTAINED, reason="every containment item is done")
    return tx.need(ContainmentItem, item)
