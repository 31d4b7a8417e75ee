"""Audit: the twelve answers, computed from the records and kept as they were on that day."""

from __future__ import annotations

from stopwork.incidents.audit import affected_objects, answers
from stopwork.ledger.events import AuditCompleted
from stopwork.ledger.records import Audit
from stopwork.operations.cases import gather
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import require_person
from stopwork.storage.transaction import Tx


def complete(tx: Tx, manifests: Manifests, *, incident: str) -> Audit:
    """Compute the audit of an incident and record it. It may be done again: the newest counts."""
    require_person(tx, "complete an audit")
    case = gather(tx, manifests, incident)
    audit = tx.new_id("audit")
    tx.record(
        AuditCompleted(
            incident=incident,
            workflow=case.incident.workflow,
            audit=audit,
            runs=tuple(run.id for run in case.runs),
            answers=answers(case),
            objects=sum(not each.transient for each in affected_objects(case)),
        )
    )
    return tx.need(Audit, audit)
