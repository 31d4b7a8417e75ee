"""What each event does to the records: the one definition of how state follows from the journal.

:func:`changes` is pure. The store applies what it answers in the transaction that appends the entry; ``fsck`` applies it
again from the first entry and compares; a test applies it to a dictionary. There is no other way in which a record
comes to be or changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w


class Put(msgspec.Struct, frozen=True):
    """Store this record; it must not be there yet."""

    record: r.Record


class Update(msgspec.Struct, frozen=True):
    """Replace the record of this kind and id by what ``evolve`` makes of it; it must be there."""

    kind: type[r.Record]
    id: str
    evolve: Callable[[Any], r.Record]


class Upsert(msgspec.Struct, frozen=True):
    """Replace the record of this kind and id, or make it: ``evolve`` is given what is there, or ``None``.

    An ``evolve`` that answers ``None`` leaves things as they are.
    """

    kind: type[r.Record]
    id: str
    evolve: Callable[[Any], r.Record | None]


Change = Put | Update | Upsert

replace = msgspec.structs.replace


def to(kind: type[r.Record], record_id: str, **fields: Any) -> Update:
    """Answer the change that sets these fields of one record."""
    return Update(kind, record_id, lambda record: replace(record, **fields))


def same_fields(kind: type[Any], event: e.Event, **more: Any) -> Any:
    """Make a record from the event's fields of the same name and ``more``; other event fields are left out."""
    names = kind.__struct_fields__
    given = {name: getattr(event, name) for name in event.__struct_fields__ if name in names}
    return kind(**(given | more))


def changes(entry: e.Entry) -> Iterator[Change]:
    """Answer what the entry's event changes, in order."""
    handler = _HANDLERS.get(type(entry.event))
    if handler is not None:
        yield from handler(entry, entry.event)


_HANDLERS: dict[type[e.Event], Callable[[e.Entry, Any], Iterator[Change]]] = {}


def _on(*kinds: type[e.Event]) -> Callable[[Any], Any]:
    def register(handler: Any) -> Any:
        for kind in kinds:
            _HANDLERS[kind] = handler
        return handler

    return register


# --- declarations ----------------------------------------------------------------------------------


@_on(e.ManifestApplied)
def _manifest_applied(entry: e.Entry, event: e.ManifestApplied) -> Iterator[Change]:
    version_id = f"{event.workflow}@{event.version}"
    yield Put(same_fields(r.ManifestVersion, event, id=version_id, at=entry.at, by=entry.actor))

    def evolve(known: r.Workflow | None) -> r.Workflow:
        # The stage belongs to the workflow, not to the manifest: a new version never gives autonomy back.
        stage = known.stage if known else event.stage
        incident = known.incident if known else None
        since = known.stage_since if known else entry.at
        return same_fields(
            r.Workflow,
            event,
            id=event.workflow,
            stage=stage,
            incident=incident,
            stage_since=since,
            applied_at=entry.at,
            applied_by=entry.actor,
        )

    yield Upsert(r.Workflow, event.workflow, evolve)


@_on(e.StageChanged)
def _stage_changed(entry: e.Entry, event: e.StageChanged) -> Iterator[Change]:
    yield to(r.Workflow, event.workflow, stage=event.after, stage_since=entry.at)
    yield _epoch(event.epoch)


# --- runs and calls --------------------------------------------------------------------------------


@_on(e.RunStarted)
def _run_started(entry: e.Entry, event: e.RunStarted) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Run, event, id=event.run, status=w.RunStatus.RUNNING, started_at=entry.at, by=entry.actor
        )
    )


@_on(e.RunFinished)
def _run_finished(entry: e.Entry, event: e.RunFinished) -> Iterator[Change]:
    yield to(r.Run, event.run, status=event.status, error=event.error, finished_at=entry.at)


