"""An invented world for the storybook: one workflow that went wrong, at every point of its way back.

Nothing is read from a database. The renewal agent repeated task creation after a time-out and wrote wrong dates from
a stale export: what the demo shows with real processes, frozen here as records.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.points import PointState, PointView, Unconfirmed

NOW = datetime(2026, 1, 5, 8, 31, 12, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script>"

AGENT = r.Principal(kind=w.PrincipalKind.AGENT, id="weekly-renewal-risk")
DANA = r.Principal(kind=w.PrincipalKind.PERSON, id="dana@acme.test")
LEE = r.Principal(kind=w.PrincipalKind.PERSON, id="lee@acme.test")
RULE = r.Principal(kind=w.PrincipalKind.SYSTEM, id="detector duplicate_action")

INCIDENT_ID = "AI-INC-2026-0105-001"


def ago(**parts: float) -> datetime:
    """Answer a moment before the story's present."""
    return NOW - timedelta(**parts)


OWNERS = {
    w.Role.BUSINESS: "dana@acme.test",
    w.Role.TECHNICAL: "lee@acme.test",
    w.Role.BACKUP: "kim@acme.test",
    w.Role.SECURITY: "sec@acme.test",
}

WORKFLOW = r.Workflow(
    id="weekly-renewal-risk",
    title="Weekly renewal risk prep",
    version=3,
    mode=w.Mode.ENFORCE,
    stage=w.Stage.READ_ONLY,
    owners=OWNERS,
    applied_at=ago(days=12),
    applied_by=LEE,
    incident=INCIDENT_ID,
)

CALM_WORKFLOW = msgspec.structs.replace(WORKFLOW, stage=w.Stage.NORMAL, incident=None)

OBSERVED_WORKFLOW = r.Workflow(
    id="invoice-triage",
    title="Invoice triage",
    version=1,
    mode=w.Mode.OBSERVE,
    stage=w.Stage.NORMAL,
    owners={w.Role.BUSINESS: "dana@acme.test", w.Role.TECHNICAL: "kim@acme.test"},
    applied_at=ago(days=1, hours=3),
    applied_by=r.Principal(kind=w.PrincipalKind.PERSON, id="kim@acme.test"),
)

MANIFEST_TEXT = """workflow: weekly-renewal-risk
title: Weekly renewal risk prep
mode: enforce
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
tools:
  crm.update_account: {effect: update, risk: medium, object: {system: crm, type: account, id: args.account_id}}
  crm.create_task: {effect: create, object: {system: crm, type: task, id: result.id}}
"""

MANIFEST = r.ManifestVersion(
    id="weekly-renewal-risk@3",
    workflow="weekly-renewal-risk",
    version=3,
    text=MANIFEST_TEXT,
    digest="sha256:" + "4f" * 32,
    reason="Ask before mail goes to customers",
    at=ago(days=12),
    by=LEE,
)

FIRST_MANIFEST = msgspec.structs.replace(
    MANIFEST, id="weekly-renewal-risk@1", version=1, reason="First version", at=ago(days=60), by=DANA
)

RUN = r.Run(
    id="run_01ke69p2kq3c8xw4t1v7m0r5az",
    workflow=WORKFLOW.id,
    version=3,
    trigger="schedule",
    trigger_id="schedule/2026-01-05",
    attempt=2,
    mode=w.Mode.ENFORCE,
    status=w.RunStatus.FAILED,
    started_at=ago(minutes=14, seconds=20),
    finished_at=ago(minutes=12, seconds=2),
    by=AGENT,
    task="Set the renewal risk of every account, and make a task for each that we may lose.",
    runtime={
        "agent": "renewal-risk 1.4.0",
        "model": "scripted",
        "prompt": "sha256:77ab…",
        "crm_connector": "2.1",
    },
    error="crm.create_task was denied: held by hold_01ke6a",
    calls=31,
    writes=22,
    tokens=48_210,
    cost_usd=0.38,
    unpriced=1,
)

