"""Events of holds, approvals, credentials and background duties."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events.base import Event


class HoldSet(Event, tag="hold.set"):
    hold: str
    scope: r.Scope
    mode: w.HoldMode
    reason: str
    epoch: int
    workflow: str | None = None
    incident: str | None = None
    rule: str = ""


class HoldLifted(Event, tag="hold.lifted"):
    hold: str
    scope: r.Scope
    reason: str
    epoch: int
    workflow: str | None = None
    incident: str | None = None


class HoldNagged(Event, tag="hold.nagged"):
    """An active hold reminded its owner of its age and of what it has cost so far."""

    hold: str
    scope: r.Scope
    owner: str | None
    age_s: int
    calls_stopped: int
    runs_due: int
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
    editable: bool = False
    edits: tuple[r.Edit, ...] = ()
    escalates_at: datetime | None = None
    escalates_to: tuple[str, ...] = ()


class ApprovalEdited(Event, tag="approval.edited"):
    """A reviewer changed the arguments: from now on the question is about ``digest``, and earlier answers are void."""

    approval: str
    workflow: str
    before: dict[str, Any]
    after: dict[str, Any]
    digest: str
    run: str | None = None
    call: str | None = None
    incident: str | None = None


class ApprovalEscalated(Event, tag="approval.escalated"):
    """Nobody had decided in time, so these people are asked as well."""

    approval: str
    workflow: str
    title: str
    to: tuple[str, ...]
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
