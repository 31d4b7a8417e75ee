"""Records: what is known now, each a fold of the journal (see :mod:`stopwork.ledger.fold`).

A record is frozen; a change is a new record made from an event. ``id`` is the primary key everywhere.
Times are aware and in UTC. Content that came from outside (arguments, results, images) is plain JSON.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, dataclass_transform

from msgspec import Struct

from stopwork.ledger.words import (
    ApprovalState,
    Audience,
    CheckState,
    ContainmentArea,
    ContainmentState,
    DetectedBy,
    EffectKind,
    HoldMode,
    IncidentStatus,
    IncidentType,
    ItemState,
    MessageState,
    Mode,
    Operation,
    Outcome,
    PlanState,
    PrincipalKind,
    Question,
    ReasonKind,
    RecoverySituation,
    ReenableCheck,
    Remedy,
    Risk,
    Role,
    RunStatus,
    ScopeKind,
    Severity,
    SeverityFactor,
    SignalKind,
    Stage,
    StepKind,
    Verdict,
)


# Type checkers do not see that a subclass of a frozen struct is frozen.
@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record(Struct, frozen=True, kw_only=True):
    """The base of every record: frozen, keyword-only, compared by value."""


# --- parts of records ------------------------------------------------------------------------------


class Principal(Record):
    """Who acted. ``id`` is an address for a person, the workflow for an agent, the duty for the system."""

    kind: PrincipalKind
    id: str

    def __str__(self) -> str:
        return self.id


class ObjectRef(Record):
    """One object in the outside world."""

    system: str
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.system}/{self.type}/{self.id}"


class ImageState(StrEnum):
    """``unknown`` is not ``absent``: the first means that nobody looked, or that looking failed."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Image(Record):
    """An object's recorded content at one moment."""

    state: ImageState
    content: Any = None
    note: str = ""

    @classmethod
    def present(cls, content: Any) -> Image:
        return cls(state=ImageState.PRESENT, content=content)

    @classmethod
    def absent(cls) -> Image:
        return cls(state=ImageState.ABSENT)

    @classmethod
    def unknown(cls, note: str) -> Image:
        return cls(state=ImageState.UNKNOWN, note=note)


class Captured(Record):
    """An object together with its image."""

    object: ObjectRef
    image: Image


class Observed(Record):
    """One object that a call changed, as the enforcement point saw it.

    ``source`` says how it was found: ``declared`` by the manifest, ``scan`` of its system, or ``capture`` by triggers.
    """

    object: ObjectRef
    operation: Operation
    before: Image
    after: Image
    source: str = "declared"


class Scope(Record):
    """What a hold covers: ``name`` within ``kind``, for one workflow or, when that is ``None``, for all."""

    kind: ScopeKind
    name: str = ""
    workflow: str | None = None

    def __str__(self) -> str:
        words = self.kind.value if self.kind is ScopeKind.EVERYTHING else f"{self.kind.value} {self.name}"
        within = self.workflow and self.kind is not ScopeKind.WORKFLOW
        return f"{words} of {self.workflow}" if within else words


class Reason(Record):
    """One reason for a verdict, in words, with the id of the record that caused it."""

    kind: ReasonKind
    verdict: Verdict
    text: str
    source: str = ""


class Decision(Record):
    """One person's answer to an approval request."""

    person: str
    approve: bool
    note: str
    at: datetime


class Factor(Record):
    """One severity factor: its level (``None`` where records cannot tell) and why."""

    factor: SeverityFactor
    level: Severity | None
    why: str
    records: tuple[str, ...] = ()


class Answer(Record):
    """The audit's answer to one question, with the ids of the records it rests on.

    ``missing`` says what the records cannot tell; an empty list of findings with nothing missing means *none*.
    """

    question: Question
    summary: str
    findings: tuple[dict[str, Any], ...] = ()
    records: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


# --- what agents do --------------------------------------------------------------------------------


class Workflow(Record):
    """A recurring agent job and how much it may do now. ``id`` is its name in the manifest."""

    id: str
    title: str
    version: int
    mode: Mode
    stage: Stage
    owners: dict[Role, str]
    applied_at: datetime
    applied_by: Principal
    stage_since: datetime | None = None
    incident: str | None = None


class ManifestVersion(Record):
    """One applied version of a manifest, as its exact text. ``id`` is ``workflow@version``."""

    id: str
    workflow: str
    version: int
    text: str
    digest: str
    reason: str
    at: datetime
    by: Principal