@_on(e.StepRecorded)
def _step_recorded(entry: e.Entry, event: e.StepRecorded) -> Iterator[Change]:
    yield Put(same_fields(r.Step, event, id=event.step, at=entry.at))
    unpriced = 1 if event.tokens and event.cost_usd is None else 0

    def evolve(run: r.Run) -> r.Run:
        return replace(
            run,
            tokens=run.tokens + event.tokens,
            cost_usd=run.cost_usd + (event.cost_usd or 0.0),
            unpriced=run.unpriced + unpriced,
        )

    yield Update(r.Run, event.run, evolve)


@_on(e.CallDecided)
def _call_decided(entry: e.Entry, event: e.CallDecided) -> Iterator[Change]:
    permitted = event.verdict is w.Verdict.ALLOW

    def evolve(known: r.Call | None) -> r.Call:
        return same_fields(
            r.Call,
            event,
            id=event.call,
            requested_at=known.requested_at if known else entry.at,
            permitted_at=entry.at if permitted else None,
            in_flight=permitted,
        )

    yield Upsert(r.Call, event.call, evolve)
    if permitted:
        writes = 0 if event.effect is w.EffectKind.READ else 1
        yield Update(
            r.Run, event.run, lambda run: replace(run, calls=run.calls + 1, writes=run.writes + writes)
        )
        if event.effect is not w.EffectKind.READ:
            yield Upsert(
                r.Key,
                f"{event.workflow}/{event.key}",
                lambda _known: r.Key(
                    id=f"{event.workflow}/{event.key}",
                    workflow=event.workflow,
                    call=event.call,
                    tool=event.tool,
                    args_digest=event.args_digest,
                    taken_at=entry.at,
                ),
            )


@_on(e.CallAttempted)
def _call_attempted(entry: e.Entry, event: e.CallAttempted) -> Iterator[Change]:
    yield to(r.Call, event.call, before=event.before, attempted_at=entry.at)


@_on(e.CallFinished)
def _call_finished(entry: e.Entry, event: e.CallFinished) -> Iterator[Change]:
    yield Update(
        r.Call,
        event.call,
        lambda call: replace(
            call,
            outcome=event.outcome,
            result=event.result,
            error=event.error,
            finished_at=entry.at,
            in_flight=False,
            effects=call.effects + len(event.effects),
        ),
    )
    # Only calls that write hold a key. A call that failed after it had changed something must not be tried again unseen.
    failed_halfway = event.outcome is w.Outcome.FAILED and bool(event.effects)
    outcome = w.Outcome.UNKNOWN if failed_halfway else event.outcome
    key_id = f"{event.workflow}/{event.key}"
    yield Upsert(
        r.Key,
        key_id,
        lambda known: replace(known, outcome=outcome) if known and known.call == event.call else known,
    )
    yield from (Put(effect) for effect in event.effects)


@_on(e.EffectsObserved)
def _effects_observed(entry: e.Entry, event: e.EffectsObserved) -> Iterator[Change]:
    for effect in event.effects:
        yield Upsert(r.Effect, effect.id, lambda _known, effect=effect: effect)
    yield Update(r.Call, event.call, lambda call: replace(call, effects=event.total))


@_on(e.PointRegistered)
def _point_registered(entry: e.Entry, event: e.PointRegistered) -> Iterator[Change]:
    yield Put(same_fields(r.Point, event, id=event.point, registered_at=entry.at))


@_on(e.PointRetired)
def _point_retired(entry: e.Entry, event: e.PointRetired) -> Iterator[Change]:
    yield to(r.Point, event.point, retired_at=entry.at)


# --- controls --------------------------------------------------------------------------------------


def _epoch(epoch: int) -> Upsert:
    return Upsert(r.Control, "control", lambda _known: r.Control(epoch=epoch))


@_on(e.HoldSet)
def _hold_set(entry: e.Entry, event: e.HoldSet) -> Iterator[Change]:
    yield Put(same_fields(r.Hold, event, id=event.hold, set_by=entry.actor, set_at=entry.at))
    yield _epoch(event.epoch)


