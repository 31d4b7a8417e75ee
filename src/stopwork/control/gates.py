"""What an approval binds, who may give it, and whether it still counts.

An approval is of exact bytes: principal, workflow, tool and arguments, as one digest, at one manifest version and one
control epoch, until it expires. It is consumed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.records import Approval, Decision, Principal, Record
from stopwork.ledger.words import ApprovalState, PrincipalKind, Role

DEFAULT_APPROVERS: Final = (Role.BUSINESS,)
DEFAULT_EXPIRES_AFTER: Final = timedelta(hours=4)


class Standing(StrEnum):
    """What an approval means for the call that asks for it now."""

    NONE = "none"
    PENDING = "pending"
    GRANTED = "granted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    STALE = "stale"


class Binding(Record):
    """Everything that has to be the same when the call runs as when it was approved."""

    principal: Principal
    workflow: str
    tool: str
    args: dict[str, Any]
    version: int
    epoch: int
    call: str | None = None

    def content(self) -> dict[str, Any]:
        """Answer what the approver is shown; its digest is what they approve."""
        return {
            "principal": self.principal.id,
            "workflow": self.workflow,
            "tool": self.tool,
            "args": self.args,
        }

    def digest(self) -> str:
        """Answer the digest of :meth:`content`."""
        return digest_of(self.content())


class Ask(Record):
    """A question that has to be put to people before the call may run."""

    approvers: tuple[Role, ...] = DEFAULT_APPROVERS
    quorum: int = 1
    expires_after: timedelta = DEFAULT_EXPIRES_AFTER
    why: str = ""


def standing(approval: Approval | None, binding: Binding, now: datetime) -> Standing:
    """Answer whether the approval counts for exactly this call, now."""
    if approval is None:
        return Standing.NONE
    if differences(approval, binding):
        return Standing.STALE
    match approval.state:
        case ApprovalState.REJECTED:
            return Standing.REJECTED
        case ApprovalState.CONSUMED:
            # The call that consumed it may ask again when its permit has run out; for any other it is spent.
            if binding.call is None or approval.consumed_by != binding.call:
                return Standing.STALE
            return Standing.GRANTED if now < approval.expires_at else Standing.EXPIRED
        case ApprovalState.EXPIRED:
            return Standing.EXPIRED
        case _ if now >= approval.expires_at:
            return Standing.EXPIRED
        case ApprovalState.APPROVED:
            return Standing.GRANTED
        case ApprovalState.PENDING:
            return Standing.PENDING


def differences(approval: Approval, binding: Binding) -> tuple[str, ...]:
    """Answer, in words, what is no longer as it was when the approval was asked for."""
    found = []
    if approval.digest != binding.digest():
        found.append("the call is not the one that was shown")
    if approval.version != binding.version:
        found.append(f"the manifest went from version {approval.version} to {binding.version}")
    if approval.epoch != binding.epoch:
        found.append("a hold or a stage has changed since")
    return tuple(found)


def check_decider(approval: Approval, person: Principal, now: datetime) -> None:
    """Raise unless this person may decide the approval now: a named approver, not the asker, not an agent, once."""
    if person.kind is not PrincipalKind.PERSON:
        raise Denied(
            f"{person} is no person and cannot approve",
            hint="Sign in as one of the approvers.",
            expected=list(approval.approvers),
        )
    if person == approval.requested_by:
        raise Denied(
            f"{person} asked for this approval and cannot give it", hint="Another approver has to decide."
        )
    if person.id not in approval.approvers:
        raise Denied(
            f"{person} is not an approver of {approval.id}",
            hint=f"It can be decided by {', '.join(approval.approvers)}.",
            expected=list(approval.approvers),
            found=person.id,
        )
    if approval.state is not ApprovalState.PENDING:
        raise Conflict(
            f"{approval.id} is {approval.state} already",
            hint="Nothing was changed.",
            found=approval.state.value,
        )
    if now >= approval.expires_at:
        raise Conflict(
            f"{approval.id} expired at {approval.expires_at.isoformat()}",
            hint="The agent has to ask again.",
            found=ApprovalState.EXPIRED.value,
        )
    if any(decision.person == person.id for decision in approval.decisions):
        raise Conflict(f"{person} has decided {approval.id} already", hint="Another approver has to decide.")


def tally(quorum: int, decisions: Iterable[Decision]) -> ApprovalState:
    """Answer where the approval stands after these decisions: one no rejects it, ``quorum`` different people approve it."""
    cast = tuple(decisions)
    if any(not decision.approve for decision in cast):
        return ApprovalState.REJECTED
    agreed = {decision.person for decision in cast}
    return ApprovalState.APPROVED if len(agreed) >= quorum else ApprovalState.PENDING
