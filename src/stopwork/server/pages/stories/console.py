"""Every page but the incident's own, in every state: what :mod:`~stopwork.server.pages.storybook` writes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stopwork.incidents.observed import Divergence, EnforcementReport, Example
from stopwork.incidents.pause import Impact, Proposal
from stopwork.incidents.prepare import Preparedness, Readiness
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.holds import Pause, PauseState
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import aftermath as a
from stopwork.server.pages.stories import proofs
from stopwork.server.pages.stories import world as s
from stopwork.server.pages.stories.credentials import CREDENTIALS

changed = msgspec.structs.replace

INVENTED = "invented"


def frame(
    title: str, section: str = "", *, path: str = "/", watch: str = "all", flash: c.Flash | None = None
) -> c.Frame:
    """Answer the frame of a page that dana looks at in the story's present."""
    return c.Frame(
        title=title,
        visit=c.Visit(person="dana@acme.test", csrf="csrf-of-the-story", path=path, flash=flash),
        now=s.NOW,
        seq=1902,
        watch=watch,
        counts=c.Counts(incidents=1, approvals=1, holds=1),
        section=section,
    )


def stranger(title: str) -> c.Frame:
    """Answer the frame of a page for somebody who is not signed in."""
    return c.Frame(
        title=title, visit=c.Visit(person="", csrf="csrf-of-the-story", path="/sign-in"), now=s.NOW
    )


