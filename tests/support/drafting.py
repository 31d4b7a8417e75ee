"""Drafts in an office: made, looked at, released, edited, claimed and carried out."""

from __future__ import annotations

from typing import Any

from stopwork.control.drafting import ClaimedDraft
from stopwork.control.protocol import PermitAnswer
from stopwork.ledger.records import Draft, Hold, Principal
from stopwork.ledger.words import (
    HoldMode,
    RunStatus,
    ScopeKind,
    Verdict,
)
from stopwork.operations import claims, drafts, holds, permits, runs
from tests.support.office import AGENT, DANA, KIM, WORKFLOW, Office

TASK: dict[str, Any] = {"account_id": "acme", "title": "Call about the renewal"}


def drafted(office: Office, tool: str = "crm.create_task", **args: Any) -> Draft:
    """A draft of a run that has ended."""
    if not any(each.mode is HoldMode.DRAFT_ONLY for each in active(office)):
        office.pause(ScopeKind.WORKFLOW, WORKFLOW, mode=HoldMode.DRAFT_ONLY)
    run = office.begin()
    asked = office.ask(run, tool, **(args or TASK))
    assert asked.verdict is Verdict.DRAFT
    office.write(lambda tx: runs.finish(tx, run=run, status=RunStatus.SUCCEEDED))
    return look(office, asked.call)


def asked_for(office: Office, tool: str = "crm.create_task", **args: Any) -> Draft:
    """A draft of a run that goes on."""
    office.pause(ScopeKind.WORKFLOW, WORKFLOW, mode=HoldMode.DRAFT_ONLY)
    asked = office.ask(office.begin(), tool, **(args or TASK))
    assert asked.verdict is Verdict.DRAFT
    return look(office, asked.call)


def active(office: Office) -> list[Any]:
    return office.read(lambda view: list(view.each(Hold, active=True)))


def look(office: Office, draft: str) -> Draft:
    return office.read(lambda view: view.need(Draft, draft))


def release(office: Office, draft: Draft, *, actor: Principal = DANA, digest: str | None = None) -> Draft:
    return office.write(
        lambda tx: drafts.release(
            tx, office.inst.manifests, draft=draft.id, reason="it is right", digest=digest
        ),
        actor=actor,
    )


def approval_of(draft: Draft) -> str:
    assert draft.release is not None
    return draft.release.approval


def edit(office: Office, draft: Draft, *, actor: Principal = DANA, **args: Any) -> Draft:
    return office.write(
        lambda tx: drafts.edit(
            tx, office.inst.manifests, draft=draft.id, args=draft.args | args, reason="a typing error"
        ),
        actor=actor,
    )


def claim(office: Office, session: str = "guard-1", *, actor: Principal = AGENT) -> tuple[ClaimedDraft, ...]:
    return office.write(
        lambda tx: claims.claim(tx, office.inst.manifests, workflow=WORKFLOW, session=session), actor=actor
    )


def ask(office: Office, claimed: ClaimedDraft, session: str = "guard-1", **args: Any) -> PermitAnswer:
    return office.write(
        lambda tx: permits.ask(
            tx,
            office.inst.manifests,
            run=claimed.run.ticket.run,
            tool=claimed.tool,
            args=claimed.args | args,
            call=claimed.call,
            session=session,
            draft=claimed.draft,
        )
    )


def carry(office: Office, claimed: ClaimedDraft, session: str = "guard-1") -> PermitAnswer:
    permit = ask(office, claimed, session)
    assert permit.verdict is Verdict.ALLOW, permit.reasons
    office.attempt(permit, session=session)
    office.finish(permit, result=office.crm.run(claimed.tool, permit.args), session=session)
    return permit


def lift(office: Office) -> None:
    [hold] = active(office)
    office.write(lambda tx: holds.lift(tx, hold=hold.id, reason="It is over."), actor=KIM)