@_on(e.HoldLifted)
def _hold_lifted(entry: e.Entry, event: e.HoldLifted) -> Iterator[Change]:
    yield to(
        r.Hold, event.hold, active=False, lifted_at=entry.at, lifted_by=entry.actor, lift_reason=event.reason
    )
    yield _epoch(event.epoch)


@_on(e.ApprovalRequested)
def _approval_requested(entry: e.Entry, event: e.ApprovalRequested) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Approval, event, id=event.approval, requested_at=entry.at, state=w.ApprovalState.PENDING
        )
    )


@_on(e.ApprovalDecided)
def _approval_decided(entry: e.Entry, event: e.ApprovalDecided) -> Iterator[Change]:
    decision = r.Decision(person=event.person, approve=event.approve, note=event.note, at=entry.at)
    yield Update(
        r.Approval,
        event.approval,
        lambda approval: replace(approval, state=event.state, decisions=(*approval.decisions, decision)),
    )


@_on(e.ApprovalConsumed)
def _approval_consumed(entry: e.Entry, event: e.ApprovalConsumed) -> Iterator[Change]:
    yield to(r.Approval, event.approval, state=w.ApprovalState.CONSUMED, consumed_by=event.by)


@_on(e.ApprovalExpired)
def _approval_expired(entry: e.Entry, event: e.ApprovalExpired) -> Iterator[Change]:
    yield to(r.Approval, event.approval, state=w.ApprovalState.EXPIRED)


# --- incidents -------------------------------------------------------------------------------------


@_on(e.SignalRaised)
def _signal_raised(entry: e.Entry, event: e.SignalRaised) -> Iterator[Change]:
    yield Put(same_fields(r.Signal, event, id=event.signal, raised_at=entry.at))


@_on(e.IncidentOpened)
def _incident_opened(entry: e.Entry, event: e.IncidentOpened) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Incident,
            event,
            id=event.incident,
            opened_at=entry.at,
            opened_by=entry.actor,
            status=w.IncidentStatus.INVESTIGATING,
        )
    )
    yield to(r.Workflow, event.workflow, incident=event.incident)


@_on(e.SignalJoined)
def _signal_joined(entry: e.Entry, event: e.SignalJoined) -> Iterator[Change]:
    yield to(r.Signal, event.signal, incident=event.incident)

    def evolve(incident: r.Incident) -> r.Incident:
        runs = (
            incident.runs if event.run is None or event.run in incident.runs else (*incident.runs, event.run)
        )
        return replace(incident, signals=(*incident.signals, event.signal), runs=runs)

    yield Update(r.Incident, event.incident, evolve)


@_on(e.IncidentPaused)
def _incident_paused(entry: e.Entry, event: e.IncidentPaused) -> Iterator[Change]:
    yield Update(
        r.Incident,
        event.incident,
        lambda incident: replace(incident, paused_at=incident.paused_at or entry.at),
    )


@_on(e.SeverityChanged)
def _severity_changed(entry: e.Entry, event: e.SeverityChanged) -> Iterator[Change]:
    yield to(r.Incident, event.incident, severity=event.after, factors=event.factors)


@_on(e.StatusChanged)
def _status_changed(entry: e.Entry, event: e.StatusChanged) -> Iterator[Change]:
    if event.after is w.IncidentStatus.CLOSED:
        yield to(r.Incident, event.incident, status=event.after, closed_at=entry.at)
        yield Update(
            r.Workflow,
            event.workflow,
            lambda workflow: replace(
                workflow, incident=None if workflow.incident == event.incident else workflow.incident
            ),
        )
    else:
        yield to(r.Incident, event.incident, status=event.after)


@_on(e.RoleHandedOver)
def _role_handed_over(entry: e.Entry, event: e.RoleHandedOver) -> Iterator[Change]:
    yield Update(r.Incident, event.incident, lambda incident: replace(incident, **{event.role: event.after}))