PAUSED = Pause(hold=s.HOLD, state=PauseState.DRAINED, closed=s.HOLD.scope, in_flight=(), unconfirmed=())
PAUSING = Pause(
    hold=s.HOLD,
    state=PauseState.PAUSING,
    closed=s.HOLD.scope,
    in_flight=(s.IN_FLIGHT_CALL,),
    unconfirmed=(s.LATE_POINT, *s.SILENT_POINTS),
    confirmed=1,
)
HOLD_ROW = c.HoldRow(
    pause=PAUSED,
    covers="Creating tasks in the CRM, for this workflow only. Reading and account updates go on.",
    stopped_calls=7,
)
PAUSING_ROW = changed(HOLD_ROW, pause=PAUSING)
PENDING = c.ApprovalRow(approval=s.APPROVAL)
STAGES = tuple(
    c.StageStep(stage=stage, allows=allows, current=stage is w.Stage.APPROVED_WRITES, passed=index < 2)
    for index, (stage, allows) in enumerate(
        {
            w.Stage.READ_ONLY: "Reads run; writes are denied.",
            w.Stage.DRAFT_ONLY: "Writes are recorded as drafts.",
            w.Stage.APPROVED_WRITES: "Each write asks first.",
            w.Stage.LIMITED: "Some writes ask, under caps.",
            w.Stage.NORMAL: "The manifest's own gates apply.",
        }.items()
    )
)
PREPAREDNESS = Preparedness(
    workflow=s.WORKFLOW.id,
    at=s.NOW,
    score=60,
    checks=tuple(
        Readiness(check=check, state=state, found=found, todo=todo)
        for check, state, found, todo in (
            (w.PreparednessCheck.OWNER_MAP, w.CheckState.PASSED, "Four owners are named.", ""),
            (
                w.PreparednessCheck.PAUSE_CONTROL,
                w.CheckState.FAILED,
                "No pause was tested.",
                "Pause once and lift it.",
            ),
            (w.PreparednessCheck.RUN_RECORDS, w.CheckState.PASSED, "The last 3 runs hold every part.", ""),
            (
                w.PreparednessCheck.AFFECTED_OBJECT_TRACKING,
                w.CheckState.FAILED,
                "Missing: crm.create_task has no idempotency key.",
                "Declare idempotency for every write.",
            ),
            (
                w.PreparednessCheck.APPROVAL_GATES,
                w.CheckState.PASSED,
                "mail.send asks the business owner.",
                "",
            ),
            (w.PreparednessCheck.SEVERITY_MATRIX, w.CheckState.PASSED, "Data classes are declared.", ""),
            (w.PreparednessCheck.ALERT_RULES, w.CheckState.PASSED, "Duplicate, missed run and cost.", ""),
            (w.PreparednessCheck.RECOVERY_PATHS, w.CheckState.PASSED, "Each write can be undone.", ""),
            (w.PreparednessCheck.CHANGE_CONTROL, w.CheckState.PASSED, "Prompt and model are versioned.", ""),
            (
                w.PreparednessCheck.TABLETOP_DRILL,
                w.CheckState.UNKNOWN,
                "No drill is recorded.",
                "Rehearse once.",
            ),
        )
    ),
)
UPDATED = c.EffectRow(
    effect=s.effect(
        s.UPDATE_CALL, s.ACCOUNT, w.Operation.MODIFIED, r.Image.unknown("story"), r.Image.unknown("story")
    ),
    fields=(
        c.FieldChange(name="renewal_date", before="2026-03-31", after="2025-03-31"),
        c.FieldChange(name="renewal_risk", before="low", after="high"),
        c.FieldChange(name="owner", after="renewal-agent", before_known=False),
    ),
)
CREATED = c.EffectRow(
    effect=s.effect(s.COPY_CALL, s.COPY, w.Operation.CREATED, r.Image.absent(), r.Image.unknown("story")),
    fields=(
        c.FieldChange(name="title", after="Prepare renewal of Brightwater Logistics"),
        c.FieldChange(name="status", after="open"),
    ),
)
MARKED = c.EffectRow(
    effect=s.effect(
        s.MARKING_CALL, s.NOTE, w.Operation.MODIFIED, r.Image.unknown("story"), r.Image.unknown("story")
    ),
    fields=(c.FieldChange(name="read", before=False, after=True),),
)
OBSERVED = EnforcementReport(
    workflow=s.OBSERVED_WORKFLOW.id,
    since=s.ago(days=7),
    calls=120,
    stopped=2,
    asked=0,
    good_stopped=1,
    divergences=(
        Divergence(
            tool="crm.create_task",
            would=w.Verdict.DENY,
            kind=w.ReasonKind.CONDITION,
            calls=2,
            good=1,
            examples=(
                Example(
                    call="call_1",
                    run=s.RUN.id,
                    args={"account_id": "acme"},
                    at=s.ago(days=1),
                    text='denied when args.account_id == "acme"',
                    good=True,
                ),
            ),
        ),
    ),
)
MOMENTS = (
    c.Moment(at=s.READ_CALL.requested_at, call=c.CallRow(call=s.READ_CALL)),
    c.Moment(at=s.STEP.at, step=s.STEP),
    c.Moment(at=s.MODEL_STEP.at, step=s.MODEL_STEP),
    c.Moment(at=s.UPDATE_CALL.requested_at, call=c.CallRow(call=s.UPDATE_CALL, effects=(UPDATED,))),
    c.Moment(at=s.CREATE_CALL.requested_at, call=c.CallRow(call=s.CREATE_CALL)),
    c.Moment(at=s.COPY_CALL.requested_at, call=c.CallRow(call=s.COPY_CALL, effects=(CREATED,))),
    c.Moment(at=s.DENIED_CALL.requested_at, call=c.CallRow(call=s.DENIED_CALL)),
    c.Moment(at=s.WAITING_CALL.requested_at, call=c.CallRow(call=s.WAITING_CALL, approval=s.APPROVAL)),
    c.Moment(at=s.REPLAY_CALL.requested_at, call=c.CallRow(call=s.REPLAY_CALL)),
    c.Moment(at=s.IN_FLIGHT_CALL.requested_at, call=c.CallRow(call=s.IN_FLIGHT_CALL)),
    c.Moment(at=s.DOUBTFUL_CALL.requested_at, call=c.CallRow(call=s.DOUBTFUL_CALL)),
    c.Moment(at=s.OBSERVED_CALL.requested_at, call=c.CallRow(call=s.OBSERVED_CALL)),
    c.Moment(at=s.MARKING_CALL.requested_at, call=c.CallRow(call=s.MARKING_CALL, effects=(MARKED,))),
)


def entrance_stories() -> Iterator[tuple[str, c.Context]]:
    """Answer the pages around the console: signing in, and errors."""
    yield (
        "sign-in",
        c.SignInContext(
            frame=stranger("Sign in"), state=c.SignInState.READY, person="dana@acme.test", token=INVENTED
        ),
    )
    for state in (c.SignInState.EXPIRED, c.SignInState.USED, c.SignInState.NO_LINK):
        yield f"sign-in-{state.value}", c.SignInContext(frame=stranger("Sign in"), state=state)
    yield (
        "error-not-found",
        c.ErrorContext(
            frame=frame("Not found", watch="none"),
            status=404,
            title="There is no such thing",
            detail="No run has the id run_01kzz.",
            hint="Check the id, or look for the run on its workflow's page.",
            facts={"run": "run_01kzz"},
        ),
    )
    yield (
        "error-conflict",
        c.ErrorContext(
            frame=frame("Conflict", watch="none"),
            status=409,
            title="The request contradicts what is recorded",
            detail="Recovery cannot start: the evidence of AI-INC-2026-0105-001 is not sealed.",
            hint="Seal the evidence first.",
        ),
    )


