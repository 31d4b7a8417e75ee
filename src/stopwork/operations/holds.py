"""Holds: setting, lifting, and saying truthfully what has stopped.

A pause and a permit are both transactions of the one writer, and a permit reads the holds inside its transaction. So when
:func:`pause` has returned, no permit that the hold covers commits any more.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from stopwork.control.holds import covers
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import HoldLifted, HoldSet, IncidentPaused
from stopwork.ledger.records import Call, Hold, Incident, Scope
from stopwork.ledger.words import HoldMode, IncidentStatus, PrincipalKind, ScopeKind
from stopwork.operations.manifests import known_workflow
from stopwork.operations.points import PointView, current_epoch, live
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


class PauseState(StrEnum):
    """``pausing`` while a guard has not confirmed, ``enforced`` while calls are still in flight, then ``drained``."""

    PAUSING = "pausing"
    ENFORCED = "enforced"
    DRAINED = "drained"


class Pause(Struct, frozen=True, kw_only=True):
    """What a hold has achieved: the closed scope, the calls still in flight, the guards that have not confirmed."""

    hold: Hold
    state: PauseState
    closed: Scope
    in_flight: tuple[Call, ...]
    unconfirmed: tuple[PointView, ...]


def pause(
    tx: Tx,
    *,
    scope: Scope,
    reason: str,
    mode: HoldMode = HoldMode.BLOCK,
    incident: str | None = None,
) -> Pause:
    """Hold a scope. Anyone may stop the work; the same active hold again is answered and not set twice."""
    _check_scope(tx, scope)
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why this is held.", field="reason")
    if incident is not None and tx.need(Incident, incident).status is IncidentStatus.CLOSED:
        raise Conflict(f"{incident} is closed", hint="Open a new incident.", incident=incident)
    for known in tx.each(Hold, active=True):
        if (known.scope, known.mode, known.incident) == (scope, mode, incident):
            return status(tx, known, now=tx.now)
    hold_id = tx.new_id("hold")
    tx.record(
        HoldSet(
            hold=hold_id,
            scope=scope,
            mode=mode,
            reason=reason.strip(),
            epoch=current_epoch(tx) + 1,
            workflow=scope.name if scope.kind is ScopeKind.WORKFLOW else scope.workflow,
            incident=incident,
        )
    )
    if incident is not None:
        tx.record(
            IncidentPaused(incident=incident, workflow=tx.need(Incident, incident).workflow, hold=hold_id)
        )
    return status(tx, tx.need(Hold, hold_id), now=tx.now)


def lift(tx: Tx, *, hold: str, reason: str) -> Hold:
    """Lift a hold that belongs to no open incident, with a second person's signature and a reason."""
    known = tx.need(Hold, hold)
    if tx.actor.kind is not PrincipalKind.PERSON:
        raise Denied("only a person lifts a hold", hint="Sign in as a person.", hold=hold)
    if not known.active:
        return known
    if known.incident is not None and tx.need(Incident, known.incident).status is not IncidentStatus.CLOSED:
        raise Conflict(
            f"{hold} belongs to {known.incident} and ends with its re-enable",
            hint=f"Go on with the incident; its re-enable lifts the hold: /incidents/{known.incident}",
            incident=known.incident,
        )
    if known.set_by == tx.actor:
        raise Denied(
            "who set a hold does not lift it alone",
            hint="A second person has to lift it, with a reason.",
            hold=hold,
        )
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why it is safe.", field="reason")
    release(tx, known, reason=reason.strip())
    return tx.need(Hold, hold)


def release(tx: Tx, hold: Hold, *, reason: str) -> None:
    """End a hold; who may do that is decided by the caller: :func:`lift` or the re-enable of its incident."""
    tx.record(
        HoldLifted(
            hold=hold.id,
            scope=hold.scope,
            reason=reason,
            epoch=current_epoch(tx) + 1,
            workflow=hold.scope.name if hold.scope.kind is ScopeKind.WORKFLOW else hold.scope.workflow,
            incident=hold.incident,
        )
    )


def status(view: View, hold: Hold, *, now: datetime) -> Pause:
    """Answer what the hold has achieved so far. Nothing is ever called stopped while a set is not empty."""
    workflow = hold.scope.name if hold.scope.kind is ScopeKind.WORKFLOW else hold.scope.workflow
    of_workflow = {} if workflow is None else {"workflow": workflow}
    in_flight = tuple(
        call for call in view.each(Call, in_flight=True, **of_workflow) if covers(hold.scope, call)
    )
    unconfirmed = tuple(point for point in live(view, now=now, workflow=workflow) if point.epoch < hold.epoch)
    if not hold.active:
        unconfirmed = ()
    state = PauseState.PAUSING if unconfirmed else PauseState.ENFORCED if in_flight else PauseState.DRAINED
    return Pause(hold=hold, state=state, closed=hold.scope, in_flight=in_flight, unconfirmed=unconfirmed)


def _check_scope(tx: Tx, scope: Scope) -> None:
    if scope.kind is ScopeKind.EVERYTHING:
        if scope.name or scope.workflow:
            raise Invalid("everything has no name", hint="Leave name and workflow out.", field="scope.name")
    elif not scope.name:
        raise Invalid(f"a hold on a {scope.kind} needs its name", hint="Say which one.", field="scope.name")
    workflow = scope.name if scope.kind is ScopeKind.WORKFLOW else scope.workflow
    if workflow is not None:
        known_workflow(tx, workflow)
    if tx.actor.kind is PrincipalKind.AGENT and workflow != tx.actor.id:
        raise Denied("an agent holds only its own workflow", hint="A person can hold any.", found=str(scope))
