"""Claims: a guard takes released drafts to carry them out, and no other guard has them meanwhile.

A claim runs out by itself, so that a guard that dies before it begins keeps nobody from the work. Once the call is attempted nothing
claims it again: it ends with an outcome, or unknown, as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from stopwork.control.decide import CallRequest, Decided
from stopwork.control.drafting import ClaimedDraft
from stopwork.kernel.errors import Conflict
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import DraftClaimed, DraftReturned, DraftSuperseded
from stopwork.ledger.records import Approval, Call, Draft, Reason, Run
from stopwork.ledger.words import ApprovalState, DraftState, ReasonKind, Verdict
from stopwork.operations import runs
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How long a guard may take from the claim to the permit before another one may take the draft.
CLAIMED_FOR: Final = timedelta(seconds=60)
MAX_CLAIMED: Final = 50
_PERMITTED: Final = (ApprovalState.APPROVED, ApprovalState.CONSUMED)


def claim(
    tx: Tx,
    manifests: Manifests,
    *,
    workflow: str,
    session: str,
    point: str | None = None,
    tools: Sequence[str] = (),
    limit: int = MAX_CLAIMED,
) -> tuple[ClaimedDraft, ...]:
    """Give this session the released drafts of a workflow that nobody has, oldest first; asked again, those it has already."""
    require_own_workflow(tx, workflow)
    known_workflow(tx, workflow)
    taken: list[ClaimedDraft] = []
    for draft in tx.each(Draft, workflow=workflow, state=DraftState.RELEASED, order="requested_at"):
        if len(taken) == min(limit, MAX_CLAIMED):
            break
        if (tools and draft.tool not in tools) or draft.release is None or not _is_free(tx, draft, session):
            continue
        if draft.claim is None or draft.claim.session != session or draft.claim.until <= tx.now:
            tx.record(
                DraftClaimed(
                    call=draft.id,
                    run=draft.run,
                    workflow=workflow,
                    session=session,
                    point=point,
                    until=tx.now + CLAIMED_FOR,
                )
            )
        taken.append(
            ClaimedDraft(
                draft=draft.id,
                call=draft.release.call,
                tool=draft.tool,
                args=draft.args,
                run=runs.known(tx, manifests, tx.need(Run, draft.run)),
                source=draft.source,
            )
        )
    return tuple(taken)


def _is_free(tx: Tx, draft: Draft, session: str) -> bool:
    if draft.release is None or tx.need(Approval, draft.release.approval).state not in _PERMITTED:
        return False  # others have to agree to the release, or its time is over
    if draft.claim is not None and draft.claim.session != session and tx.now < draft.claim.until:
        return False
    begun = tx.get(Call, draft.release.call)
    if begun is None:
        return True
    still_valid = begun.not_after is not None and tx.now <= begun.not_after
    return begun.attempted_at is None and (begun.session == session or not still_valid)


def carried(tx: Tx, draft: str | None, *, call: str, args_digest: str, session: str | None) -> Draft | None:
    """Answer the draft that a call carries out; ``Conflict`` unless it is released as this call and claimed by this session."""
    if draft is None:
        return None
    known = tx.need(Draft, draft)
    if known.state is not DraftState.RELEASED or known.release is None:
        raise Conflict(
            f"draft {draft} is {known.state}, not released",
            hint="A person releases it; then claim it.",
            draft=draft,
            found=known.state,
        )
    if known.release.call != call or known.digest != args_digest:
        raise Conflict(
            f"this is not what was released as {known.release.call}",
            hint="Run exactly what the claim answered.",
            draft=draft,
            expected=known.digest,
            found=args_digest,
        )
    if known.claim is None or known.claim.session != session:
        raise Conflict(
            f"draft {draft} is claimed by another guard", hint="Claim it first.", draft=draft, call=call
        )
    return known


def decided_about(view: View, call: str) -> Reason | None:
    """Answer why a call that was drafted does not run by itself any more, if that is so: a no stays one, and one thing is not done twice.

    It binds wherever what drafted the call does.
    """
    draft = view.get(Draft, call)
    if draft is None:
        return None
    carried_out = view.get(Call, draft.release.call) if draft.release else None
    match draft.state:
        case DraftState.DISCARDED:
            text = f"{draft.closed_by} discarded its draft: {draft.note}"
        case DraftState.DONE if carried_out is not None:
            text = f"{carried_out.id} has done what a person released in its place"
        case DraftState.UNKNOWN if carried_out is not None:
            text = f"{carried_out.id} may have done what a person released in its place, and has to be reconciled first"
        case DraftState.RELEASED if carried_out is not None and carried_out.in_flight:
            text = f"{carried_out.id} is doing what a person released in its place"
        case _:
            return None
    kind = next((each.kind for each in draft.reasons if each.verdict is Verdict.DRAFT), ReasonKind.STAGE)
    return Reason(kind=kind, verdict=Verdict.DENY, text=text, source=draft.id)


def settle(tx: Tx, draft: Draft | None, earlier: Call | None, request: CallRequest, decided: Decided) -> None:
    """Record what a verdict means for drafts: of the call that carries one out, and of those of the same work."""
    if draft is not None:
        if decided.verdict is Verdict.REPLAY:
            supersede(tx, draft, by=decided.replay_of or request.id, why="it has been done meanwhile")
        elif decided.verdict is not Verdict.ALLOW:
            give_back(tx, draft, why=_why_not(decided))
        return
    if earlier is not None and earlier.verdict is Verdict.DRAFT and decided.verdict is Verdict.ALLOW:
        own = tx.get(Draft, request.id)
        if own is not None and own.state in (DraftState.OPEN, DraftState.RELEASED):
            supersede(tx, own, by=request.id, why="its agent asked again, and was permitted")
    if decided.verdict is Verdict.DRAFT:
        released = released_already(tx, request.workflow, request.key, besides=request.id)
        if released is not None and released.release is not None and released.asked == request.args:
            own = tx.get(Draft, request.id)
            if own is not None and own.state is DraftState.OPEN:
                supersede(tx, own, by=released.release.call, why="the same work has been released already")
            return
        for older in tx.each(Draft, key=request.key, workflow=request.workflow, state=DraftState.OPEN):
            if older.id != request.id:
                supersede(tx, older, by=request.id, why="the same work was drafted again")


def released_already(view: View, workflow: str, key: str, *, besides: str) -> Draft | None:
    """Answer the draft of the same work that a person has released, and that has not ended."""
    same = view.each(Draft, key=key, workflow=workflow, state=DraftState.RELEASED)
    return next((draft for draft in same if draft.id != besides), None)


def supersede(tx: Tx, draft: Draft, *, by: str, why: str) -> None:
    """Close a draft whose place another call has taken."""
    tx.record(
        DraftSuperseded(call=draft.id, run=draft.run, workflow=draft.workflow, by=by, why=f"{why}: {by}")
    )


def give_back(tx: Tx, draft: Draft, *, why: str) -> None:
    """Open a draft again whose release came to nothing."""
    tx.record(DraftReturned(call=draft.id, run=draft.run, workflow=draft.workflow, why=why))


def _why_not(decided: Decided) -> str:
    stopping = [each.text for each in decided.reasons if each.verdict not in (Verdict.ALLOW, Verdict.REPLAY)]
    return f"its release came to nothing: {listed(stopping)}"
