"""Legal holds: what belongs to an incident is not removed, however long it is kept otherwise, until somebody who may says so.

Nothing in the journal is ever removed. What runs out is what is kept beside it for a time; whoever removes anything asks :func:`held_runs`.
"""

from __future__ import annotations

from datetime import datetime

from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import LegalHoldLifted, LegalHoldSet
from stopwork.ledger.records import Audit, Incident, LegalHold, Workflow
from stopwork.ledger.words import Role
from stopwork.operations.people import administrators, refuse_agent, require_person
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def hold(tx: Tx, *, incident: str, reason: str) -> LegalHold:
    """Keep everything that belongs to the incident from now on. Anyone but an agent may; one that is on stays as it is."""
    refuse_agent(tx.actor, "set a legal hold")
    reason = _given(reason, "set")
    known, before = tx.need(Incident, incident), tx.get(LegalHold, incident)
    if before is not None and before.active:
        return before
    tx.record(LegalHoldSet(incident=incident, workflow=known.workflow, reason=reason))
    return tx.need(LegalHold, incident)


def lift(tx: Tx, *, incident: str, reason: str) -> LegalHold:
    """End a legal hold. Only the workflow's legal owner or an administrator may, with a reason."""
    person = require_person(tx, "lift a legal hold")
    reason = _given(reason, "lifted")
    held, known = tx.need(LegalHold, incident), tx.need(Incident, incident)
    may = _may_lift(tx, known, tx.now)
    if person not in may:
        raise Denied(
            "only the legal owner or an administrator can lift a legal hold",
            hint=f"Ask {', '.join(may)}." if may else "Name a legal owner in the manifest.",
            expected=may,
            found=person,
        )
    if not held.active:
        raise Conflict(f"the legal hold of {incident} is lifted already", hint="There is nothing to do.")
    tx.record(LegalHoldLifted(incident=incident, workflow=known.workflow, reason=reason))
    return tx.need(LegalHold, incident)


def may_lift(view: View, incident: Incident, person: str, now: datetime) -> bool:
    """Tell whether a person may lift the legal hold of an incident."""
    return person in _may_lift(view, incident, now)


def _may_lift(view: View, incident: Incident, now: datetime) -> list[str]:
    legal = view.need(Workflow, incident.workflow).owners.get(Role.LEGAL)
    return [each for each in (legal, *administrators(view, now)) if each]


def held_runs(view: View, workflow: str) -> frozenset[str]:
    """Answer the runs of a workflow of which nothing may be removed: those of incidents on hold, and those their audits took in."""
    runs: set[str] = set()
    for each in view.each(LegalHold, active=True):
        incident = view.get(Incident, each.id)
        audit = view.first(Audit, incident=each.id, order="-at")
        if incident is not None and incident.workflow == workflow:
            runs.update(incident.runs, audit.runs if audit else ())
    return frozenset(runs)


def _given(reason: str, doing: str) -> str:
    if not reason.strip():
        raise Invalid(f"a legal hold is {doing} with a reason", hint="Say why in a sentence.", field="reason")
    return reason.strip()
