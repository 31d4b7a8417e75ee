"""What an approval binds, who may give it, and whether it still counts.

An approval is of exact bytes: principal, workflow, tool and arguments, as one digest, at one manifest version, until it expires.
What stops the call meanwhile makes it stale, also when it is lifted again; what concerns other calls does not. It is consumed
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from stopwork.control import holds
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Denied
from stopwork.kernel.phrases import moment
from stopwork.ledger.records import Approval, Decision, Hold, Principal, Record, Workflow
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


class Move(Record):
    """One change of the controls that concerns a call."""

    epoch: int
    what: str


class Binding(Record):
    """Everything that has to be the same when the call runs as when it was approved.

    ``moves`` are the changes of the controls that concern the call, the known ones from before it was asked about among them.
    """

    principal: Principal
    workflow: str
    tool: str
    args: dict[str, Any]
    version: int
    moves: tuple[Move, ...] = ()
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
    escalate_after: timedelta | None = None
    editable: bool = True
    why: str = ""

    @property
    def escalates_after(self) -> timedelta:
        """How long the approvers have to themselves."""
        return self.escalate_after or self.expires_after / 2


class Asked(Record):
    """Who is asked: at once, and when nobody has decided in time."""

    now: tuple[str, ...]
    later: tuple[str, ...] = ()


def people(workflow: Workflow | None, ask: Ask, asker: Principal) -> Asked:
    """Answer who decides: whoever plays the roles, and the backup in time, or at once in place of a role that nobody else plays."""
    owners = workflow.owners if workflow else {}
    backup = owners.get(Role.BACKUP)
    named = [owners.get(role) for role in ask.approvers]
    others = [person for person in named if person is not None and person != asker.id]
    short = None in named or len(set(others)) < ask.quorum
    now = tuple(dict.fromkeys((*filter(None, named), *((backup,) if backup and short else ()))))
    return Asked(now=now, later=(backup,) if backup and backup not in now else ())


def moves(subject: holds.Subject, workflow: Workflow | None, known: Iterable[Hold]) -> Iterator[Move]:
    """Answer the changes that concern the call: the holds that cover it, lifted ones too, and the latest change of the stage."""
    for hold in known:
        if holds.covers(hold.scope, subject):
            what = f"{hold.set_by} paused {hold.scope}"
            if hold.lifted_by is not None:
                what += f", and {hold.lifted_by} lifted it again"
            yield Move(epoch=hold.epoch, what=what)
    if workflow is not None and workflow.stage_epoch:
        yield Move(epoch=workflow.stage_epoch, what=f"{workflow.id} came to stage {workflow.stage}")


def standing(approval: Approval | None, binding: Binding, now: datetime) -> Standing:
    """Answer whether the approval counts for exactly this call, now.

    A no, or none in time, stays one whatever is held since: a hold never gives a call another chance.
    """
    if approval is None:
        return Standing.NONE
    if approval.digest != binding.digest() or approval.version != binding.version:
        return Standing.STALE
    match approval.state:
        case ApprovalState.REJECTED:
            return Standing.REJECTED
        # The call that consumed it may ask again when its permit has run out; for any other it is spent.
        case ApprovalState.CONSUMED if binding.call is None or approval.consumed_by != binding.call:
            return Standing.STALE
        case ApprovalState.EXPIRED:
            return Standing.EXPIRED
        case _ if now >= approval.expires_at:
            return Standing.EXPIRED
        case _ if changes(approval, binding.version, binding.moves):
            return Standing.STALE
        case ApprovalState.PENDING:
            return Standing.PENDING
        case _:
            return Standing.GRANTED


def changes(approval: Approval, version: int, known: Iterable[Move]) -> tuple[str, ...]:
    """Answer, in words, what has changed around the call since the approval was asked for."""
    found = []
    if approval.version != version:
        found.append(f"the manifest went from version {approval.version} to {version}")
    found.extend(move.what for move in known if move.epoch > approval.epoch)
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
        hint = f"It can be decided by {', '.join(approval.approvers)}."
        if person.id in approval.escalates_to and approval.escalates_at is not None:
            hint += f" {person} is asked as well when nobody has by {moment(approval.escalates_at)}."
        raise Denied(
            f"{person} is not an approver of {approval.id}",
            hint=hint,
            expected=list(approval.approvers),
            found=person.id,
        )
    if approval.state is not ApprovalState.PENDING:
        by = " and ".join(decision.person for decision in approval.decisions)
        raise Conflict(
            f"{approval.id} is {approval.state} already" + (f", by {by}" if by else ""),
            hint="Nothing was changed.",
            found=approval.state.value,
        )
    if now >= approval.expires_at:
        raise Conflict(
            f"{approval.id} expired at {moment(approval.expires_at)}",
            hint="The agent has to ask again.",
            found=ApprovalState.EXPIRED.value,
        )
    if any(decision.person == person.id for decision in approval.decisions):
        raise Conflict(f"{person} has decided {approval.id} already", hint="Another approver has to decide.")


def args_of(approval: Approval | None, asked: dict[str, Any]) -> dict[str, Any]:
    """Answer the arguments that are decided about: what a reviewer made of those that the agent asked with, or those."""
    return approval.edits[-1].after if approval is not None and approval.edits else asked


def digest_with(approval: Approval, args: dict[str, Any]) -> str:
    """Answer the digest of what is asked once its arguments are these; see :meth:`Binding.content`."""
    bound = {name: approval.content[name] for name in ("principal", "workflow", "tool")}
    return digest_of(bound | {"args": args})


def tally(quorum: int, decisions: Iterable[Decision]) -> ApprovalState:
    """Answer where the approval stands after these decisions: one no rejects it, ``quorum`` different people approve it."""
    cast = tuple(decisions)
    if any(not decision.approve for decision in cast):
        return ApprovalState.REJECTED
    agreed = {decision.person for decision in cast}
    return ApprovalState.APPROVED if len(agreed) >= quorum else ApprovalState.PENDING
