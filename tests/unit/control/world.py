"""A small workflow, and the records around one call of it, for tests of decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from stopwork.control.decide import CallRequest, Controls
from stopwork.control.gates import Binding
from stopwork.ledger.records import Approval, Decision, Hold, Principal, Run, Scope, Workflow
from stopwork.ledger.words import (
    ApprovalState,
    HoldMode,
    Mode,
    PrincipalKind,
    Role,
    RunStatus,
    ScopeKind,
    Stage,
)
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.load import load

NOW = datetime(2026, 3, 2, 8, 14, tzinfo=UTC)
AGENT = Principal(kind=PrincipalKind.AGENT, id="renewals")
DANA = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")

MANIFEST = """
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
schedule: {cron: "0 8 * * MON"}
sources:
  inbox: {trust: external}
  export: {trust: internal}
budget: {run_calls: 50, run_usd: 2.50}
stages: {limited: {sample_rate: 0.0, run_writes: 3}}
tools:
  crm.read: {effect: read, source: export}
  inbox.read: {effect: read, source: inbox}
  crm.update: {effect: update, permission: crm.write, deny_when: "args.amount > 1000"}
  mail.send:
    effect: send
    gate: {when: "args.to != 'dana@acme.test'", approvers: [business, technical], quorum: 2, expires: 1h}
  crm.wipe: {effect: delete, risk: blocked}
"""


def compiled(text: str = MANIFEST) -> CompiledManifest:
    return compile_manifest(load(text).manifest)


RULES = compiled()


def workflow(**changes: Any) -> Workflow:
    usual = Workflow(
        id="renewals",
        title="Renewals",
        version=3,
        mode=Mode.ENFORCE,
        stage=Stage.NORMAL,
        owners={Role.BUSINESS: "dana@acme.test"},
        applied_at=NOW,
        applied_by=LEE,
    )
    return replace(usual, **changes)


def run(**changes: Any) -> Run:
    usual = Run(
        id="run_1",
        workflow="renewals",
        version=3,
        trigger="schedule",
        trigger_id="2026-W10",
        attempt=1,
        mode=Mode.ENFORCE,
        status=RunStatus.RUNNING,
        started_at=NOW,
        by=AGENT,
    )
    return replace(usual, **changes)


def request(tool: str = "crm.update", args: dict[str, Any] | None = None, **changes: Any) -> CallRequest:
    usual = CallRequest(
        id="call_1",
        workflow="renewals",
        run=run(),
        tool=tool,
        args={"id": "acme", "amount": 10} if args is None else args,
        key="sha256:k",
        principal=AGENT,
    )
    return replace(usual, **changes)


def controls(**changes: Any) -> Controls:
    return replace(Controls(workflow=workflow(), rules=RULES, epoch=7), **changes)


def hold(
    mode: HoldMode = HoldMode.BLOCK,
    kind: ScopeKind = ScopeKind.WORKFLOW,
    name: str = "renewals",
    within: str | None = None,
    item: str | None = None,
    **changes: Any,
) -> Hold:
    usual = Hold(
        id="hold_1",
        scope=Scope(kind=kind, name=name, workflow=within, item=item if kind is ScopeKind.SOURCE else None),
        mode=mode,
        reason="wrong dates",
        set_by=LEE,
        set_at=NOW,
        epoch=7,
    )
    return replace(usual, **changes)


def approval(asked: CallRequest, state: ApprovalState = ApprovalState.APPROVED, **changes: Any) -> Approval:
    """An answer to exactly this call, as the usual controls stand."""
    bound = Binding(
        principal=asked.principal,
        workflow=asked.workflow,
        tool=asked.tool,
        args=asked.args,
        version=3,
        call=asked.id,
    )
    approved = state in (ApprovalState.APPROVED, ApprovalState.CONSUMED)
    answered = approved or state is ApprovalState.REJECTED
    decisions = (Decision(person=DANA.id, approve=approved, note="", at=NOW),) if answered else ()
    usual = Approval(
        id="appr_1",
        subject=f"call:{asked.id}",
        workflow=asked.workflow,
        title="",
        digest=bound.digest(),
        content=bound.content(),
        requested_by=asked.principal,
        requested_at=NOW,
        approvers=(DANA.id, LEE.id),
        quorum=1,
        expires_at=NOW + timedelta(hours=1),
        version=3,
        epoch=7,
        state=state,
        decisions=decisions,
        run=asked.run.id,
        call=asked.id,
    )
    return replace(usual, **changes)
