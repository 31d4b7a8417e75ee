"""Holds: setting, lifting, and saying truthfully what has stopped.

A pause and a permit are both transactions of the one writer, and a permit reads the holds inside its transaction. So when
:func:`pause` has returned, no permit that the hold covers commits any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from stopwork.control.holds import answer, covers
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import HoldLifted, HoldSet, IncidentPaused
from stopwork.ledger.records import Call, Hold, Incident, Scope
from stopwork.ledger.words import EffectKind, HoldMode, PrincipalKind, Verdict
from stopwork.operations import points, renaming
from stopwork.operations.points import PointState, Unconfirmed, current_epoch
from stopwork.operations.scopes import require_holdable, require_room, require_shared, workflow_of
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

PAGE: Final = 100


class PauseState(StrEnum):
    """What may be said of a hold.

    ``pausing`` while a guard may still read by itself what the hold covers. ``enforced`` when nothing more is let begin: every guard has
    confirmed, or has lost its lease and has to ask. A call in flight may still be running, or be about to: only ``drained`` says that
    nothing runs. What a guard was reading that is not heard of any more is not known to have ended.
    """

    PAUSING = "pausing"
    ENFORCED = "enforced"
    DRAINED = "drained"


class Pause(Struct, frozen=True, kw_only=True):
    """What a hold has achieved: the closed scope, the calls still in flight, the guards that have not confirmed, and how many have."""

    hold: Hold
    state: PauseState
    closed: Scope
    in_flight: tuple[Call, ...]
    unconfirmed: tuple[Unconfirmed, ...]
    confirmed: int = 0


def pause(
    tx: Tx,
    *,
    scope: Scope,
    reason: str,
    mode: HoldMode = HoldMode.BLOCK,
    incident: str | None = None,
    rule: str = "",
) -> Pause:
    """Hold a scope. Anyone may stop the work; the same active hold again is answered and not set twice.

    A hold that belongs to an incident covers its workflow, or more. ``rule`` is the alert rule that sets it by itself.
    """
    require_holdable(tx, scope)
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why this is held.", field="reason")
    home = tx.need(Incident, incident) if incident is not None else None
    if home is not None:
        if home.status.ended:
            raise Conflict(f"{incident} is {home.status}", hint="Open a new incident.", incident=incident)
        require_shared(scope, home)
    active = tuple(tx.each(Hold, active=True))
    for known in active:
        if (known.scope, known.mode, known.incident) == (scope, mode, incident):
            return status(tx, known, now=tx.now)
    require_room(tx, scope, mode, active)
    hold_id = tx.new_id("hold")
    tx.record(
        HoldSet(
            hold=hold_id,
            scope=scope,
            mode=mode,
            reason=reason.strip(),
            epoch=current_epoch(tx) + 1,
            workflow=workflow_of(scope),
            incident=incident,
            rule=rule,
        )
    )
    renaming.hold_successors(tx, tx.need(Hold, hold_id))
    if home is not None:
        tx.record(IncidentPaused(incident=home.id, workflow=home.workflow, hold=hold_id))
    return status(tx, tx.need(Hold, hold_id), now=tx.now)


def lift(tx: Tx, *, hold: str, reason: str) -> Hold:
    """Lift a hold that belongs to no open incident, with a second person's signature and a reason.

    The same again changes nothing; to lift what somebody else has lifted is a ``Conflict`` that says who did and why.
    """
    known = tx.need(Hold, hold)
    if tx.actor.kind is not PrincipalKind.PERSON:
        raise Denied("only a person lifts a hold", hint="Sign in as a person.", hold=hold)
    if not known.active:
        if (known.lifted_by, known.lift_reason) == (tx.actor, reason.strip()):
            return known
        raise Conflict(
            f"{hold} was lifted already, by {known.lifted_by}: {known.lift_reason}",
            hint="Nothing is left to lift. What else holds the scope: stopwork holds list",
            hold=hold,
            lifted_at=known.lifted_at.isoformat() if known.lifted_at else None,
        )
    if known.incident is not None and not tx.need(Incident, known.incident).status.ended:
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
            workflow=workflow_of(hold.scope),
            incident=hold.incident,
        )
    )


def status(view: View, hold: Hold, *, now: datetime) -> Pause:
    """Answer what the hold has achieved so far. Nothing is ever called stopped while a set is not empty."""
    workflow = workflow_of(hold.scope)
    of_workflow = {} if workflow is None else {"workflow": workflow}
    in_flight = tuple(
        call for call in view.each(Call, in_flight=True, **of_workflow) if covers(hold.scope, call)
    )
    unconfirmed = (
        points.unconfirmed(view, now=now, workflow=workflow, epoch=hold.epoch) if hold.active else ()
    )
    return Pause(
        hold=hold,
        state=_state(hold, in_flight, unconfirmed),
        closed=hold.scope,
        in_flight=in_flight,
        unconfirmed=unconfirmed,
        confirmed=points.count(view, workflow=workflow) - len(unconfirmed),
    )


def _state(hold: Hold, in_flight: tuple[Call, ...], unconfirmed: tuple[Unconfirmed, ...]) -> PauseState:
    if any(point.state is PointState.REQUESTED for point in unconfirmed):
        return PauseState.PAUSING
    stops_reads = answer(hold.mode, EffectKind.READ) is not Verdict.ALLOW
    unheard = stops_reads and any(point.lease_left_s is not None for point in unconfirmed)
    return PauseState.ENFORCED if in_flight or unheard else PauseState.DRAINED


def lifted_since(view: View, epoch: int) -> Iterator[Hold]:
    """Answer the holds that have been lifted since the control epoch was this, the last one first.

    Told by the epoch and not by the time, which a clock that is set back would tell wrong.
    """
    before: int | None = None
    while True:
        page = view.entries(kinds=("hold.lifted",), newest_first=True, limit=PAGE, before=before)
        for entry in page:
            if not isinstance(entry.event, HoldLifted) or entry.event.epoch <= epoch:
                return
            yield view.need(Hold, entry.event.hold)
        if len(page) < PAGE:
            return
        before = page[-1].seq
