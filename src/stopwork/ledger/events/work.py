"""Events of declarations, runs and calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events.base import Event


class ManifestApplied(Event, tag="manifest.applied"):
    """A version is in force. ``despite`` names the holds that somebody said it is no way around."""

    workflow: str
    version: int
    title: str
    mode: w.Mode
    stage: w.Stage
    owners: dict[w.Role, str]
    text: str
    digest: str
    reason: str
    basis: int | None = None
    supersedes: int | None = None
    formerly: str | None = None
    despite: tuple[str, ...] = ()


class ManifestProposed(Event, tag="manifest.proposed"):
    """A version that gives the agent more room waits for a second person; until then ``basis`` stays in force.

    ``despite`` is as in :class:`ManifestApplied`.
    """

    workflow: str
    version: int
    text: str
    digest: str
    reason: str
    basis: int
    approver: w.Role
    loosens: tuple[str, ...]
    supersedes: int | None = None
    despite: tuple[str, ...] = ()


class ManifestApproved(Event, tag="manifest.approved"):
    """A second person signed a proposed version: it is in force."""

    workflow: str
    version: int
    title: str
    mode: w.Mode
    owners: dict[w.Role, str]
    digest: str
    note: str = ""
    formerly: str | None = None


class ManifestDeclined(Event, tag="manifest.declined"):
    """A proposed version will not come into force."""

    workflow: str
    version: int
    reason: str


class StageChanged(Event, tag="workflow.stage_changed"):
    workflow: str
    before: w.Stage
    after: w.Stage
    reason: str
    epoch: int
    incident: str | None = None
    rule: str = ""


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
    digests: dict[str, str] = {}
    backfill: str | None = None
    task: str = ""
    notes_reads: bool = False


class RunFinished(Event, tag="run.finished"):
    run: str
    workflow: str
    status: w.RunStatus
    error: str | None = None
    backfill: str | None = None


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
    """The guard answered a call. An ``allow`` is the permit: the intent, durable before the call runs.

    ``session`` is the guard's one way through the call, ``point`` the guard. ``asked_args`` are what the agent gave where a
    reviewer's ``args`` take their place, ``draft`` the drafted call that this one carries out. ``destination`` is how older
    journals name all ``destinations`` in one text. ``began_at`` is when a read began that the guard decided itself, on a lease,
    and reported afterwards. ``suspicion`` is why it may follow a text that its run has read.
    """

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
    renewed: bool = False
    source_class: str | None = None
    destinations: tuple[str, ...] | None = ()
    session: str | None = None
    point: str | None = None
    asked_args: dict[str, Any] | None = None
    draft: str | None = None
    began_at: datetime | None = None
    suspicion: r.Suspicion | None = None

    @property
    def let_pass(self) -> bool:
        """Answer whether people let the call pass, knowing which text it may follow."""
        return self.approval is not None and any(
            reason.kind is w.ReasonKind.INJECTION and reason.verdict is w.Verdict.ALLOW
            for reason in self.reasons
        )


class CallAttempted(Event, tag="call.attempted"):
    """The before-images are durable; the tool is about to run."""

    call: str
    run: str
    workflow: str
    before: tuple[r.Captured, ...]


class CallFinished(Event, tag="call.finished"):
    """The call's outcome is known, or known to be unknown; ``effects`` are the objects it changed.

    ``ended_at`` is when, where that is told afterwards. ``unseen`` are systems in which nobody could look what it changed, with why.
    """

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
    draft: str | None = None
    ended_at: datetime | None = None
    unseen: dict[str, str] = {}


class EffectsObserved(Event, tag="call.effects_observed"):
    """More objects that the call changed: those that only its result names, or of which there were too many to tell at once.

    ``total`` counts all effects of the call, and ``exceeding`` those that go further than the manifest declares.
    """

    call: str
    run: str
    workflow: str
    effects: tuple[r.Effect, ...]
    total: int
    exceeding: int = 0


class KeysExpired(Event, tag="keys.expired"):
    """Idempotency keys that nobody has used for as long as their manifest keeps them are free; none of an unknown outcome is."""

    workflow: str
    keys: tuple[str, ...]


class PointRegistered(Event, tag="point.registered"):
    point: str
    workflow: str
    name: str


class PointRetired(Event, tag="point.retired"):
    """The guard said goodbye, or has been silent for so long that nobody counts on it."""

    point: str
    workflow: str
    reason: str