def board_stories() -> Iterator[tuple[str, c.Context]]:
    """Answer the board for a newcomer, on a calm day and on a bad one."""
    calm_rows = (
        c.WorkflowRow(
            workflow=s.CALM_WORKFLOW, last_run=s.RUNS[1], next_due=s.NOW + (s.NOW - s.ago(days=6, hours=23))
        ),
        c.WorkflowRow(workflow=s.OBSERVED_WORKFLOW, next_due=s.ago(minutes=25)),
    )
    yield (
        "board-empty",
        c.BoardContext(
            frame=changed(frame("Board", "board"), counts=c.Counts()),
            workflows=(),
            holds=(),
            incidents=(),
            approvals=(),
            points=(),
        ),
    )
    yield (
        "board-calm",
        c.BoardContext(
            frame=changed(frame("Board", "board"), counts=c.Counts()),
            workflows=calm_rows,
            holds=(),
            incidents=(),
            approvals=(),
            points=(s.POINT,),
            closed_recently=(
                changed(
                    a.INCIDENT,
                    id="AI-INC-2025-1218-002",
                    status=w.IncidentStatus.CLOSED,
                    closed_at=s.ago(days=17),
                ),
            ),
        ),
    )
    yield (
        "board-standing-still",
        c.BoardContext(
            frame=changed(frame("Board", "board"), counts=c.Counts()),
            workflows=calm_rows,
            holds=(),
            incidents=(),
            approvals=(),
            points=(s.POINT,),
            standing_still=(s.STANDING_STILL,),
        ),
    )
    yield (
        "board-busy",
        c.BoardContext(
            frame=frame("Board", "board"),
            workflows=(
                c.WorkflowRow(
                    workflow=s.WORKFLOW,
                    incidents=(a.INCIDENT.id,),
                    holds=(s.HOLD,),
                    last_run=s.RUN,
                    next_due=calm_rows[0].next_due,
                ),
                calm_rows[1],
            ),
            holds=(HOLD_ROW,),
            given=(a.CONTAINMENT[1],),
            incidents=(
                c.IncidentRow(
                    incident=changed(
                        a.INCIDENT,
                        id="AI-INC-2026-0104-001",
                        severity=w.Severity.SEV0,
                        title="Payroll export reached an outside address",
                        next_update_at=s.ago(minutes=4),
                        opened_at=s.ago(hours=17),
                    ),
                    holds=(),
                    unsettled=c.Unsettled(),
                    next_title="Pause everything this agent can reach",
                ),
                c.IncidentRow(
                    incident=a.INCIDENT,
                    holds=(s.HOLD,),
                    unsettled=PAUSING_ROW.unsettled,
                    next_title="Seal the evidence",
                ),
            ),
            approvals=(PENDING,),
            points=(s.POINT, s.LATE_POINT),
        ),
    )


def workflow_stories() -> Iterator[tuple[str, c.Context]]:
    """Answer the pages of a workflow and its runs."""
    page = c.WorkflowContext(
        credentials=CREDENTIALS,
        frame=frame(
            s.WORKFLOW.title, path="/workflows/weekly-renewal-risk", watch="workflow:weekly-renewal-risk"
        ),
        workflow=changed(
            s.WORKFLOW, pause_test=proofs.PAUSE_TEST, stage_reason=proofs.DEMOTED, stage_since=s.ago(hours=2)
        ),
        next_pause_test=s.ago(days=-19),
        incidents=(a.INCIDENT.id,),
        manifest=s.MANIFEST,
        versions=(s.MANIFEST, s.FIRST_MANIFEST),
        tools=(
            c.ToolRow(
                name="crm.list_accounts",
                effect=w.EffectKind.READ,
                risk=w.Risk.LOW,
                permission="crm.accounts.read",
            ),
            c.ToolRow(
                name="crm.update_account",
                effect=w.EffectKind.UPDATE,
                risk=w.Risk.MEDIUM,
                permission="crm.accounts.write",
                object="crm / account",
                undo="system crm",
            ),
            c.ToolRow(
                name="crm.create_task",
                effect=w.EffectKind.CREATE,
                risk=w.Risk.LOW,
                permission="crm.tasks.write",
                object="crm / task",
                undo="tool crm.close_task",
                held_by=s.HOLD,
            ),
            c.ToolRow(
                name="mail.send", effect=w.EffectKind.SEND, risk=w.Risk.HIGH, gate="always: business owner"
            ),
            c.ToolRow(name="crm.drop_account", effect=w.EffectKind.DELETE, risk=w.Risk.BLOCKED),
        ),
        runs=s.RUNS,
        filters=(
            c.Filter(
                name="status",
                label="Result",
                choices=(
                    c.Choice(value="", label="any", chosen=True),
                    *(c.Choice(value=x.value, label=x.value) for x in w.RunStatus),
                ),
            ),
        ),
        paging=c.Paging(shown=3, older="/workflows/weekly-renewal-risk?after=run_1"),
        holds=(HOLD_ROW,),
        preparedness=PREPAREDNESS,
        stages=STAGES,
        points=(s.POINT, s.LATE_POINT),
    )
    yield "workflow", page
    yield (
        "workflow-observed",
        changed(
            page,
            workflow=s.OBSERVED_WORKFLOW,
            holds=(),
            runs=(),
            paging=c.Paging(shown=0),
            points=(),
            versions=(s.MANIFEST,),
            observed=OBSERVED,
        ),
    )
    yield (
        "workflow-pause-test-failed",
        changed(page, workflow=changed(s.CALM_WORKFLOW, pause_test=proofs.FAILED_PAUSE_TEST), holds=()),
    )
    run = c.RunContext(
        frame=frame("Run", path=f"/runs/{s.RUN.id}", watch=f"run:{s.RUN.id}"),
        run=s.RUN,
        workflow=s.WORKFLOW,
        moments=MOMENTS,
        paging=c.Paging(shown=len(MOMENTS)),
        incident=a.INCIDENT,
        other_attempts=(changed(s.RUNS[2], attempt=1),),
    )
    yield "run", run
    yield (
        "run-empty",
        changed(run, run=s.RUNNING, moments=(), incident=None, other_attempts=(), paging=c.Paging(shown=0)),
    )


