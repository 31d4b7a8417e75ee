"""What the work on an incident does to the records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold.change import Change, Put, Update, Upsert, on, replace, same_fields, to
from stopwork.ledger.fold.joining import joined


@on(e.SignalRaised)
def _signal_raised(entry: e.Entry, event: e.SignalRaised) -> Iterator[Change]:
    yield Put(same_fields(r.Signal, event, id=event.signal, raised_at=entry.at))


@on(e.IncidentOpened)
def _incident_opened(entry: e.Entry, event: e.IncidentOpened) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Incident,
            event,
            id=event.incident,
            opened_at=entry.at,
            opened_by=entry.actor,
        )
    )
    if not event.practice:
        yield to(r.Workflow, event.workflow, incident=event.incident)


@on(e.SignalJoined)
def _signal_joined(entry: e.Entry, event: e.SignalJoined) -> Iterator[Change]:
    yield to(r.Signal, event.signal, incident=event.incident)

    def evolve(incident: r.Incident) -> r.Incident:
        runs = (
            incident.runs if event.run is None or event.run in incident.runs else (*incident.runs, event.run)
        )
        return replace(joined(incident, (event.signal,)), runs=runs)

    yield Update(r.Incident, event.incident, evolve)


@on(e.IncidentPaused)
def _incident_paused(entry: e.Entry, event: e.IncidentPaused) -> Iterator[Change]:
    # A hold during the return begins the return again: what was signed before it was signed without knowing.
    yield Update(
        r.Incident,
        event.incident,
        lambda incident: replace(
            incident, paused_at=incident.paused_at or entry.at, held_at=entry.at, reenabled_at=None
        ),
    )


@on(e.SeverityChanged)
def _severity_changed(entry: e.Entry, event: e.SeverityChanged) -> Iterator[Change]:
    yield to(r.Incident, event.incident, severity=event.after, factors=event.factors)


@on(e.StatusChanged)
def _status_changed(entry: e.Entry, event: e.StatusChanged) -> Iterator[Change]:
    if event.after.ended:
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


@on(e.RoleHandedOver)
def _role_handed_over(entry: e.Entry, event: e.RoleHandedOver) -> Iterator[Change]:
    def handed(incident: r.Incident) -> r.Incident:
        # Whoever gets a role of a private incident has to see it.
        readers = incident.readers
        if incident.private and event.after not in readers:
            readers = (*readers, event.after)
        since = entry.at if event.role == "commander" else incident.commanded_since
        return replace(incident, readers=readers, commanded_since=since, **{event.role: event.after})

    yield Update(r.Incident, event.incident, handed)


@on(e.NoteAdded)
def _note_added(entry: e.Entry, event: e.NoteAdded) -> Iterator[Change]:
    yield Put(same_fields(r.Note, event, id=event.note, recorded_at=entry.at, by=entry.actor))


@on(e.RootCauseRecorded)
def _root_cause_recorded(entry: e.Entry, event: e.RootCauseRecorded) -> Iterator[Change]:
    yield to(r.Incident, event.incident, root_cause=event.text)


@on(e.UpdateScheduled)
def _update_scheduled(entry: e.Entry, event: e.UpdateScheduled) -> Iterator[Change]:
    yield to(r.Incident, event.incident, next_update_at=event.next_update_at)


@on(e.EvidenceSealed)
def _evidence_sealed(entry: e.Entry, event: e.EvidenceSealed) -> Iterator[Change]:
    yield Put(same_fields(r.Bundle, event, id=event.bundle, at=entry.at, by=entry.actor))
    yield to(r.Incident, event.incident, sealed_at=entry.at, bundle=event.bundle)


@on(e.AuditCompleted)
def _audit_completed(entry: e.Entry, event: e.AuditCompleted) -> Iterator[Change]:
    yield Put(same_fields(r.Audit, event, id=event.audit, at=entry.at, by=entry.actor))
    yield to(r.Incident, event.incident, audited_at=entry.at)


@on(e.DriftLooked)
def _drift_looked(entry: e.Entry, event: e.DriftLooked) -> Iterator[Change]:
    yield Upsert(
        r.Drift,
        event.incident,
        lambda _known: same_fields(r.Drift, event, id=event.incident, at=entry.at, by=entry.actor),
    )


@on(e.PlanProposed)
def _plan_proposed(entry: e.Entry, event: e.PlanProposed) -> Iterator[Change]:
    plan = same_fields(
        r.Plan,
        event,
        id=event.plan,
        items=len(event.items),
        systems=_systems(event.items),
        state=w.PlanState.PROPOSED,
        proposed_at=entry.at,
        proposed_by=entry.actor,
    )
    yield Put(plan)
    yield from (Put(item) for item in event.items)
    yield to(r.Incident, event.incident, plan=event.plan)


@on(e.PlanExtended)
def _plan_extended(_entry: e.Entry, event: e.PlanExtended) -> Iterator[Change]:
    more, systems = len(event.items), _systems(event.items)

    def extended(plan: r.Plan) -> r.Plan:
        every = tuple(sorted({*plan.systems, *systems}))
        return replace(plan, items=plan.items + more, systems=every)

    yield Update(r.Plan, event.plan, extended)
    yield from (Put(item) for item in event.items)


def _systems(items: tuple[r.Item, ...]) -> tuple[str, ...]:
    return tuple(sorted({item.object.system for item in items}))


@on(e.PlanEdited)
def _plan_edited(entry: e.Entry, event: e.PlanEdited) -> Iterator[Change]:
    yield to(r.Plan, event.plan, digest=event.digest)
    for item in event.items:
        yield Update(r.Item, item.id, partial(_as_edited, item))


def _as_edited(edited: r.Item, _before: r.Item) -> r.Item:
    return edited


@on(e.PlanApproved)
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

    def kept(item: r.Item) -> r.Item:
        return replace(
            item,
            state=w.ItemState.ACCEPTED,
            approved_by=entry.actor.id,
            finished_at=entry.at,
            note=item.keep or "nothing to run; it is told or left as it is",
        )

    for item in event.kept:
        yield Update(r.Item, item, kept)


@on(e.PlanStarted)
def _plan_started(entry: e.Entry, event: e.PlanStarted) -> Iterator[Change]:
    yield to(
        r.Plan,
        event.plan,
        state=w.PlanState.RUNNING,
        started_at=entry.at,
        left=event.left,
        paused_at=None,
        steered_by=entry.actor.id,
        reason=event.reason,
    )


@on(e.PlanPaused)
def _plan_paused(entry: e.Entry, event: e.PlanPaused) -> Iterator[Change]:
    yield to(
        r.Plan,
        event.plan,
        state=w.PlanState.PAUSED,
        paused_at=entry.at,
        steered_by=entry.actor.id,
        reason=event.reason,
    )


@on(e.PlanCancelled)
def _plan_cancelled(entry: e.Entry, event: e.PlanCancelled) -> Iterator[Change]:
    # What is in doubt has to be looked at still, so it goes on to its end.
    yield to(
        r.Plan,
        event.plan,
        state=w.PlanState.RUNNING,
        cancelled_at=entry.at,
        steered_by=entry.actor.id,
        reason=event.reason,
    )
    for item in event.items:
        yield to(
            r.Item,
            item,
            state=w.ItemState.CANCELLED,
            finished_at=entry.at,
            done_by=entry.actor,
            note=event.reason,
        )


@on(e.ItemAttempted)
def _item_attempted(entry: e.Entry, event: e.ItemAttempted) -> Iterator[Change]:
    def begun(item: r.Item) -> r.Item:
        # A second attempt may find what the first one left: the undo of the recovery needs what was there at first.
        first = item.replaced or event.found
        return replace(item, state=w.ItemState.IN_DOUBT, attempted_at=entry.at, replaced=first)

    yield Update(r.Item, event.item, begun)


@on(e.ItemFinished)
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


@on(e.PlanFinished)
def _plan_finished(entry: e.Entry, event: e.PlanFinished) -> Iterator[Change]:
    yield to(r.Plan, event.plan, state=w.PlanState.FINISHED, finished_at=entry.at)
    yield to(r.Incident, event.incident, recovered_at=entry.at)


@on(e.MessageDrafted)
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


@on(e.MessageApproved)
def _message_approved(entry: e.Entry, event: e.MessageApproved) -> Iterator[Change]:
    yield to(
        r.Message,
        event.message,
        state=w.MessageState.APPROVED,
        approved_by=entry.actor.id,
        approved_at=entry.at,
    )


@on(e.MessageAttempted)
def _message_attempted(entry: e.Entry, event: e.MessageAttempted) -> Iterator[Change]:
    yield to(r.Message, event.message, state=w.MessageState.SENDING)


@on(e.MessageSent)
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


@on(e.MessageFailed)
def _message_failed(entry: e.Entry, event: e.MessageFailed) -> Iterator[Change]:
    yield to(r.Message, event.message, state=w.MessageState.FAILED, error=event.error)


@on(e.MessageDiscarded)
def _message_discarded(entry: e.Entry, event: e.MessageDiscarded) -> Iterator[Change]:
    yield to(r.Message, event.message, state=w.MessageState.DISCARDED, error=event.reason)


@on(e.PostmortemSaved)
def _postmortem_saved(entry: e.Entry, event: e.PostmortemSaved) -> Iterator[Change]:
    yield Upsert(
        r.Postmortem,
        event.incident,
        lambda _known: same_fields(r.Postmortem, event, id=event.incident, at=entry.at, by=entry.actor),
    )


@on(e.PostmortemClosed)
def _postmortem_closed(entry: e.Entry, event: e.PostmortemClosed) -> Iterator[Change]:
    yield to(r.Postmortem, event.incident, closed_at=entry.at)
    yield to(r.Incident, event.incident, learned_at=entry.at)


@on(e.CheckAnswered)
def _check_answered(entry: e.Entry, event: e.CheckAnswered) -> Iterator[Change]:
    check_id = f"{event.incident}/{event.check}"
    yield Upsert(
        r.Check,
        check_id,
        lambda _known: same_fields(r.Check, event, id=check_id, at=entry.at, by=entry.actor),
    )


@on(e.IncidentReenabled)
def _incident_reenabled(entry: e.Entry, event: e.IncidentReenabled) -> Iterator[Change]:
    yield Update(
        r.Incident,
        event.incident,
        lambda incident: replace(incident, reenabled_at=incident.reenabled_at or entry.at),
    )


@on(e.PreparednessReviewed)
def _preparedness_reviewed(entry: e.Entry, event: e.PreparednessReviewed) -> Iterator[Change]:
    if event.incident is not None:
        yield to(r.Incident, event.incident, prepared_at=entry.at)
