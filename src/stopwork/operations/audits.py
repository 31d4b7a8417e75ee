"""Audit: the twelve answers, computed from the records and kept as they were on that day."""

from __future__ import annotations

from collections.abc import Mapping

from stopwork.incidents.affected import affected_objects
from stopwork.incidents.audit import answers
from stopwork.ledger.events import AuditCompleted
from stopwork.ledger.records import Audit, Captured, Image, ObjectRef, Principal
from stopwork.ledger.words import ImageState
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import refuse_agent, require_person
from stopwork.storage.transaction import Tx


def audit(installation: Installation, actor: Principal, *, incident: str) -> Audit:
    """Look at every object of which nobody saw what the calls left there, then compute the audit and record it."""
    refuse_agent(actor, "complete an audit")
    store = installation.store
    found = store.read(lambda view: affected_objects(gather(view, installation.manifests, incident)))
    unseen = [each.object for each in found if each.after.state is ImageState.UNKNOWN]
    seen = look(installation.systems, unseen)
    return store.write(
        lambda tx: complete(tx, installation.manifests, incident=incident, seen=seen), actor=actor
    )


def complete(
    tx: Tx, manifests: Manifests, *, incident: str, seen: Mapping[ObjectRef, Image] | None = None
) -> Audit:
    """Compute the audit of an incident and record it. It may be done again: the newest counts.

    ``seen`` is what objects hold now of which the records cannot tell what the calls left.
    """
    require_person(tx, "complete an audit")
    case = gather(tx, manifests, incident)
    audit_id = tx.new_id("audit")
    tx.record(
        AuditCompleted(
            incident=incident,
            workflow=case.incident.workflow,
            audit=audit_id,
            runs=tuple(run.id for run in case.runs),
            answers=answers(case),
            objects=sum(not each.transient for each in affected_objects(case)),
            seen=tuple(Captured(object=ref, image=image) for ref, image in (seen or {}).items()),
        )
    )
    return tx.need(Audit, audit_id)
