"""The pages of the console but for the incident's own."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from stopwork.incidents.observed import EnforcementReport
from stopwork.incidents.pause import Impact, Proposal
from stopwork.incidents.prepare import Preparedness
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.approval_evidence import ApprovalEvidence
from stopwork.operations.inventory import ListedCredential
from stopwork.operations.points import PointView
from stopwork.server.pages.contexts.parts import (
    ApprovalRow,
    CallRow,
    Context,
    Filter,
    Frame,
    HoldRow,
    IncidentRow,
    Paging,
    StageStep,
    TimelineRow,
    Unsettled,
)

# --- sign-in and errors ----------------------------------------------------------------------------


class SignInState(StrEnum):
    """Where a one-time link stands."""

    READY = "ready"
    EXPIRED = "expired"
    USED = "used"
    NO_LINK = "no_link"


class SignInContext(Context):
    """The landing of a one-time link. The link signs in by a button, so that a mail scanner cannot spend it."""

    frame: Frame
    state: SignInState
    person: str = ""
    token: str = ""


class ErrorContext(Context):
    """What went wrong, and what to do next."""

    frame: Frame
    status: int
    title: str
    detail: str
    hint: str
    facts: dict[str, str] = {}


# --- board -----------------------------------------------------------------------------------------


class WorkflowRow(Context):
    """A workflow on the board."""

    workflow: r.Workflow
    incidents: tuple[str, ...] = ()
    holds: tuple[r.Hold, ...] = ()
    unsettled: Unsettled = Unsettled()
    last_run: r.Run | None = None
    next_due: datetime | None = None


class BoardContext(Context):
    """What needs somebody now: incidents, approvals, holds, guards that are silent.

    Of more than ``most`` workflows, incidents or holds the first are shown; it is 0 where all are. ``unplaced`` counts the signals of which
    nobody has said yet which workflow they are about, ``standing_still`` are those about background duties that are not done. ``given`` is
    what this visitor has to make safe.
    """

    frame: Frame
    workflows: tuple[WorkflowRow, ...]
    holds: tuple[HoldRow, ...]
    incidents: tuple[IncidentRow, ...]
    approvals: tuple[ApprovalRow, ...]
    points: tuple[PointView, ...]
    closed_recently: tuple[r.Incident, ...] = ()
    most: int = 0
    proposals: tuple[IncidentRow, ...] = ()
    unplaced: int = 0
    standing_still: tuple[r.Signal, ...] = ()
    given: tuple[r.ContainmentItem, ...] = ()


# --- workflow and run ------------------------------------------------------------------------------


class ToolRow(Context):
    """A tool as the manifest declares it, and the hold that is on it."""

    name: str
    effect: w.EffectKind
    risk: w.Risk
    permission: str = ""
    object: str = ""
    gate: str = ""
    undo: str = ""
    held_by: r.Hold | None = None


class WorkflowContext(Context):
    """One workflow: what it may do, what it did, and how ready it is.

    ``observed`` is what enforcement would have done, while the workflow is only observed. ``next_pause_test`` is when the
    server will do one by itself, if it will. ``no_raise`` says why this visitor cannot give the next stage here.
    """

    frame: Frame
    workflow: r.Workflow
    manifest: r.ManifestVersion
    versions: tuple[r.ManifestVersion, ...]
    tools: tuple[ToolRow, ...]
    runs: tuple[r.Run, ...]
    filters: tuple[Filter, ...]
    paging: Paging
    holds: tuple[HoldRow, ...]
    preparedness: Preparedness
    stages: tuple[StageStep, ...]
    points: tuple[PointView, ...]
    incidents: tuple[str, ...] = ()
    observed: EnforcementReport | None = None
    next_pause_test: datetime | None = None
    no_raise: str = ""
    credentials: tuple[ListedCredential, ...] = ()

    @property
    def next_stage(self) -> StageStep | None:
        """The stage above the present one."""
        return next((step for step in self.stages if not step.passed and not step.current), None)

    @property
    def lower_stages(self) -> tuple[StageStep, ...]:
        """The stages that anyone may take it down to."""
        return tuple(step for step in self.stages if step.passed)

    @property
    def unsettled(self) -> Unsettled:
        """Everything that any hold on this workflow still waits for."""
        return Unsettled.of(row.pause for row in self.holds)


class Moment(Context):
    """One line of a run's timeline: a call or a step."""

    at: datetime
    call: CallRow | None = None
    step: r.Step | None = None


class RunContext(Context):
    """One run, call by call."""

    frame: Frame
    run: r.Run
    workflow: r.Workflow
    moments: tuple[Moment, ...]
    paging: Paging
    more_steps: bool = False
    incident: r.Incident | None = None
    other_attempts: tuple[r.Run, ...] = ()

    @property
    def doubtful(self) -> tuple[r.Call, ...]:
        """The calls on this page whose outcome nobody knows."""
        calls = (moment.call.call for moment in self.moments if moment.call)
        return tuple(call for call in calls if call.outcome is w.Outcome.UNKNOWN)


# --- pause, holds, approvals, journal --------------------------------------------------------------


class PauseOption(Context):
    """One hold that can be set, smallest first, with what it would have stopped in the last seven days.

    ``value`` is what the form sends: scope kind, mode and name, joined with colons. ``held`` is the hold that is set already.
    """

    value: str
    proposal: Proposal
    impact: Impact
    recommended: bool = False
    held: r.Hold | None = None


class PauseContext(Context):
    """The holds to choose from, smallest first.

    ``tools`` are those of the workflow; ``risk`` and ``tool`` are what the visitor has said that it is about.
    """

    frame: Frame
    options: tuple[PauseOption, ...]
    workflow: r.Workflow | None = None
    incident: r.Incident | None = None
    tools: tuple[str, ...] = ()
    risk: w.PauseRisk | None = None
    tool: str = ""
    why: str = ""
    reason: str = ""
    problem: str = ""


class HoldsContext(Context):
    """Every active hold, and the lifted ones."""

    frame: Frame
    active: tuple[HoldRow, ...]
    lifted: tuple[r.Hold, ...]
    paging: Paging = Paging(shown=0)


class HoldContext(Context):
    """A hold's own page: the three sets that a pause answers with."""

    frame: Frame
    row: HoldRow
    confirmed: tuple[PointView, ...]
    incident: r.Incident | None = None
    why_not_lift: str = ""


class ApprovalsContext(Context):
    """The questions: for this visitor, for others, and answered; and the versions of manifests that wait to be signed.

    ``more`` questions are open than the page looks at.
    """

    frame: Frame
    waiting: tuple[ApprovalRow, ...]
    others: tuple[ApprovalRow, ...]
    decided: tuple[r.Approval, ...]
    versions: tuple[r.ManifestVersion, ...] = ()
    paging: Paging = Paging(shown=0)
    more: bool = False


class ArgumentField(Context):
    """One argument as it can be changed: ``text`` is what stands in its field, plain for text, else as JSON."""

    name: str
    kind: str
    text: str


class ApprovalContext(Context):
    """What exactly would run, why it asks, what is known about it, and whether this visitor may answer or change it."""

    frame: Frame
    row: ApprovalRow
    call: r.Call | None = None
    workflow: r.Workflow | None = None
    more: int = 0
    evidence: ApprovalEvidence | None = None
    fields: tuple[ArgumentField, ...] = ()


class JournalRow(Context):
    """One journal entry with its body."""

    line: TimelineRow
    body: Any


class JournalContext(Context):
    """The journal, newest first, a page at a time."""

    frame: Frame
    rows: tuple[JournalRow, ...]
    filters: tuple[Filter, ...]
    paging: Paging