def control_stories() -> Iterator[tuple[str, c.Context]]:
    """Answer the pages on which people stop and decide."""
    pause = c.PauseContext(
        frame=frame("Pause", path="/pause", watch="none"),
        why="A duplicated write is stopped where it is made: hold the tool that repeats it.",
        tools=("crm.list_accounts", "crm.update_account", "crm.create_task", "mail.send"),
        risk=w.PauseRisk.DUPLICATE_WORK,
        tool="crm.create_task",
        options=tuple(
            c.PauseOption(
                value=f"{kind.value}:{mode.value}:{name}",
                proposal=Proposal(
                    scope=r.Scope(kind=kind, name=name, workflow=within),
                    mode=mode,
                    stops=stops,
                    keeps_running=keeps,
                ),
                impact=Impact(calls_stopped=stopped, calls_kept=84 - stopped, runs_stopped=due),
                recommended=kind is w.ScopeKind.TOOL,
            )
            for kind, mode, name, within, stops, keeps, stopped, due in (
                (
                    w.ScopeKind.TOOL,
                    w.HoldMode.BLOCK,
                    "crm.create_task",
                    s.WORKFLOW.id,
                    "creating tasks in the CRM.",
                    "reading, account updates and mail.",
                    22,
                    0,
                ),
                (
                    w.ScopeKind.TRIGGER,
                    w.HoldMode.BLOCK,
                    "schedule",
                    s.WORKFLOW.id,
                    "the Monday run and its retries.",
                    "runs that a person starts.",
                    84,
                    1,
                ),
                (
                    w.ScopeKind.WORKFLOW,
                    w.HoldMode.READ_ONLY,
                    s.WORKFLOW.id,
                    None,
                    "every write of this workflow.",
                    "its reads.",
                    41,
                    0,
                ),
                (w.ScopeKind.EVERYTHING, w.HoldMode.BLOCK, "", None, "every agent.", "nothing.", 84, 1),
            )
        ),
        workflow=s.WORKFLOW,
        incident=a.INCIDENT,
    )
    yield "pause", pause
    yield "pause-problem", changed(pause, problem="A hold needs a reason: one sentence is enough.")
    yield "pause-nothing", changed(pause, options=(), workflow=None, incident=None, why="")
    yield (
        "holds",
        c.HoldsContext(
            frame=frame("Holds", "holds"),
            active=(PAUSING_ROW,),
            lifted=(s.LIFTED_HOLD,),
        ),
    )
    yield "holds-none", c.HoldsContext(frame=frame("Holds", "holds"), active=(), lifted=())
    yield (
        "hold-pausing",
        c.HoldContext(
            frame=frame(
                "Hold",
                "holds",
                flash=c.Flash(
                    kind=c.FlashKind.DONE, text="The hold is set.", hint="New calls are refused from now on."
                ),
            ),
            row=PAUSING_ROW,
            confirmed=(s.POINT,),
            incident=a.INCIDENT,
        ),
    )
    yield (
        "hold-paused",
        c.HoldContext(frame=frame("Hold", "holds"), row=HOLD_ROW, confirmed=(s.POINT, s.LATE_POINT)),
    )
    yield (
        "hold-lifted",
        c.HoldContext(
            frame=frame("Hold", "holds"),
            row=changed(HOLD_ROW, pause=changed(PAUSED, hold=s.LIFTED_HOLD)),
            confirmed=(),
        ),
    )