RUNS = (
    RUN,
    msgspec.structs.replace(
        RUN,
        id="run_01kdm09p2kq3c8xw4t1v7m0r5b",
        status=w.RunStatus.SUCCEEDED,
        attempt=1,
        started_at=ago(days=7, minutes=14),
        finished_at=ago(days=7, minutes=11),
        error=None,
        writes=12,
        unpriced=0,
    ),
    msgspec.structs.replace(
        RUN,
        id="run_01kd109p2kq3c8xw4t1v7m0r5c",
        status=w.RunStatus.ABANDONED,
        attempt=1,
        started_at=ago(days=14, minutes=14),
        finished_at=None,
        error=None,
        writes=1,
        calls=3,
        cost_usd=0.0041,
    ),
)

RUNNING = msgspec.structs.replace(
    RUN,
    id="run_01ke69zz",
    status=w.RunStatus.RUNNING,
    finished_at=None,
    error=None,
    attempt=1,
    started_at=ago(seconds=40),
    task="",
    foreign=("call_0001",),
)

_BASE_CALL = r.Call(
    id="call_0001",
    run=RUN.id,
    workflow=WORKFLOW.id,
    version=3,
    tool="crm.list_accounts",
    effect=w.EffectKind.READ,
    risk=w.Risk.LOW,
    permission="crm.accounts.read",
    trigger="schedule",
    args={},
    args_digest="sha256:" + "a1" * 32,
    key="schedule/2026-01-05/crm.list_accounts/1",
    requested_at=ago(minutes=14, seconds=18),
    verdict=w.Verdict.ALLOW,
    would=w.Verdict.ALLOW,
    reasons=(),
    epoch=41,
    permitted_at=ago(minutes=14, seconds=18),
    attempted_at=ago(minutes=14, seconds=18),
    finished_at=ago(minutes=14, seconds=17, milliseconds=870),
    outcome=w.Outcome.SUCCEEDED,
    result={"accounts": 12},
)


def call(number: int, tool: str, args: dict[str, Any], **changes: Any) -> r.Call:
    """Answer one call of the story's run; times follow its number."""
    at = ago(minutes=14, seconds=18) + timedelta(seconds=number * 4)
    fields: dict[str, Any] = {
        "id": f"call_{number:04d}",
        "tool": tool,
        "args": args,
        "key": f"schedule/2026-01-05/{tool}/{number}",
        "requested_at": at,
        "permitted_at": at,
        "attempted_at": at,
        "finished_at": at + timedelta(milliseconds=340),
        "result": {"ok": True},
    }
    return msgspec.structs.replace(_BASE_CALL, **(fields | changes))


