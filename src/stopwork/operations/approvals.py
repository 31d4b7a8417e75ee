"""Approvals: people answer a question about exact bytes; the answer is used once."""

from __future__ import annotations

from stopwork.control import gates
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import ApprovalDecided, ApprovalExpired
from stopwork.ledger.records import Approval, Decision
from stopwork.ledger.words import ApprovalState
from stopwork.storage.transaction import Tx


def decide(tx: Tx, *, approval: str, approve: bool, note: str = "", digest: str | None = None) -> Approval:
    """Record the actor's answer.

    ``digest`` is what the person was shown; ``Conflict`` when the question is about something else by now. ``Denied`` for
    agents, for people who are not asked, and for whoever asked.
    """
    known = tx.need(Approval, approval)
    gates.check_decider(known, tx.actor, tx.now)
    if digest is not None and digest != known.digest:
        raise Conflict(
            "what you saw is not what is asked now",
            hint="Open the question again.",
            expected=known.digest,
            found=digest,
        )
    decision = Decision(person=tx.actor.id, approve=approve, note=note.strip(), at=tx.now)
    tx.record(
        ApprovalDecided(
            approval=approval,
            workflow=known.workflow,
            person=tx.actor.id,
            approve=approve,
            note=note.strip(),
            digest=known.digest,
            state=gates.tally(known.quorum, (*known.decisions, decision)),
            run=known.run,
            call=known.call,
            incident=known.incident,
        )
    )
    return tx.need(Approval, approval)


def expire_due(tx: Tx) -> int:
    """Close the questions whose time is over; answer how many."""
    due = [
        approval
        for state in (ApprovalState.PENDING, ApprovalState.APPROVED)
        for approval in tx.find(Approval, state=state)
        if approval.expires_at <= tx.now
    ]
    for approval in due:
        tx.record(
            ApprovalExpired(
                approval=approval.id,
                workflow=approval.workflow,
                run=approval.run,
                call=approval.call,
                incident=approval.incident,
            )
        )
    return len(due)
