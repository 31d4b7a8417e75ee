"""Drafts: people look at calls that were stored instead of run, and release, edit or discard them.

A release is an approval of exact bytes that is given at once, by whoever would be asked about such a call. It permits nothing by
itself: the released call asks for a permit as any other does, and every control decides again
(:mod:`stopwork.operations.claims`, :func:`stopwork.operations.permits.ask`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from stopwork.control import edits, gates
from stopwork.control.decide import Decided
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import ApprovalRequested, DraftDiscarded, DraftEdited, DraftReleased
from stopwork.ledger.records import Approval, Call, Draft, Key, Run
from stopwork.ledger.words import ApprovalState, DraftState, Outcome, ReasonKind, Verdict
from stopwork.operations import approvals, permits
from stopwork.operations.claims import give_back, released_already, supersede
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import require_owner, require_person
from stopwork.operations.points import current_epoch
from stopwork.storage.transaction import Tx

#: How long a released draft waits for a guard, where no gate says how long an approval counts.
RELEASED_FOR: Final = timedelta(days=7)
#: From here a person may release: what failed may be tried again, as a call of its own.
RELEASABLE: Final = (DraftState.OPEN, DraftState.FAILED)


def edit(
    tx: Tx, manifests: Manifests, *, draft: str, args: dict[str, Any], reason: str, digest: str | None = None
) -> Draft:
    """Change what an open draft would run; what the agent asked for stays on record.

    ``Invalid`` names the argument that cannot be so, ``Denied`` where a gate allows no changes, ``Conflict`` when somebody else has
    changed or decided it since it was shown (``digest``).
    """
    known = _for_owner(tx, draft, "edit its drafts")
    _require(known, RELEASABLE, "edited", digest)
    why = _reason(reason)
    rules = manifests.current(tx, known.workflow)
    gate = rules.manifest.gate_of(known.tool) if known.tool in rules.manifest.tools else None
    if gate is not None and not gate.edits:
        raise Denied(
            f"the arguments of {known.tool} may not be changed",
            hint="Release or discard the draft as it is; the gate says edits: false.",
        )
    run = tx.need(Run, known.run)
    after = edits.checked(
        rules,
        known.tool,
        asked=known.args,
        edited=args,
        run=run,
        now=tx.now,
        source=known.source or "",
    )
    tx.record(
        DraftEdited(
            call=draft,
            run=known.run,
            workflow=known.workflow,
            before=known.args,
            after=after,
            digest=digest_of(after),
            reason=why,
        )
    )
    return tx.need(Draft, draft)


def release(tx: Tx, manifests: Manifests, *, draft: str, reason: str, digest: str | None = None) -> Draft:
    """Permit exactly what the draft would run, once; a guard of the workflow carries it out.

    Whoever would be asked about such a call may release it, and where a gate wants several people the others still have to agree.
    ``Conflict`` when it would be denied as things are, and when the work is done, under way or in doubt.
    """
    person = require_person(tx, "release a draft")
    known = tx.need(Draft, draft)
    _require(known, RELEASABLE, "released", digest)
    why = _reason(reason)
    same = released_already(tx, known.workflow, known.key, besides=known.id)
    if same is not None:
        raise Conflict(
            f"the same work has been released already, as draft {same.id}",
            hint=f"Leave it at that and discard this one, or discard that one first: stopwork drafts show {same.id}",
            draft=same.id,
        )
    run = tx.need(Run, known.run)
    if tx.actor in (known.requested_by, run.by):
        raise Denied(
            f"{person} asked for this call and cannot release it", hint="Another person has to release it."
        )
    foreseen = permits.foresee(tx, manifests, known, tx.now)
    _require_permissible(known, foreseen)
    workflow = known_workflow(tx, known.workflow)
    becomes, approval = tx.new_id("call"), tx.new_id("appr")
    ask = question(foreseen)
    asked = gates.people(workflow, ask, known.requested_by)
    bound = gates.Binding(
        principal=known.requested_by,
        workflow=known.workflow,
        tool=known.tool,
        args=known.args,
        version=workflow.version,
    )
    tx.record(
        ApprovalRequested(
            approval=approval,
            subject=f"{approvals.RELEASE}:{draft}",
            workflow=known.workflow,
            title=f"{known.workflow} drafted {known.tool}, to be run",
            digest=bound.digest(),
            content=bound.content() | {"why": ask.why},
            approvers=(*asked.now, *asked.later),
            quorum=ask.quorum,
            expires_at=tx.now + ask.expires_after,
            version=bound.version,
            epoch=current_epoch(tx),
            requested_by=known.requested_by,
            run=known.run,
            call=becomes,
        )
    )
    approvals.decide(tx, approval=approval, approve=True, note=why, digest=bound.digest())
    tx.record(
        DraftReleased(
            call=draft,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            args=known.args,
            digest=known.digest,
            reason=why,
            approval=approval,
            becomes=becomes,
        )
    )
    return tx.need(Draft, draft)


def discard(tx: Tx, *, draft: str, reason: str) -> Draft:
    """Decide that the draft does not run; one that is released and that no guard has begun is taken back by it."""
    known = _for_owner(tx, draft, "discard its drafts")
    _require(known, (*RELEASABLE, DraftState.RELEASED), "discarded", None)
    why = _reason(reason)
    begun = tx.get(Call, known.release.call) if known.release else None
    if begun is not None and begun.in_flight:
        raise Conflict(
            f"draft {draft} is being carried out as {begun.id}",
            hint="Pause the workflow to stop what has not begun, or wait for its outcome.",
            call=begun.id,
        )
    tx.record(DraftDiscarded(call=draft, run=known.run, workflow=known.workflow, reason=why))
    return tx.need(Draft, draft)


def tidy(tx: Tx) -> int:
    """Open again what was released in vain, and close what another call has done; answer how many drafts that were."""
    tidied = 0
    for known in tuple(tx.each(Draft, state=DraftState.RELEASED)):
        if known.release is not None and (why := _in_vain(tx, tx.need(Approval, known.release.approval))):
            give_back(tx, known, why=why)
            tidied += 1
    for known in tuple(tx.each(Draft, state=DraftState.OPEN)):
        key = tx.get(Key, f"{known.workflow}/{known.key}")
        if key is not None and key.outcome is Outcome.SUCCEEDED:
            supersede(tx, known, by=key.call, why="another call has done it")
            tidied += 1
    return tidied


def _in_vain(tx: Tx, approval: Approval) -> str:
    """Answer why a release comes to nothing, or nothing; a question that nobody can say yes to any more is closed by it."""
    match approval.state:
        case ApprovalState.REJECTED:
            by = listed(each.person for each in approval.decisions if not each.approve)
            return f"{by} rejected its release"
        case ApprovalState.EXPIRED:
            return "no guard carried it out in time"
        case ApprovalState.PENDING if stale := approvals.stale_because(tx, approval):
            approvals.expire(tx, approval)
            return f"before all had agreed to its release, {listed(stale)}"
    return ""


def _for_owner(tx: Tx, draft: str, doing: str) -> Draft:
    require_person(tx, doing)
    known = tx.need(Draft, draft)
    require_owner(tx, known_workflow(tx, known.workflow), doing)
    return known


def _require(known: Draft, states: tuple[DraftState, ...], verb: str, digest: str | None) -> None:
    if known.state not in states:
        raise Conflict(
            f"draft {known.id} is {known.state} and cannot be {verb}",
            hint=_what_now(known),
            expected=list(states),
            found=known.state,
        )
    if digest is not None and digest != known.digest:
        raise Conflict(
            "what you saw is not what would run now",
            hint="Somebody has edited the draft; look at it again.",
            expected=known.digest,
            found=digest,
        )


def _what_now(known: Draft) -> str:
    if known.state is DraftState.RELEASED and known.release is not None:
        return (
            f"Others who have to agree answer its approval: stopwork approvals show {known.release.approval}"
        )
    return known.note or f"Look at it again: stopwork drafts show {known.id}"


def _require_permissible(known: Draft, foreseen: Decided) -> None:
    if foreseen.verdict in (Verdict.DENY, Verdict.REPLAY):
        against = [each.text for each in foreseen.reasons if each.verdict is foreseen.verdict]
        raise Conflict(
            f"released now it would not run: {listed(against)}",
            hint="When that has changed, release it; or discard it.",
            draft=known.id,
            found=foreseen.verdict,
        )


def question(foreseen: Decided) -> gates.Ask:
    """Answer who has to agree: whom the gate asks, or else the default, for as long as a guard may take to come."""
    ask = foreseen.ask or gates.Ask()
    gated = any(each.kind is ReasonKind.GATE and each.verdict is Verdict.WAIT for each in foreseen.reasons)
    return ask if gated else replace(ask, expires_after=RELEASED_FOR)


def _reason(reason: str) -> str:
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why.", field="reason")
    return reason.strip()