READ_CALL = call(1, "crm.list_accounts", {})
UPDATE_CALL = call(
    2,
    "crm.update_account",
    {"account_id": "acc-104", "renewal_date": "2025-03-31", "renewal_risk": "high"},
    effect=w.EffectKind.UPDATE,
    risk=w.Risk.MEDIUM,
    permission="crm.accounts.write",
    source="crm_export",
    effects=1,
)
CREATE_CALL = call(
    3,
    "crm.create_task",
    {"account_id": "acc-104", "title": "Prepare renewal of Brightwater Logistics", "due": "2025-03-17"},
    effect=w.EffectKind.CREATE,
    permission="crm.tasks.write",
    outcome=w.Outcome.UNKNOWN,
    result=None,
    error="TimeoutError: no answer from the CRM within 2 s",
    effects=1,
)
COPY_CALL = call(
    4,
    "crm.create_task",
    CREATE_CALL.args,
    effect=w.EffectKind.CREATE,
    permission="crm.tasks.write",
    result={"id": "task-3318"},
    effects=1,
)
DENIED_CALL = call(
    5,
    "crm.create_task",
    {"account_id": "acc-107", "title": f"Prepare renewal of {HOSTILE}"},
    effect=w.EffectKind.CREATE,
    permission="crm.tasks.write",
    verdict=w.Verdict.DENY,
    would=w.Verdict.DENY,
    reasons=(
        r.Reason(
            kind=w.ReasonKind.HOLD,
            verdict=w.Verdict.DENY,
            text="tool crm.create_task of weekly-renewal-risk is held: the same task was created twice",
            source="hold_01ke6a",
        ),
    ),
    permitted_at=None,
    attempted_at=None,
    finished_at=None,
    outcome=None,
    result=None,
)
WAITING_CALL = call(
    6,
    "mail.send",
    {
        "to": "procurement@brightwater.test",
        "subject": "Your renewal",
        "body": "Hello,\n\nyour contract renews on 31 March 2025. We propose a call this week.\n\nAcme",
    },
    effect=w.EffectKind.SEND,
    risk=w.Risk.HIGH,
    permission="mail.send",
    verdict=w.Verdict.WAIT,
    would=w.Verdict.WAIT,
    reasons=(
        r.Reason(
            kind=w.ReasonKind.GATE,
            verdict=w.Verdict.WAIT,
            text="mail to a customer always asks the business owner",
        ),
    ),
    approval="apr_01ke6b",
    destinations=("procurement@brightwater.test",),
    permitted_at=None,
    attempted_at=None,
    finished_at=None,
    outcome=None,
    result=None,
)
REPLAY_CALL = call(
    7,
    "crm.update_account",
    UPDATE_CALL.args,
    effect=w.EffectKind.UPDATE,
    risk=w.Risk.MEDIUM,
    verdict=w.Verdict.REPLAY,
    would=w.Verdict.REPLAY,
    replay_of=UPDATE_CALL.id,
    reasons=(
        r.Reason(
            kind=w.ReasonKind.IDEMPOTENCY,
            verdict=w.Verdict.REPLAY,
            text="this key is done: its result is returned",
        ),
    ),
)
IN_FLIGHT_CALL = call(
    8, "crm.update_account", UPDATE_CALL.args, outcome=None, finished_at=None, result=None, in_flight=True
)
DOUBTFUL_CALL = call(
    12,
    "crm.create_task",
    CREATE_CALL.args,
    effect=w.EffectKind.CREATE,
    permission="crm.tasks.write",
    outcome=w.Outcome.UNKNOWN,
    error="ReadTimeout: no answer within 1 s",
    result=None,
)
MARKING_CALL = call(13, "crm.unread_notes", {"account_id": "acc-104"}, effects=1, exceeding=1)
OBSERVED_CALL = call(
    9,
    "mail.send",
    {"to": "ops@acme.test"},
    effect=w.EffectKind.SEND,
    would=w.Verdict.DENY,
    reasons=(
        r.Reason(
            kind=w.ReasonKind.BUDGET,
            verdict=w.Verdict.DENY,
            text="the run may spend $2.50 and has spent $2.61",
        ),
    ),
)

ACCOUNT = r.ObjectRef(system="crm", type="account", id="acc-104")
TASK = r.ObjectRef(system="crm", type="task", id="task-3317")
NOTE = r.ObjectRef(system="crm", type="note", id="note-88")
COPY = r.ObjectRef(system="crm", type="task", id="task-3318")


def effect(
    of: r.Call, changed: r.ObjectRef, operation: w.Operation, before: r.Image, after: r.Image
) -> r.Effect:
    """Answer what one call did to one object; all that a read does is more than is declared."""
    return r.Effect(
        id=f"eff_{of.id}",
        call=of.id,
        run=of.run,
        workflow=of.workflow,
        tool=of.tool,
        object=changed,
        operation=operation,
        before=before,
        after=after,
        at=of.finished_at or of.requested_at,
        source="scan",
        object_key=str(changed),
        exceeds=w.EffectKind.READ if of.effect is w.EffectKind.READ else None,
    )


