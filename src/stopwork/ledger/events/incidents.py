"""Events of incidents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events.base import Event


class SignalRaised(Event, tag="signal.raised"):
    signal: str
    kind: w.SignalKind
    type: w.IncidentType
    detector: str
    key: str
    workflow: str
    summary: str
    occurred_at: datetime
    facts: dict[str, Any] = {}
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class IncidentOpened(Event, tag="incident.opened"):
    incident: str
    type: w.IncidentType
    title: str
    workflow: str
    version: int
    detected_by: w.DetectedBy
    detected_at: datetime
    commander: str
    business_owner: str
    technical_owner: str
    backup_owner: str
    communication_owner: str
    postmortem_owner: str
    severity: w.Severity
    factors: tuple[r.Factor, ...]
    cause: str
    affected_systems: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    affected_parties: tuple[str, ...] = ()
    next_update_at: datetime | None = None
    runs: tuple[str, ...] = ()
    status: w.IncidentStatus = w.IncidentStatus.INVESTIGATING
    rule: str = ""
    practice: bool = False
    tags: tuple[str, ...] = ()
    checklist: tuple[r.Asked, ...] = ()


class SignalJoined(Event, tag="incident.signal_joined"):
    incident: str
    workflow: str
    signal: str
    run: str | None = None


class IncidentPaused(Event, tag="incident.paused"):
    incident: str
    workflow: str
    hold: str


class SeverityChanged(Event, tag="incident.severity_changed"):
    incident: str
    workflow: str
    before: w.Severity
    after: w.Severity
    factors: tuple[r.Factor, ...]
    reason: str


class StatusChanged(Event, tag="incident.status_changed"):
    incident: str
    workflow: str
    before: w.IncidentStatus
    after: w.IncidentStatus
    reason: str = ""


class RoleHandedOver(Event, tag="incident.role_handed_over"):
    incident: str
    workflow: str
    role: str
    before: str
    after: str
    note: str = ""


class NoteAdded(Event, tag="incident.note_added"):
    incident: str
    workflow: str
    note: str
    text: str
    occurred_at: datetime


class RootCauseRecorded(Event, tag="incident.root_cause_recorded"):
    incident: str
    workflow: str
    text: str


class UpdateScheduled(Event, tag="incident.update_scheduled"):
    incident: str
    workflow: str
    next_update_at: datetime
    reason: str = ""


class EvidenceSealed(Event, tag="evidence.sealed"):
    incident: str
    workflow: str
    bundle: str
    digest: str
    size_bytes: int
    entries: int
    tree_size: int
    kinds: dict[str, int]
    missing: tuple[str, ...]
    path: str
    reason: str = ""
    automatic: bool = False


class EvidenceViewed(Event, tag="evidence.viewed"):
    """Somebody looked at evidence, or took some out: then ``exported`` is its digest."""

    incident: str
    workflow: str
    what: str
    exported: str | None = None


class AuditCompleted(Event, tag="audit.completed"):
    """The audit goes by the first ``tree_size`` entries of the journal."""

    incident: str
    workflow: str
    audit: str
    runs: tuple[str, ...]
    answers: tuple[r.Answer, ...]
    objects: int
    seen: tuple[r.Captured, ...] = ()
    scope: r.AuditScope = r.AuditScope()
    completeness: r.AuditCompleteness | None = None
    followed: r.AuditFollowed | None = None
    tree_size: int = 0


class DriftLooked(Event, tag="drift.looked"):
    """Somebody looked what has become of the affected objects."""

    incident: str
    workflow: str
    objects: tuple[r.Drifted, ...]


class PlanProposed(Event, tag="plan.proposed"):
    incident: str
    workflow: str
    plan: str
    digest: str
    items: tuple[r.Item, ...]


class PlanExtended(Event, tag="plan.extended"):
    """More items of a plan that was just proposed, and is too long for one entry; its digest covers them all."""

    incident: str
    workflow: str
    plan: str
    items: tuple[r.Item, ...]


class PlanEdited(Event, tag="plan.edited"):
    """A person changed ``item`` of a plan that is not approved. ``items`` are all that read otherwise since, ``digest`` is of the plan."""

    incident: str
    workflow: str
    plan: str
    item: str
    digest: str
    reason: str
    items: tuple[r.Item, ...]


class PlanApproved(Event, tag="plan.approved"):
    """``items`` are run. ``accepted`` stay as they are for the reason in ``note``, ``kept`` for the one that the plan gives.

    ``where`` is the rule that chose the items, if one did.
    """

    incident: str
    workflow: str
    plan: str
    digest: str
    items: tuple[str, ...]
    accepted: tuple[str, ...] = ()
    note: str = ""
    kept: tuple[str, ...] = ()
    where: str = ""


class PlanStarted(Event, tag="plan.started"):
    """From here on runners take its items: ``left`` of them, for the first time or again after a pause."""

    incident: str
    workflow: str
    plan: str
    left: int
    reason: str = ""


class PlanPaused(Event, tag="plan.paused"):
    """No further attempt begins. ``in_flight`` are the items whose attempt has begun and not ended."""

    incident: str
    workflow: str
    plan: str
    reason: str
    in_flight: tuple[str, ...] = ()


class PlanCancelled(Event, tag="plan.cancelled"):
    """``items`` are not done any more. What is ``in_flight`` is looked at still, and not tried again."""

    incident: str
    workflow: str
    plan: str
    reason: str
    items: tuple[str, ...] = ()
    in_flight: tuple[str, ...] = ()


class ItemAttempted(Event, tag="item.attempted"):
    """What is about to be replaced is durable; the object is about to change, by the hand of ``runner``."""

    incident: str
    workflow: str
    plan: str
    item: str
    object: r.ObjectRef
    found: r.Image | None = None
    runner: str = ""


class ItemFinished(Event, tag="item.finished"):
    incident: str
    workflow: str
    plan: str
    item: str
    object: r.ObjectRef
    state: w.ItemState
    found: r.Image | None = None
    note: str = ""


class PlanFinished(Event, tag="plan.finished"):
    incident: str
    workflow: str
    plan: str
    outcome: dict[str, int]


class MessageDrafted(Event, tag="message.drafted"):
    incident: str
    workflow: str
    message: str
    audience: w.Audience
    recipients: tuple[str, ...]
    subject: str
    body: str
    digest: str


class MessageApproved(Event, tag="message.approved"):
    incident: str
    workflow: str
    message: str
    digest: str


class MessageAttempted(Event, tag="message.attempted"):
    """The approved text is about to be handed over; without an end it is in doubt whether it left."""

    incident: str
    workflow: str
    message: str
    digest: str


class MessageSent(Event, tag="message.sent"):
    incident: str
    workflow: str
    message: str
    delivery: dict[str, str]
    complete: bool
    digest: str = ""


class MessageFailed(Event, tag="message.failed"):
    incident: str
    workflow: str
    message: str
    error: str


class MessageDiscarded(Event, tag="message.discarded"):
    incident: str
    workflow: str
    message: str
    reason: str


class PostmortemSaved(Event, tag="postmortem.saved"):
    incident: str
    workflow: str
    fields: dict[str, str]
    follow_ups: tuple[r.FollowUp, ...]


class PostmortemClosed(Event, tag="postmortem.closed"):
    incident: str
    workflow: str


class CheckAnswered(Event, tag="reenable.check_answered"):
    incident: str
    workflow: str
    check: w.ReenableCheck
    state: w.CheckState
    note: str


class IncidentReenabled(Event, tag="incident.reenabled"):
    incident: str
    workflow: str
    stage: w.Stage
    final: bool


class PreparednessReviewed(Event, tag="preparedness.reviewed"):
    workflow: str
    score: int
    checks: dict[w.PreparednessCheck, w.CheckState]
    incident: str | None = None
