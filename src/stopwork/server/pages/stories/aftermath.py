"""The incident of the story's world: what was signalled, sealed, contained, audited, planned and written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from stopwork.incidents.offers import HOLD, HookOffer
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.server.pages.stories.world import (
    ACCOUNT,
    COPY,
    COPY_CALL,
    INCIDENT_ID,
    LEE,
    NOW,
    RULE,
    RUN,
    UPDATE_CALL,
    WORKFLOW,
    ago,
)

SIGNAL = r.Signal(
    id="sig_0001",
    kind=w.SignalKind.ALERT,
    type=w.IncidentType.DUPLICATE_WORK,
    detector="duplicate_action",
    key="duplicate_action/weekly-renewal-risk/crm.create_task",
    workflow=WORKFLOW.id,
    summary="crm.create_task did the same thing twice within 7 days",
    occurred_at=ago(minutes=13, seconds=59),
    raised_at=ago(minutes=13, seconds=58),
    run=RUN.id,
    call=COPY_CALL.id,
    incident=INCIDENT_ID,
)

FACTORS = (
    r.Factor(
        factor=w.SeverityFactor.EXTERNAL_EXPOSURE, level=w.Severity.SEV3, why="No message left the company."
    ),
    r.Factor(
        factor=w.SeverityFactor.SENSITIVE_DATA,
        level=w.Severity.SEV2,
        why="The manifest names customer commitments.",
    ),
    r.Factor(
        factor=w.SeverityFactor.DOMAIN_IMPACT,
        level=w.Severity.SEV2,
        why="Renewal dates are customer commitments.",
    ),
    r.Factor(factor=w.SeverityFactor.PRODUCTION_WRITES, level=w.Severity.SEV2, why="22 writes to the CRM."),
    r.Factor(factor=w.SeverityFactor.AFFECTED_VOLUME, level=w.Severity.SEV2, why="17 objects."),
    r.Factor(
        factor=w.SeverityFactor.REVERSIBILITY, level=w.Severity.SEV3, why="Every object can be put back."
    ),
    r.Factor(factor=w.SeverityFactor.STILL_RUNNING, level=w.Severity.SEV3, why="The tool is held."),
    r.Factor(
        factor=w.SeverityFactor.ROOT_CAUSE_KNOWN, level=w.Severity.SEV2, why="No root cause is recorded."
    ),
    r.Factor(factor=w.SeverityFactor.COULD_REPEAT_NEXT_RUN, level=None, why="The next run is due in 6 days."),
)

INCIDENT = r.Incident(
    id=INCIDENT_ID,
    type=w.IncidentType.DUPLICATE_WORK,
    title="Weekly renewal risk prep created the same task twice",
    workflow=WORKFLOW.id,
    version=3,
    detected_by=w.DetectedBy.ALERT,
    detected_at=ago(minutes=13, seconds=58),
    opened_at=ago(minutes=13, seconds=58),
    opened_by=RULE,
    commander="lee@acme.test",
    business_owner="dana@acme.test",
    technical_owner="lee@acme.test",
    backup_owner="kim@acme.test",
    communication_owner="dana@acme.test",
    postmortem_owner="lee@acme.test",
    severity=w.Severity.SEV2,
    factors=FACTORS,
    status=w.IncidentStatus.INVESTIGATING,
    cause=SIGNAL.key,
    affected_systems=("crm",),
    data_classes=("customer_commitments",),
    affected_parties=("employee",),
    signals=(SIGNAL.id,),
    runs=(RUN.id,),
    next_update_at=NOW + timedelta(minutes=16),
)

BUNDLE = r.Bundle(
    id="bun_0001",
    incident=INCIDENT_ID,
    digest="sha256:" + "e7" * 32,
    size_bytes=412_880,
    entries=143,
    tree_size=1_902,
    kinds={"run_record": 2, "tool_trace": 31, "outputs": 22, "approval_state": 1, "alerts_and_chat": 3},
    missing=("No prompt text was recorded, only its digest.",),
    path="bundles/AI-INC-2026-0105-001.zip",
    at=ago(minutes=8),
    by=LEE,
)

OFFERS = (
    HOLD,
    HookOffer(name="revoke-crm-token", kind=w.HookKind.HTTP, only_named=True, has_probe=True),
    HookOffer(name="close-proxy", kind=w.HookKind.COMMAND, only_named=True),
    HookOffer(
        name="freeze-queue", kind=w.HookKind.WEBHOOK, areas=(w.ContainmentArea.QUEUES,), has_probe=True
    ),
)
CONTAINMENT = (
    r.ContainmentItem(
        id=f"{INCIDENT_ID}/write_tools/1",
        incident=INCIDENT_ID,
        area=w.ContainmentArea.WRITE_TOOLS,
        what="Hold crm.create_task",
        why="It repeated writes.",
        state=w.ContainmentState.DONE,
        automatic=True,
        by=RULE,
        at=ago(minutes=13),
        verified_how="2 enforcement points confirmed the hold; the next call was denied",
    ),
    r.ContainmentItem(
        id=f"{INCIDENT_ID}/secrets/1",
        incident=INCIDENT_ID,
        area=w.ContainmentArea.SECRETS,
        what="Revoke or rotate crm-integration of crm",
        why="22 calls used it; this token is also used by 2 other workflows: invoices and onboarding",
        state=w.ContainmentState.IN_DOUBT,
        target="crm-integration",
        system="crm",
        assignee="kim@acme.test",
        due_at=ago(minutes=1),
        places=(
            r.ContainmentPlace(
                kind=w.PlaceKind.HOOK,
                name="revoke-crm-token",
                state=w.ContainmentState.DONE,
                hook=w.HookKind.HTTP,
                has_probe=True,
                tries=1,
                probed=True,
                proof=w.ContainmentProof.PROBE,
                note="POST at crm.acme.test answered 200. The probe says so: GET at crm.acme.test answered 401.",
                by=LEE,
                at=ago(minutes=4),
            ),
            r.ContainmentPlace(
                kind=w.PlaceKind.HOOK,
                name="close-proxy",
                state=w.ContainmentState.IN_DOUBT,
                hook=w.HookKind.COMMAND,
                tries=2,
                note="The command close-proxy was cut off after 20 s.",
                by=LEE,
                at=ago(minutes=3),
            ),
        ),
    ),
    r.ContainmentItem(
        id=f"{INCIDENT_ID}/webhooks/1",
        incident=INCIDENT_ID,
        area=w.ContainmentArea.WEBHOOKS,
        what="Disable the inbound trigger crm-webhook",
        why="It started a run of this incident.",
        state=w.ContainmentState.DONE,
        by=LEE,
        at=ago(minutes=2),
        verified_how="The CRM's admin area shows it as off",
        proof=w.ContainmentProof.ATTESTATION,
    ),
    r.ContainmentItem(
        id=f"{INCIDENT_ID}/queues/1",
        incident=INCIDENT_ID,
        area=w.ContainmentArea.QUEUES,
        what="Stop the retry of this occasion",
        why="Attempt 2 repeated what attempt 1 had done.",
        state=w.ContainmentState.PROPOSED,
    ),
    r.ContainmentItem(
        id=f"{INCIDENT_ID}/retrieval/1",
        incident=INCIDENT_ID,
        area=w.ContainmentArea.RETRIEVAL,
        what="Block the source crm_export until it is fresh",
        why="Its content was from 2025-09-30; at most 24 hours are allowed.",
        state=w.ContainmentState.FAILED,
        by=LEE,
        at=ago(minutes=3),
        verified_how="The shared folder still serves the old file",
    ),
)

_SUMMARIES = {
    w.Question.TRIGGER: "The schedule of 2026-01-05 started attempt 1; attempt 2 retried the same occasion.",
    w.Question.INPUTS_READ: "12 accounts from the CRM and one export file.",
    w.Question.INPUT_FRESHNESS_AND_AUTHORITY: "crm_export was 97 days old; at most 24 hours are allowed.",
    w.Question.PROMPTS_AND_POLICIES: "Prompt 77ab… and manifest version 3.",
    w.Question.MODEL_CALLS: "2 model calls, 48,210 tokens, $0.38 and 1 unpriced.",
    w.Question.TOOL_CALLS: "31 calls of 4 tools: 28 allowed, 2 denied, 1 waiting.",
    w.Question.WRITES: "22 writes to 17 objects.",
    w.Question.EXTERNAL_SENDS: "None.",
    w.Question.APPROVALS: "One was asked for and is not answered.",
    w.Question.RETRIES_AND_BACKFILLS: "Attempt 2 repeated 5 calls of attempt 1.",
    w.Question.DOWNSTREAM_AUTOMATIONS: "The manifest declares none.",
    w.Question.RECORDS_TO_CORRECT: "12 accounts and 5 duplicate tasks.",
}

AUDIT = r.Audit(
    id="aud_0001",
    incident=INCIDENT_ID,
    runs=(RUN.id,),
    answers=tuple(
        r.Answer(
            question=question,
            summary=summary,
            findings=(
                {"tool": "crm.create_task", "calls": 10, "copies": 5},
                {"tool": "crm.update_account", "calls": 12, "copies": 0},
            )
            if question is w.Question.TOOL_CALLS
            else (),
            records=(RUN.id, COPY_CALL.id),
            missing=("The prompt's text was not recorded.",)
            if question is w.Question.PROMPTS_AND_POLICIES
            else (),
        )
        for question, summary in _SUMMARIES.items()
    ),
    objects=3,
    at=ago(minutes=6),
    by=LEE,
    completeness=r.AuditCompleteness(
        calls=22,
        enforced=20,
        observed=0,
        reported=2,
        steps=3,
        systems=(
            r.SystemSeen(system="crm", sight=w.SystemSight.DECLARED, changes=17, calls={"declared": 17}),
        ),
        says=(
            "22 calls: 20 decided by the guard, none only observed, 2 reads told afterwards.",
            "In crm, only the objects that the manifest names are known of 17 calls, and other changes may be unseen.",
        ),
    ),
    followed=r.AuditFollowed(
        links=(
            r.AuditLink(
                call=COPY_CALL.id,
                run=RUN.id,
                workflow=RUN.workflow,
                tool="report.write",
                at=ago(minutes=5),
                kind=w.AuditLinkKind.READ,
                object=COPY,
                path=(str(COPY), COPY_CALL.id),
            ),
        ),
        automations=("overdue-task-mailer of renewals, after crm.create_task",),
        missing=(
            "What these tools read is not known, since they declare no object: crm.search of renewals.",
        ),
    ),
)

PLAN = r.Plan(
    id="plan_0001",
    incident=INCIDENT_ID,
    state=w.PlanState.PROPOSED,
    digest="sha256:" + "bd" * 32,
    items=4,
    proposed_at=ago(minutes=5),
    proposed_by=LEE,
)


def item(number: int, changed: r.ObjectRef, preview: str, **changes: Any) -> r.Item:
    """Answer one item of the story's plan."""
    base = r.Item(
        id=f"itm_{number:04d}",
        plan=PLAN.id,
        incident=INCIDENT_ID,
        object=changed,
        situation=w.RecoverySituation.BAD_PRODUCTION_WRITE,
        remedy=w.Remedy.RESTORE,
        reversibility=w.Reversibility.FULLY,
        preview=preview,
        calls=(UPDATE_CALL.id,),
        effects=(f"eff_{UPDATE_CALL.id}",),
        expected=r.Image.unknown("not read yet"),
        target=r.Image.unknown("not read yet"),
        order=number,
        state=w.ItemState.PROPOSED,
    )
    return msgspec.structs.replace(base, **changes)