@_on(e.NoteAdded)
def _note_added(entry: e.Entry, event: e.NoteAdded) -> Iterator[Change]:
    yield Put(same_fields(r.Note, event, id=event.note, recorded_at=entry.at, by=entry.actor))


@_on(e.RootCauseRecorded)
def _root_cause_recorded(entry: e.Entry, event: e.RootCauseRecorded) -> Iterator[Change]:
    yield to(r.Incident, event.incident, root_cause=event.text)


@_on(e.UpdateScheduled)
def _update_scheduled(entry: e.Entry, event: e.UpdateScheduled) -> Iterator[Change]:
    yield to(r.Incident, event.incident, next_update_at=event.next_update_at)


@_on(e.EvidenceSealed)
def _evidence_sealed(entry: e.Entry, event: e.EvidenceSealed) -> Iterator[Change]:
    yield Put(same_fields(r.Bundle, event, id=event.bundle, at=entry.at, by=entry.actor))
    yield to(r.Incident, event.incident, sealed_at=entry.at, bundle=event.bundle)


@_on(e.ContainmentProposed)
def _containment_proposed(entry: e.Entry, event: e.ContainmentProposed) -> Iterator[Change]:
    yield from (Put(item) for item in event.items)


@_on(e.ContainmentRecorded)
def _containment_recorded(entry: e.Entry, event: e.ContainmentRecorded) -> Iterator[Change]:
    yield to(
        r.ContainmentItem,
        event.item,
        state=event.state,
        verified_how=event.verified_how,
        by=entry.actor,
        at=entry.at,
    )
    if event.complete:
        yield to(r.Incident, event.incident, contained_at=entry.at)


@_on(e.AuditCompleted)
def _audit_completed(entry: e.Entry, event: e.AuditCompleted) -> Iterator[Change]:
    yield Put(same_fields(r.Audit, event, id=event.audit, at=entry.at, by=entry.actor))
    yield to(r.Incident, event.incident, audited_at=entry.at)


@_on(e.PlanProposed)
def _plan_proposed(entry: e.Entry, event: e.PlanProposed) -> Iterator[Change]:
    plan = same_fields(
        r.Plan,
        event,
        id=event.plan,
        items=len(event.items),
        state=w.PlanState.PROPOSED,
        proposed_at=entry.at,
        proposed_by=entry.actor,
    )
    yield Put(plan)
    yield from (Put(item) for item in event.items)
    yield to(r.Incident, event.incident, plan=event.plan)


@_on(e.PlanApproved)
def _plan_approved(entry: e.Entry, event: e.PlanApproved) -> Iterator[Change]:
    yield to(r.Plan, event.plan, state=w.PlanState.APPROVED, approved_at=entry.at, approved_by=entry.actor.id)
    for item in event.items:
        yield to(r.Item, item, state=w.ItemState.APPROVED, approved_by=entry.actor.id)
    for item in event.accepted:
        yield to(
            r.Item,
            item,
            state=w.ItemState.ACCEPTED,
            approved_by=entry.actor.id,
            finished_at=entry.at,
            note=event.note,
        )


@_on(e.ItemAttempted)
def _item_attempted(entry: e.Entry, event: e.ItemAttempted) -> Iterator[Change]:
    yield to(r.Item, event.item, state=w.ItemState.IN_DOUBT, attempted_at=entry.at)
    yield to(r.Plan, event.plan, state=w.PlanState.RUNNING)


@_on(e.ItemFinished)
def _item_finished(entry: e.Entry, event: e.ItemFinished) -> Iterator[Change]:
    yield to(
        r.Item,
        event.item,
        state=event.state,
        found=event.found,
        note=event.note,
        finished_at=entry.at,
        done_by=entry.actor,
    )


@_on(e.PlanFinished)
def _plan_finished(entry: e.Entry, event: e.PlanFinished) -> Iterator[Change]:
    yield to(r.Plan, event.plan, state=w.PlanState.FINISHED, finished_at=entry.at)
    yield to(r.Incident, event.incident, recovered_at=entry.at)