class Run(Record):
    """One execution of a workflow.

    ``trigger_id`` names the occasion (the same for a retry of the same occasion); ``runtime`` holds what ran:
    prompt and model versions, agent name, connector versions.
    """

    id: str
    workflow: str
    version: int
    trigger: str
    trigger_id: str
    attempt: int
    mode: Mode
    status: RunStatus
    started_at: datetime
    by: Principal
    retry_of: str | None = None
    runtime: dict[str, Any] = {}
    finished_at: datetime | None = None
    error: str | None = None
    calls: int = 0
    writes: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0


class Step(Record):
    """One thing in a run that is not a tool call. ``cost_usd`` is ``None`` when no price is known."""

    id: str
    run: str
    workflow: str
    kind: StepKind
    name: str
    at: datetime
    facts: dict[str, Any] = {}
    source: str | None = None
    as_of: datetime | None = None
    tokens: int = 0
    cost_usd: float | None = None


class Call(Record):
    """One tool call: what was asked, what was answered, what came of it.

    ``key`` is its idempotency key. ``verdict`` with no ``outcome`` is, when it is ``allow``, a call in flight.
    ``would`` is what enforcement would have answered while the workflow is only observed.
    """

    id: str
    run: str
    workflow: str
    version: int
    tool: str
    effect: EffectKind
    risk: Risk
    permission: str | None
    trigger: str
    args: dict[str, Any]
    args_digest: str
    key: str
    requested_at: datetime
    verdict: Verdict
    would: Verdict
    reasons: tuple[Reason, ...]
    epoch: int
    source: str | None = None
    destination: str | None = None
    permitted_at: datetime | None = None
    not_after: datetime | None = None
    approval: str | None = None
    replay_of: str | None = None
    business_key: str | None = None
    before: tuple[Captured, ...] = ()
    attempted_at: datetime | None = None
    outcome: Outcome | None = None
    result: Any = None
    error: str | None = None
    finished_at: datetime | None = None
    effects: int = 0
    in_flight: bool = False


class Key(Record):
    """An idempotency key and the call that holds it. ``id`` is ``workflow/key``."""

    id: str
    workflow: str
    call: str
    tool: str
    args_digest: str
    taken_at: datetime
    outcome: Outcome | None = None


class Effect(Record):
    """A change that one call made to one object."""

    id: str
    call: str
    run: str
    workflow: str
    tool: str
    object: ObjectRef
    operation: Operation
    before: Image
    after: Image
    at: datetime
    source: str
    object_key: str


class Point(Record):
    """A live guard. What it last confirmed is a heartbeat, which is not history and not in the journal."""

    id: str
    workflow: str
    name: str
    registered_at: datetime
    retired_at: datetime | None = None


class Control(Record):
    """The control epoch: it rises with every hold set or lifted and every stage changed. ``id`` is ``control``."""

    id: str = "control"
    epoch: int = 0


# --- controls --------------------------------------------------------------------------------------


class Hold(Record):
    """A pause of one scope. It never ends by itself."""

    id: str
    scope: Scope
    mode: HoldMode
    reason: str
    set_by: Principal
    set_at: datetime
    epoch: int
    incident: str | None = None
    lifted_at: datetime | None = None
    lifted_by: Principal | None = None
    lift_reason: str = ""
    active: bool = True


class Approval(Record):
    """A question to people about exact bytes. ``digest`` is what they approve; it is consumed once."""

    id: str
    subject: str
    workflow: str
    title: str
    digest: str
    content: Any
    requested_by: Principal
    requested_at: datetime
    approvers: tuple[str, ...]
    quorum: int
    expires_at: datetime
    version: int
    epoch: int
    state: ApprovalState
    decisions: tuple[Decision, ...] = ()
    run: str | None = None
    call: str | None = None
    incident: str | None = None
    consumed_by: str | None = None


# --- incidents -------------------------------------------------------------------------------------