ITEMS = (
    item(
        1,
        ACCOUNT,
        "Put back renewal_date and renewal_risk of account acc-104",
        changes={"renewal_date": ["2025-03-31", "2026-03-31"], "renewal_risk": ["high", "low"]},
    ),
    item(
        2,
        msgspec.structs.replace(ACCOUNT, id="acc-107"),
        "Put back renewal_date of account acc-107",
        changes={"renewal_date": ["2025-06-30", "2026-06-30"]},
    ),
    item(
        3,
        COPY,
        "Close task task-3318, a copy of task-3317",
        situation=w.RecoverySituation.DUPLICATE_RECORDS,
        remedy=w.Remedy.INVERSE,
        calls=(COPY_CALL.id,),
        changes={"status": ["open", "closed"]},
    ),
    item(
        4,
        r.ObjectRef(system="mail", type="message", id="msg-88"),
        "Mail msg-88 cannot be taken back; the reader must be told",
        remedy=w.Remedy.TELL,
        situation=w.RecoverySituation.BAD_EXTERNAL_MESSAGE,
        reversibility=w.Reversibility.NOT,
        must_tell=(w.Audience.AFFECTED_INTERNAL_USERS,),
    ),
)

BODY = """What happened: the weekly renewal risk prep created 5 tasks twice and wrote wrong renewal dates to 12 accounts.

What is paused: creating tasks in the CRM. Reading goes on.

What is known to be affected: 12 accounts and 5 duplicate tasks, listed in the incident.

What is under review: whether anyone acted on the wrong dates.

What to do: do not use renewal dates changed today after 08:16 UTC. Report anything odd to lee@acme.test.

Next update: 2026-01-05 08:47 UTC."""

MESSAGE = r.Message(
    id="msg_0001",
    incident=INCIDENT_ID,
    audience=w.Audience.BUSINESS_OWNER,
    recipients=("dana@acme.test",),
    subject="SEV2: renewal risk prep created tasks twice, paused",
    body=BODY,
    digest="sha256:" + "5a" * 32,
    state=w.MessageState.DRAFT,
    drafted_at=ago(minutes=4),
    drafted_by=r.Principal(kind=w.PrincipalKind.SYSTEM, id="stopwork"),
)

CALM_FOLLOW_UPS = (
    r.FollowUp(
        remediation=("idempotency",),
        what="Give crm.create_task an idempotency key",
        owner="lee@acme.test",
        due_date="2026-01-09",
    ),
    r.FollowUp(
        remediation=("input_freshness",),
        what="Refuse an export older than 24 hours",
        owner="kim@acme.test",
        due_date="2026-01-16",
    ),
)