@_on(e.MessageDrafted)
def _message_drafted(entry: e.Entry, event: e.MessageDrafted) -> Iterator[Change]:
    def evolve(known: r.Message | None) -> r.Message:
        return same_fields(
            r.Message,
            event,
            id=event.message,
            state=w.MessageState.DRAFT,
            drafted_at=known.drafted_at if known else entry.at,
            drafted_by=entry.actor,
        )

    yield Upsert(r.Message, event.message, evolve)


@_on(e.MessageApproved)
def _message_approved(entry: e.Entry, event: e.MessageApproved) -> Iterator[Change]:
    yield to(
        r.Message,
        event.message,
        state=w.MessageState.APPROVED,
        approved_by=entry.actor.id,
        approved_at=entry.at,
    )


@_on(e.MessageSent)
def _message_sent(entry: e.Entry, event: e.MessageSent) -> Iterator[Change]:
    yield to(
        r.Message,
        event.message,
        state=w.MessageState.SENT,
        sent_at=entry.at,
        delivery=event.delivery,
        error="",
    )
    if event.complete:
        yield to(r.Incident, event.incident, communicated_at=entry.at)


@_on(e.MessageFailed)
def _message_failed(entry: e.Entry, event: e.MessageFailed) -> Iterator[Change]:
    yield to(r.Message, event.message, state=w.MessageState.FAILED, error=event.error)


@_on(e.MessageDiscarded)
def _message_discarded(entry: e.Entry, event: e.MessageDiscarded) -> Iterator[Change]:
    yield to(r.Message, event.message, state=w.MessageState.DISCARDED, error=event.reason)


@_on(e.PostmortemSaved)
def _postmortem_saved(entry: e.Entry, event: e.PostmortemSaved) -> Iterator[Change]:
    yield Upsert(
        r.Postmortem,
        event.incident,
        lambda _known: same_fields(r.Postmortem, event, id=event.incident, at=entry.at, by=entry.actor),
    )


@_on(e.PostmortemClosed)
def _postmortem_closed(entry: e.Entry, event: e.PostmortemClosed) -> Iterator[Change]:
    yield to(r.Postmortem, event.incident, closed_at=entry.at)
    yield to(r.Incident, event.incident, learned_at=entry.at)


@_on(e.CheckAnswered)
def _check_answered(entry: e.Entry, event: e.CheckAnswered) -> Iterator[Change]:
    check_id = f"{event.incident}/{event.check}"
    yield Upsert(
        r.Check,
        check_id,
        lambda _known: same_fields(r.Check, event, id=check_id, at=entry.at, by=entry.actor),
    )


@_on(e.IncidentReenabled)
def _incident_reenabled(entry: e.Entry, event: e.IncidentReenabled) -> Iterator[Change]:
    yield Update(
        r.Incident,
        event.incident,
        lambda incident: replace(incident, reenabled_at=incident.reenabled_at or entry.at),
    )


@_on(e.PreparednessReviewed)
def _preparedness_reviewed(entry: e.Entry, event: e.PreparednessReviewed) -> Iterator[Change]:
    if event.incident is not None:
        yield to(r.Incident, event.incident, prepared_at=entry.at)


# --- people ----------------------------------------------------------------------------------------


@_on(e.CredentialIssued)
def _credential_issued(entry: e.Entry, event: e.CredentialIssued) -> Iterator[Change]:
    yield Put(same_fields(r.Credential, event, id=event.credential, created_at=entry.at))


@_on(e.CredentialUsed)
def _credential_used(entry: e.Entry, event: e.CredentialUsed) -> Iterator[Change]:
    yield to(r.Credential, event.credential, used_at=entry.at)


@_on(e.CredentialRevoked)
def _credential_revoked(entry: e.Entry, event: e.CredentialRevoked) -> Iterator[Change]:
    yield to(r.Credential, event.credential, revoked_at=entry.at)