class Signal(Record):
    """Something that may be an incident. ``key`` is the typed cause: signals with one key share one incident."""

    id: str
    kind: SignalKind
    type: IncidentType
    detector: str
    key: str
    workflow: str
    summary: str
    occurred_at: datetime
    raised_at: datetime
    facts: dict[str, Any] = {}
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class Incident(Record):
    """The one record of an incident. ``id`` is ``AI-INC-YYYY-MMDD-NNN``, by the UTC day of opening."""

    id: str
    type: IncidentType
    title: str
    workflow: str
    version: int
    detected_by: DetectedBy
    detected_at: datetime
    opened_at: datetime
    opened_by: Principal
    commander: str
    business_owner: str
    technical_owner: str
    backup_owner: str
    communication_owner: str
    postmortem_owner: str
    severity: Severity
    factors: tuple[Factor, ...]
    status: IncidentStatus
    cause: str
    affected_systems: tuple[str, ...] = ()
    data_classes: tuple[str, ...] = ()
    affected_parties: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    root_cause: str = ""
    next_update_at: datetime | None = None
    paused_at: datetime | None = None
    sealed_at: datetime | None = None
    bundle: str | None = None
    contained_at: datetime | None = None
    audited_at: datetime | None = None
    plan: str | None = None
    recovered_at: datetime | None = None
    communicated_at: datetime | None = None
    learned_at: datetime | None = None
    reenabled_at: datetime | None = None
    prepared_at: datetime | None = None
    closed_at: datetime | None = None


class Bundle(Record):
    """One exported evidence bundle."""

    id: str
    incident: str
    digest: str
    size_bytes: int
    entries: int
    tree_size: int
    kinds: dict[str, int]
    missing: tuple[str, ...]
    path: str
    at: datetime
    by: Principal


class ContainmentItem(Record):
    """One thing to make safe. ``id`` is ``incident/area/n``."""

    id: str
    incident: str
    area: ContainmentArea
    what: str
    why: str
    state: ContainmentState
    automatic: bool = False
    by: Principal | None = None
    at: datetime | None = None
    verified_how: str = ""


class Audit(Record):
    """The side-effect audit of an incident: twelve answers and the list of affected objects."""

    id: str
    incident: str
    runs: tuple[str, ...]
    answers: tuple[Answer, ...]
    objects: int
    at: datetime
    by: Principal


class Item(Record):
    """What recovery does to one object.

    ``changes`` maps a field to ``[value the agent left, value to put back]``; ``expected`` is the image that must still be
    there before anything is done; ``target`` is the image that must be there afterwards.
    """

    id: str
    plan: str
    incident: str
    object: ObjectRef
    situation: RecoverySituation
    remedy: Remedy
    reversible: bool
    preview: str
    calls: tuple[str, ...]
    effects: tuple[str, ...]
    expected: Image
    target: Image
    order: int
    state: ItemState
    changes: dict[str, list[Any]] = {}
    undo_tool: str | None = None
    undo_args: dict[str, Any] = {}
    must_tell: tuple[Audience, ...] = ()
    approved_by: str | None = None
    attempted_at: datetime | None = None
    finished_at: datetime | None = None
    done_by: Principal | None = None
    found: Image | None = None
    note: str = ""


class Plan(Record):
    """A recovery plan: shown before it runs, approved by the owner, run once per item."""

    id: str
    incident: str
    state: PlanState
    digest: str
    items: int
    proposed_at: datetime
    proposed_by: Principal
    approved_at: datetime | None = None
    approved_by: str | None = None
    finished_at: datetime | None = None


class Message(Record):
    """One communication. ``digest`` covers audience, recipients, subject and body: the exact text that is approved."""

    id: str
    incident: str
    audience: Audience
    recipients: tuple[str, ...]
    subject: str
    body: str
    digest: str
    state: MessageState
    drafted_at: datetime
    drafted_by: Principal
    approved_by: str | None = None
    approved_at: datetime | None = None
    sent_at: datetime | None = None
    delivery: dict[str, str] = {}
    error: str = ""


class FollowUp(Record):
    """One remediation with an owner and a date."""

    remediation: tuple[str, ...]
    what: str
    owner: str
    due_date: str


class Postmortem(Record):
    """What was learned. ``id`` is the incident's id."""

    id: str
    incident: str
    fields: dict[str, str]
    follow_ups: tuple[FollowUp, ...]
    at: datetime
    by: Principal
    closed_at: datetime | None = None


class Check(Record):
    """One re-enable check that a person answered. ``id`` is ``incident/check``."""

    id: str
    incident: str
    check: ReenableCheck
    state: CheckState
    note: str
    by: Principal
    at: datetime


class Note(Record):
    """A remark on an incident; ``occurred_at`` is when the thing happened, ``recorded_at`` when it was written."""

    id: str
    incident: str
    text: str
    occurred_at: datetime
    recorded_at: datetime
    by: Principal


# --- people ----------------------------------------------------------------------------------------


class Credential(Record):
    """A bearer token or a one-time link, known only by the digest of its secret. ``once`` is spent by its first use."""

    id: str
    principal: Principal
    secret_digest: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    once: bool = False
    used_at: datetime | None = None
    administrator: bool = False