STEP = r.Step(
    id="step_0001",
    run=RUN.id,
    workflow=WORKFLOW.id,
    kind=w.StepKind.RETRIEVAL,
    name="read renewal export",
    at=ago(minutes=14, seconds=13),
    facts={"rows": 12, "file": "renewals-2025-q1.csv"},
    source="crm_export",
    as_of=datetime(2025, 9, 30, tzinfo=UTC),
)
MODEL_STEP = r.Step(
    id="step_0002",
    run=RUN.id,
    workflow=WORKFLOW.id,
    kind=w.StepKind.MODEL_CALL,
    name="assess risk",
    at=ago(minutes=14, seconds=11),
    tokens=4_120,
    cost_usd=0.031,
)

POINT = PointView(
    point="point_0001",
    workflow=WORKFLOW.id,
    name="renewal-agent on worker-2",
    registered_at=ago(hours=3),
    silent_s=0.8,
    epoch=42,
)
LATE_POINT = Unconfirmed(
    point="point_0002",
    workflow=WORKFLOW.id,
    name="renewal-agent on worker-3",
    registered_at=ago(hours=3),
    silent_s=1.2,
    epoch=41,
    lease_left_s=8.9,
    state=PointState.REQUESTED,
    next_try_s=1.8,
)
SILENT_POINTS = (
    msgspec.structs.replace(
        LATE_POINT,
        point="point_0003",
        name="renewal-agent on worker-4",
        silent_s=14.0,
        lease_left_s=0.0,
        state=PointState.EXPIRED,
        next_try_s=0.0,
    ),
    msgspec.structs.replace(
        LATE_POINT,
        point="point_0004",
        name="renewal-agent on worker-5",
        silent_s=48.0,
        lease_left_s=0.0,
        state=PointState.UNREACHABLE,
        next_try_s=0.0,
    ),
)

HOLD = r.Hold(
    id="hold_01ke6a2kq3c8xw4t1v7m0r5az",
    scope=r.Scope(kind=w.ScopeKind.TOOL, name="crm.create_task", workflow=WORKFLOW.id),
    mode=w.HoldMode.BLOCK,
    reason="The same task was created twice within 7 days",
    set_by=RULE,
    set_at=ago(minutes=13, seconds=58),
    epoch=42,
    incident=INCIDENT_ID,
)
LIFTED_HOLD = msgspec.structs.replace(
    HOLD,
    id="hold_01kdx",
    scope=r.Scope(kind=w.ScopeKind.TRIGGER, name="schedule", workflow=WORKFLOW.id),
    set_by=LEE,
    set_at=ago(days=20),
    incident=None,
    reason="CRM maintenance",
    active=False,
    lifted_at=ago(days=19, hours=20),
    lifted_by=DANA,
    lift_reason="Maintenance is over",
)

APPROVAL = r.Approval(
    id="apr_01ke6b2kq3c8xw4t1v7m0r5az",
    subject="call",
    workflow=WORKFLOW.id,
    title="Send mail to procurement@brightwater.test",
    digest="sha256:" + "9c" * 32,
    content={"tool": "mail.send", "args": WAITING_CALL.args},
    requested_by=AGENT,
    requested_at=ago(minutes=6),
    approvers=("dana@acme.test", "kim@acme.test"),
    quorum=1,
    expires_at=NOW + timedelta(hours=3, minutes=54),
    version=3,
    epoch=42,
    state=w.ApprovalState.PENDING,
    run=RUN.id,
    call=WAITING_CALL.id,
)

STANDING_STILL = r.Signal(
    id="sig_still",
    kind=w.SignalKind.ALERT,
    type=w.IncidentType.POLICY_DRIFT,
    detector="watch",
    key="duty detectors",
    workflow="",
    summary="the background duty detectors does not do its work: nothing was heard of it for 15 seconds",
    occurred_at=ago(minutes=12),
    raised_at=ago(minutes=12),
    facts={"duty": "detectors"},
)
