"""Contain: the checklist of an incident, snapshotted when it is proposed, done item by item, by hooks or by named people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from stopwork.incidents.contain import check_ending, complete, in_order, propose, who_can
from stopwork.incidents.offers import HookOffer
from stopwork.kernel.addresses import one_address
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import ContainmentAssigned, ContainmentProposed, ContainmentRecorded
from stopwork.ledger.records import ContainmentItem, Incident
from stopwork.ledger.words import ContainmentProof, ContainmentState, IncidentStatus
from stopwork.operations import proving
from stopwork.operations.cases import gather
from stopwork.operations.inventory import who_shares
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import administrators, require_known_person, require_person
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def checklist(
    tx: Tx, manifests: Manifests, *, incident: str, offers: Iterable[HookOffer] = ()
) -> list[ContainmentItem]:
    """Answer the incident's checklist, and propose it when there is none yet; ``offers`` are the hooks of this server."""
    require_person(tx, "propose containment")
    known = tx.need(Incident, incident)
    if not tx.count(ContainmentItem, incident=incident):
        case = gather(tx, manifests, incident)
        case = replace(case, sharers=who_shares(tx, known.workflow, case.current))
        items = tuple(proving.seen(tx, item, case.current) for item in propose(case, offers))
        tx.record(ContainmentProposed(incident=incident, workflow=known.workflow, items=items))
    return listing(tx, incident)


def listing(view: View, incident: str) -> list[ContainmentItem]:
    """Answer the incident's checklist as it stands."""
    return list(in_order(view.each(ContainmentItem, incident=incident)))


def record(tx: Tx, *, item: str, state: ContainmentState, verified_how: str) -> ContainmentItem:
    """Record in a person's name how one item ended, with a sentence that says how one knows.

    That is an attestation, unless the records show the same. A probe that says no is not overruled.
    """
    require_person(tx, "contain an incident")
    known, incident = open_item(tx, item)
    check_ending(known, state, verified_how)
    shown = state is ContainmentState.DONE and proving.shows(known)
    done = completes(tx, replace(known, state=state, by=tx.actor))
    tx.record(
        ContainmentRecorded(
            incident=incident.id,
            workflow=incident.workflow,
            item=item,
            state=state,
            verified_how=verified_how.strip(),
            complete=done,
            proof=ContainmentProof.RECORDS if shown else ContainmentProof.ATTESTATION,
        )
    )
    contained(tx, incident, done)
    return tx.need(ContainmentItem, item)


def assign(
    tx: Tx, manifests: Manifests, *, item: str, to: str, due_at: datetime | None = None
) -> ContainmentItem:
    """Give an item to a named person, who has it until ``due_at``: somebody whom this server knows, and who sees the incident."""
    require_person(tx, "assign a containment item")
    known, incident = open_item(tx, item)
    if known.state in (ContainmentState.DONE, ContainmentState.NOT_APPLICABLE):
        raise Conflict(f"{item} is {known.state}", hint="Assign what is still to do.", item=item)
    if due_at is not None and due_at <= tx.now:
        raise Invalid("it would be due already", hint="Name a time that is still to come.", field="due_at")
    person = one_address(to, "to")
    manifest = manifests.current(tx, incident.workflow).manifest
    require_known_person(tx, person, field="to", besides=who_can(manifest))
    if incident.private and person not in (*incident.readers, *administrators(tx, tx.now)):
        raise Invalid(
            f"{incident.id} is private, and {person} does not see it",
            hint="Let them see it first, or give it to one of its readers.",
            field="to",
            expected=list(incident.readers),
        )
    tx.record(
        ContainmentAssigned(
            incident=incident.id,
            workflow=incident.workflow,
            item=item,
            to=person,
            due_at=due_at,
        )
    )
    return tx.need(ContainmentItem, item)


def open_item(view: View, item: str) -> tuple[ContainmentItem, Incident]:
    """Answer an item with its incident, which may not have ended."""
    known = view.need(ContainmentItem, item)
    incident = view.need(Incident, known.incident)
    if incident.status.ended:
        raise Conflict(f"{incident.id} is {incident.status}", hint="A closed incident does not change.")
    return known, incident


def completes(view: View, item: ContainmentItem) -> bool:
    """Answer whether the whole list has come to a good end once this item is so."""
    items = view.each(ContainmentItem, incident=item.incident)
    return complete(item if each.id == item.id else each for each in items)


def contained(tx: Tx, incident: Incident, done: bool) -> None:
    """Let the incident count as contained once every item is done."""
    if done and incident.status is IncidentStatus.INVESTIGATING:
        move(tx, incident.id, IncidentStatus.CONTAINED, reason="every containment item is done")
