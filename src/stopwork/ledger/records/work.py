"""What agents do: workflows, runs, steps, calls and their effects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stopwork.ledger.records.parts import (
    Captured,
    Image,
    ObjectRef,
    Principal,
    Reason,
    Record,
)
from stopwork.ledger.records.pause_tests import PauseTest
from stopwork.ledger.records.steering import Suspicion
from stopwork.ledger.words import (
    EffectKind,
    Mode,
    Operation,
    Outcome,
    Risk,
    Role,
    RunStatus,
    Stage,
    StepKind,
    Verdict,
    VersionState,
)


class Workflow(Record):
    """A recurring agent job and how much it may do now. ``id`` is its name in the manifest; ``pause_test`` is the latest.

    ``formerly`` is the name it had before: what is held under that name is held under this one.
    """

    id: str
    title: str
    version: int
    mode: Mode
    stage: Stage
    owners: dict[Role, str]
    applied_at: datetime
    applied_by: Principal
    stage_since: datetime | None = None
    stage_epoch: int = 0
    incident: str | None = None
    stage_reason: str = ""
    pause_test: PauseTest | None = None
    formerly: str | None = None


class ManifestVersion(Record):
    """One version of a manifest, as its exact text. ``id`` is ``workflow@version``.

    A version that gives the agent more room may have to wait for a second person: it is then proposed against the version
    ``basis``, for a person of the role ``approver``, and ``decided_by`` says who signed or declined it.
    """

    id: str
    workflow: str
    version: int
    text: str
    digest: str
    reason: str
    at: datetime
    by: Principal
    state: VersionState = VersionState.APPLIED
    basis: int | None = None
    approver: Role | None = None
    decided_by: Principal | None = None
    decided_at: datetime | None = None
    note: str = ""
    in_force_since: datetime | None = None


class Run(Record):
    """One execution of a workflow.

    ``trigger_id`` names the occasion (the same for a retry of the same occasion); ``runtime`` holds what ran:
    prompt and model versions, agent name, connector versions, as the agent says. ``digests`` are what the server knows itself: of
    the manifest and of the schedule in it. ``backfill`` is the order by which it makes up for a missed run. ``task`` is what it was asked to do,
    in the words it was asked in. ``foreign`` are the newest calls and steps that read from a source outside; a run of a version that did not yet
    look at them ``notes_reads`` not. It was ``steered`` by those things within them which a call was found to follow, unless people let it pass.
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
    digests: dict[str, str] = {}
    backfill: str | None = None
    task: str = ""
    notes_reads: bool = False
    finished_at: datetime | None = None
    error: str | None = None
    foreign: tuple[str, ...] = ()
    steered: tuple[str, ...] = ()
    calls: int = 0
    writes: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0


class Day(Record):
    """What the runs of a workflow have been permitted and have spent on one UTC day, whenever they began. ``id`` is ``workflow/date``."""

    id: str
    workflow: str
    calls: int = 0
    writes: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    @staticmethod
    def id_of(workflow: str, at: datetime) -> str:
        return f"{workflow}/{at.astimezone(UTC).date().isoformat()}"


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
    ``would`` is what enforcement would have answered while the workflow is only observed. ``session`` is the guard's one
    way through this call: permit, attempt and outcome are of the same. ``point`` is the guard itself. ``destinations`` is
    ``None`` where the manifest names them and they could not be read. ``asked_args`` are what the agent gave where a reviewer's
    ``args`` take their place, and ``draft`` is the drafted call that this one carries out. ``began_at`` is set for a read that the
    guard decided itself, on a lease, and reported afterwards. ``exceeding`` of its ``effects`` go further than the manifest declares.
    ``unseen`` are the systems in which nobody could look what it changed, with why. ``suspicion`` is why it may follow a text that its
    run has read.
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
    source_class: str | None = None
    destinations: tuple[str, ...] | None = ()
    session: str | None = None
    point: str | None = None
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
    exceeding: int = 0
    unseen: dict[str, str] = {}
    in_flight: bool = False
    reconciled: bool = False
    asked_args: dict[str, Any] | None = None
    draft: str | None = None
    began_at: datetime | None = None
    suspicion: Suspicion | None = None

    @property
    def destination(self) -> str | None:
        """Where its effect goes, in words."""
        return ", ".join(self.destinations or ()) or None

    @property
    def never_began(self) -> bool:
        """Whether it would change something and was never attempted."""
        return self.effect is not EffectKind.READ and self.attempted_at is None


class Key(Record):
    """An idempotency key and the call that holds it. ``id`` is ``workflow/key``.

    ``settled_by`` is who has said that the call succeeded, without knowing its result. ``idle_since`` is when it was last used,
    once it is known how the call ended; an ``expired`` key has been so for longer than the manifest keeps it, and is free.
    """

    id: str
    workflow: str
    call: str
    tool: str
    args_digest: str
    taken_at: datetime
    outcome: Outcome | None = None
    settled_by: str | None = None
    idle_since: datetime | None = None
    expired: bool = False


class Effect(Record):
    """A change that one call made to one object.

    ``exceeds`` is the effect that the manifest declares for the tool where this goes further than that: a read that wrote.
    """

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
    exceeds: EffectKind | None = None


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
