"""Approvals: people answer a question about exact bytes; the answer is used once."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from stopwork.control import edits, gates
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import ApprovalDecided, ApprovalEdited, ApprovalEscalated, ApprovalExpired
from stopwork.ledger.records import Approval, Call, Decision, Hold, Run, Workflow
from stopwork.ledger.words import ApprovalState
from stopwork.operations.holds import lifted_since
from stopwork.operations.manifests import Manifests
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How the subject of an approval begins that is asked for the release of a draft.
RELEASE: Final = "draft"


def decide(tx: Tx, *, approval: str, approve: bool, note: str = "", digest: str | None = None) -> Approval:
    """Record the actor's answer.

    ``digest`` is what the person was shown; ``Conflict`` when the question is about something else by now, or when what has changed
    since it was asked makes a yes worth nothing. ``Denied`` for agents, for people who are not asked, and for whoever asked.
    """
    known = tx.need(Approval, approval)
    gates.check_decider(known, tx.actor, tx.now)
    _check_shown(known, digest)
    if approve:
        _check_not_stale(tx, known)
    return _decided(tx, known, approve=approve, note=note)


def answer(
    tx: Tx,
    manifests: Manifests,
    *,
    approval: str,
    approve: bool,
    digest: str,
    args: dict[str, Any] | None = None,
    note: str = "",
) -> Approval:
    """Record the actor's answer, as :func:`decide` where ``args`` are left out, and as :func:`approve_edited` with them."""
    if args is None:
        return decide(tx, approval=approval, approve=approve, note=note, digest=digest)
    if not approve:
        raise Invalid("what is rejected has no arguments", hint="Leave args out, or approve.", field="args")
    return approve_edited(tx, manifests, approval=approval, args=args, note=note, digest=digest)


def approve_edited(
    tx: Tx, manifests: Manifests, *, approval: str, args: dict[str, Any], note: str = "", digest: str
) -> Approval:
    """Change the arguments that are asked about, and approve them so: these run, and earlier answers are void.

    Otherwise as :func:`decide`; ``Invalid`` names the argument that cannot be so, ``Denied`` where the gate allows no changes.
    """
    known = tx.need(Approval, approval)
    gates.check_decider(known, tx.actor, tx.now)
    _check_shown(known, digest)
    _check_not_stale(tx, known)
    if not known.editable or known.call is None:
        raise Denied(
            f"the arguments of {approval} may not be changed",
            hint="Approve or reject them as they are; the gate says edits: false."
            if known.call
            else "Approve or reject what is asked as it is.",
        )
    call = tx.need(Call, known.call)
    asked: dict[str, Any] = known.content["args"]
    after = edits.checked(
        manifests.version(tx, known.workflow, known.version),
        call.tool,
        asked=asked,
        edited=args,
        run=tx.need(Run, call.run),
        now=tx.now,
        source=call.source or "",
    )
    tx.record(
        ApprovalEdited(
            approval=approval,
            workflow=known.workflow,
            before=asked,
            after=after,
            digest=gates.digest_with(known, after),
            run=known.run,
            call=known.call,
            incident=known.incident,
        )
    )
    return _decided(tx, tx.need(Approval, approval), approve=True, note=note)


def stale_because(view: View, approval: Approval) -> tuple[str, ...]:
    """Answer, in words, what has changed since the question was asked that keeps a yes from counting."""
    workflow = view.get(Workflow, approval.workflow)
    call = call_asked_about(view, approval)
    if workflow is None:
        return ()
    if call is None:
        return gates.changes(approval, workflow.version, ())
    since = (*view.each(Hold, active=True), *lifted_since(view, approval.epoch))
    return gates.changes(approval, workflow.version, gates.moves(call, workflow, since))


def call_asked_about(view: View, approval: Approval) -> Call | None:
    """Answer the call that the question is about; for a release that no guard has begun it is the call that was drafted."""
    kind, _, draft = approval.subject.partition(":")
    begun = view.get(Call, approval.call) if approval.call else None
    return begun or (view.get(Call, draft) if kind == RELEASE else None)


def expire(tx: Tx, approval: Approval) -> None:
    """Close a question that can no longer be answered."""
    tx.record(
        ApprovalExpired(
            approval=approval.id,
            workflow=approval.workflow,
            run=approval.run,
            call=approval.call,
            incident=approval.incident,
        )
    )


def expire_due(tx: Tx) -> int:
    """Close the questions whose time is over; answer how many."""
    due = [
        approval
        for state in (ApprovalState.PENDING, ApprovalState.APPROVED)
        for approval in tx.each(Approval, state=state)
        if approval.expires_at <= tx.now
    ]
    for approval in due:
        expire(tx, approval)
    return len(due)


def escalate_due(tx: Tx) -> int:
    """Ask the backup as well where nobody has decided in time; answer how many questions that were."""
    due = [
        approval for approval in tx.each(Approval, state=ApprovalState.PENDING) if _is_late(approval, tx.now)
    ]
    for approval in due:
        tx.record(
            ApprovalEscalated(
                approval=approval.id,
                workflow=approval.workflow,
                title=approval.title,
                to=approval.escalates_to,
                run=approval.run,
                call=approval.call,
                incident=approval.incident,
            )
        )
    return len(due)


def _is_late(approval: Approval, now: datetime) -> bool:
    due = approval.escalates_at
    return due is not None and approval.escalated_at is None and due <= now < approval.expires_at


def _check_shown(known: Approval, digest: str | None) -> None:
    if digest is not None and digest != known.digest:
        edit = known.edits[-1] if known.edits else None
        raise Conflict(
            "what you saw is not what is asked now" + (f": {edit.person} has changed it" if edit else ""),
            hint="Open the question again.",
            expected=known.digest,
            found=digest,
        )


def _check_not_stale(tx: Tx, known: Approval) -> None:
    if changed := stale_because(tx, known):
        raise Conflict(
            f"{known.id} would not count any more: {listed(changed)}",
            hint="When the agent asks about the call again, a new question is put.",
            found=list(changed),
        )


def _decided(tx: Tx, known: Approval, *, approve: bool, note: str) -> Approval:
    decision = Decision(person=tx.actor.id, approve=approve, note=note.strip(), at=tx.now)
    tx.record(
        ApprovalDecided(
            approval=known.id,
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
    return tx.need(Approval, known.id)
