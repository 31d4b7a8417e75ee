"""What holds, approvals and credentials do to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold.change import Change, Put, Update, Upsert, on, replace, same_fields, to


def new_epoch(epoch: int) -> Upsert:
    """Answer the change that makes this the control epoch."""
    return Upsert(r.Control, "control", lambda _known: r.Control(epoch=epoch))


@on(e.HoldSet)
def _hold_set(entry: e.Entry, event: e.HoldSet) -> Iterator[Change]:
    yield Put(same_fields(r.Hold, event, id=event.hold, set_by=entry.actor, set_at=entry.at))
    yield new_epoch(event.epoch)


@on(e.HoldLifted)
def _hold_lifted(entry: e.Entry, event: e.HoldLifted) -> Iterator[Change]:
    yield to(
        r.Hold, event.hold, active=False, lifted_at=entry.at, lifted_by=entry.actor, lift_reason=event.reason
    )
    yield new_epoch(event.epoch)


@on(e.HoldNagged)
def _hold_nagged(entry: e.Entry, event: e.HoldNagged) -> Iterator[Change]:
    yield to(r.Hold, event.hold, nag=same_fields(r.Nag, event, at=entry.at))


@on(e.ApprovalRequested)
def _approval_requested(entry: e.Entry, event: e.ApprovalRequested) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Approval, event, id=event.approval, requested_at=entry.at, state=w.ApprovalState.PENDING
        )
    )


@on(e.ApprovalEdited)
def _approval_edited(entry: e.Entry, event: e.ApprovalEdited) -> Iterator[Change]:
    def evolve(approval: r.Approval) -> r.Approval:
        edit = r.Edit(
            person=entry.actor.id,
            at=entry.at,
            before=event.before,
            after=event.after,
            void=approval.decisions,
        )
        return replace(
            approval,
            content={**approval.content, "args": event.after},
            digest=event.digest,
            decisions=(),
            edits=(*approval.edits, edit),
        )

    yield Update(r.Approval, event.approval, evolve)


@on(e.ApprovalEscalated)
def _approval_escalated(entry: e.Entry, event: e.ApprovalEscalated) -> Iterator[Change]:
    yield Update(
        r.Approval,
        event.approval,
        lambda approval: replace(
            approval,
            approvers=tuple(dict.fromkeys((*approval.approvers, *event.to))),
            escalated_at=entry.at,
        ),
    )


@on(e.ApprovalDecided)
def _approval_decided(entry: e.Entry, event: e.ApprovalDecided) -> Iterator[Change]:
    decision = r.Decision(person=event.person, approve=event.approve, note=event.note, at=entry.at)
    yield Update(
        r.Approval,
        event.approval,
        lambda approval: replace(approval, state=event.state, decisions=(*approval.decisions, decision)),
    )


@on(e.ApprovalConsumed)
def _approval_consumed(entry: e.Entry, event: e.ApprovalConsumed) -> Iterator[Change]:
    yield to(r.Approval, event.approval, state=w.ApprovalState.CONSUMED, consumed_by=event.by)


@on(e.ApprovalExpired)
def _approval_expired(entry: e.Entry, event: e.ApprovalExpired) -> Iterator[Change]:
    yield to(r.Approval, event.approval, state=w.ApprovalState.EXPIRED)


@on(e.CredentialIssued)
def _credential_issued(entry: e.Entry, event: e.CredentialIssued) -> Iterator[Change]:
    yield Put(same_fields(r.Credential, event, id=event.credential, created_at=entry.at))


@on(e.CredentialUsed)
def _credential_used(entry: e.Entry, event: e.CredentialUsed) -> Iterator[Change]:
    yield to(r.Credential, event.credential, used_at=entry.at)


@on(e.CredentialRevoked)
def _credential_revoked(entry: e.Entry, event: e.CredentialRevoked) -> Iterator[Change]:
    yield to(r.Credential, event.credential, revoked_at=entry.at)
