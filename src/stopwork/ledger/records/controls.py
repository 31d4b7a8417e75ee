"""What may happen, and who says so: holds, approvals, credentials."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from stopwork.ledger.records.parts import (
    Decision,
    Edit,
    Principal,
    Record,
    Scope,
)
from stopwork.ledger.words import (
    ApprovalState,
    HoldMode,
)

SET_BY: Final = "(set by "
"""How it begins wherever a hold is described who set it, and why."""


class Nag(Record):
    """The latest reminder of a hold: to whom, and what the hold had cost by then."""

    at: datetime
    owner: str | None
    calls_stopped: int
    runs_due: int


class Hold(Record):
    """A pause of one scope. It never ends by itself. ``rule`` is the alert rule that set it by itself."""

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
    nag: Nag | None = None
    rule: str = ""

    @property
    def set_by_and_why(self) -> str:
        """By whom it was set and why, as that stands wherever it is described."""
        return f"{SET_BY}{self.set_by}: {self.reason or 'no reason given'})"


class Approval(Record):
    """A question to people about exact bytes. ``digest`` is what they approve; it is consumed once.

    ``content`` is what is asked now; where reviewers changed its arguments, ``edits`` holds each version, the last in force. When
    nobody has decided by ``escalates_at``, ``escalates_to`` are asked as well.
    """

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
    editable: bool = False
    edits: tuple[Edit, ...] = ()
    escalates_at: datetime | None = None
    escalates_to: tuple[str, ...] = ()
    escalated_at: datetime | None = None


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
