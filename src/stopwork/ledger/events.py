"""Events: the only way in which anything changes.

An event is one fact, written in the past tense. The journal holds each as canonical bytes inside an
:class:`Entry`; the records of :mod:`stopwork.ledger.records` are a fold of them. The attributes ``workflow``,
``run``, ``call`` and ``incident``, where an event has them, are what the journal is indexed by.

An event type is never removed and a field never changes its meaning: old journals stay readable. A new field has a default.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, dataclass_transform

from msgspec import Struct

from stopwork.ledger import records as r
from stopwork.ledger import words as w


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """The base of every event."""


# --- declarations ----------------------------------------------------------------------------------


class ManifestApplied(Event, tag="manifest.applied"):
    workflow: str
    version: int
    title: str
    mode: w.Mode
    stage: w.Stage
    owners: dict[w.Role, str]
    text: str
    digest: str
    reason: str


class StageChanged(Event, tag="workflow.stage_changed"):
    workflow: str
    before: w.Stage
    after: w.Stage
    reason: str
    epoch: int
    incident: str | None = None


# --- runs and calls --------------------------------------------------------------------------------


class RunStarted(Event, tag="run.started"):
    run: str
    workflow: str
    version: int
    trigger: str
    trigger_id: str
    attempt: int
    mode: w.Mode
    retry_of: str | None = None
    runtime: dict[str, Any] = {}


class RunFinished(Event, tag="run.finished"):
    run: str
    workflow: str
    status: w.RunStatus
    error: str | None = None


class StepRecorded(Event, tag="step.recorded"):
    step: str
    run: str
    workflow: str
    kind: w.StepKind
    name: str
    facts: dict[str, Any] = {}
    source: str | None = None
    as_of: datetime | None = None
    tokens: int = 0
    cost_usd: float | None = None


class CallDecided(Event, tag="call.decided"):
    """The guard answered a call. An ``allow`` is the permit: the intent, durable before the call runs."""

    call: str
    run: str
    workflow: str
    version: int
    tool: str
    effect: w.EffectKind
    risk: w.Risk
    permission: str | None
    trigger: str
    args: dict[str, Any]
    args_digest: str
    key: str
    business_key: str | None
    verdict: w.Verdict
    would: w.Verdict
    reasons: tuple[r.Reason, ...]
    epoch: int
    not_after: datetime | None
    source: str | None = None
    destination: str | None = None
    approval: str | None = None
    replay_of: str | None = None


class CallAttempted(Event, tag="call.attempted"):
    """The before-images are durable; the tool is about to run."""

    call: str
    run: str
    workflow: str
    before: tuple[r.Captured, ...]


class CallFinished(Event, tag="call.finished"):
    """The call's outcome is known, or known to be unknown; ``effects`` are the objects it changed."""

    call: str
    run: str
    workflow: str
    tool: str
    key: str
    outcome: w.Outcome
    result: Any = None
    error: str | None = None
    effects: tuple[r.Effect, ...] = ()
    reconciled: bool = False


class EffectsObserved(Event, tag="call.effects_observed"):
    """Objects that only the call's result names have been looked at; ``total`` counts all effects of the call."""

    call: str
    run: str
    workflow: str
    effects: tuple[r.Effect, ...]
    total: int


class PointRegistered(Event, tag="point.registered"):
    point: str
    workflow: str
    name: str


class PointRetired(Event, tag="point.retired"):
    """The guard said goodbye, or has been silent for so long that nobody counts on it."""

    point: str
    workflow: str
    reason: str


# --- controls --------------------------------------------------------------------------------------


class HoldSet(Event, tag="hold.set"):
    hold: str
    scope: r.Scope
    mode: w.HoldMode
    reason: str
    epoch: int
    workflow: str | None = None
    incident: str | None = None


class HoldLifted(Event, tag="hold.lifted"):
    hold: str
    scope: r.Scope
    reason: str
    epoch: int
    workflow: str | None = None
    incident: str | None = None


class ApprovalRequested(Event, tag="approval.requested"):
    approval: str
    subject: str
    workflow: str
    title: str
    digest: str
    content: Any
    approvers: tuple[str, ...]
    quorum: int
    expires_at: datetime
    version: int
    epoch: int
    requested_by: r.Principal
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class ApprovalDecided(Event, tag="approval.decided"):
    approval: str
    workflow: str
    person: str
    approve: bool
    note: str
    digest: str
    state: w.ApprovalState
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class ApprovalConsumed(Event, tag="approval.consumed"):
    approval: str
    workflow: str
    by: str
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class ApprovalExpired(Event, tag="approval.expired"):
    approval: str
    workflow: str
    run: str | None = None
    call: str | None = None
    incident: str | None = None


# --- incidents -------------------------------------------------------------------------------------


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


class EvidenceViewed(Event, tag="evidence.viewed"):
    incident: str
    workflow: str
    what: str


class ContainmentProposed(Event, tag="containment.proposed"):
    incident: str
    workflow: str
    items: tuple[r.ContainmentItem, ...]


class ContainmentRecorded(Event, tag="containment.recorded"):
    incident: str
    workflow: str
    item: str
    state: w.ContainmentState
    verified_how: str
    complete: bool


class AuditCompleted(Event, tag="audit.completed"):
    incident: str
    workflow: str
    audit: str
    runs: tuple[str, ...]
    answers: tuple[r.Answer, ...]
    objects: int


class PlanProposed(Event, tag="plan.proposed"):
    incident: str
    workflow: str
    plan: str
    digest: str
    items: tuple[r.Item, ...]


class PlanApproved(Event, tag="plan.approved"):
    incident: str
    workflow: str
    plan: str
    digest: str
    items: tuple[str, ...]
    accepted: tuple[str, ...] = ()
    note: str = ""


class ItemAttempted(Event, tag="item.attempted"):
    incident: str
    workflow: str
    plan: str
    item: str
    object: r.ObjectRef


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


class MessageSent(Event, tag="message.sent"):
    incident: str
    workflow: str
    message: str
    delivery: dict[str, str]
    complete: bool


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


# --- people and duties -----------------------------------------------------------------------------


class CredentialIssued(Event, tag="credential.issued"):
    credential: str
    principal: r.Principal
    secret_digest: str
    expires_at: datetime | None = None
    once: bool = False
    administrator: bool = False


class CredentialUsed(Event, tag="credential.used"):
    credential: str


class CredentialRevoked(Event, tag="credential.revoked"):
    credential: str
    reason: str


class DutyFailed(Event, tag="duty.failed"):
    """A background duty stopped doing its work; silence would look like success."""

    duty: str
    error: str


EVENT_TYPES: tuple[type[Event], ...] = tuple(
    sorted(
        (
            kind
            for kind in vars().copy().values()
            if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
        ),
        key=lambda kind: str(kind.__struct_config__.tag),
    )
)


def name_of(event: Event | type[Event]) -> str:
    """Answer the event's name, for example ``run.started``."""
    return str(event.__struct_config__.tag)


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the journal. ``seq`` counts from 1 without a gap."""

    seq: int
    at: datetime
    actor: r.Principal
    event: Event
