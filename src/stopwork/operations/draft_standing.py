"""How a draft stands: who may release it, what would keep it from running now, what it waits for, and what its object holds."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stopwork.control import gates
from stopwork.kernel.phrases import count_of, listed, moment
from stopwork.ledger.records import Approval, Call, Draft, Image, ObjectRef
from stopwork.ledger.words import ApprovalState, DraftState, Verdict
from stopwork.manifest.expressions import ExpressionError
from stopwork.operations import permits
from stopwork.operations.drafts import RELEASABLE, question
from stopwork.operations.installation import Installation
from stopwork.operations.looking import glance
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.storage.view import View

LOOKS_WITHIN_S: Final = 2.0


class Standing(Struct, frozen=True, kw_only=True):
    """One draft as things are now.

    ``waits_for`` says who is to do something next, empty when nobody is. ``against`` are the reasons for which it would not run if it
    were released now. ``now`` is what the object that it would change holds, ``None`` where it names none beforehand.
    """

    draft: Draft
    waits_for: str
    against: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    object: ObjectRef | None = None
    now: Image | None = None
    call: Call | None = None


def standing(view: View, manifests: Manifests, *, draft: str, now: datetime) -> Standing:
    """Answer how a draft stands, from what is recorded."""
    known = view.need(Draft, draft)
    foreseen = permits.foresee(view, manifests, known, now)
    ask = question(foreseen)
    asked = gates.people(known_workflow(view, known.workflow), ask, known.requested_by)
    approvers = (*asked.now, *asked.later)
    against = [each.text for each in foreseen.reasons if each.verdict in (Verdict.DENY, Verdict.REPLAY)]
    carried = view.get(Call, known.release.call) if known.release else None
    return Standing(
        draft=known,
        waits_for=_waits_for(view, known, carried, approvers, now),
        against=tuple(against) if known.state in RELEASABLE else (),
        approvers=approvers,
        quorum=ask.quorum,
        object=_object(view, manifests, known),
        call=carried,
    )


def seen(installation: Installation, *, draft: str) -> Standing:
    """Answer how a draft stands, and look at the object that it would change."""
    store = installation.store
    found = store.read(
        lambda view: standing(view, installation.manifests, draft=draft, now=store.clock.now())
    )
    if found.object is None:
        return found
    return replace(found, now=glance(installation.systems, found.object, within_s=LOOKS_WITHIN_S))


def _waits_for(
    view: View, draft: Draft, carried: Call | None, approvers: tuple[str, ...], now: datetime
) -> str:
    match draft.state:
        case DraftState.OPEN | DraftState.FAILED:
            return f"{listed(approvers)} to release, edit or discard it"
        case DraftState.UNKNOWN:
            return "someone to look whether it happened, and to settle the call"
        case DraftState.RELEASED if draft.release is not None:
            approval = view.need(Approval, draft.release.approval)
            if approval.state is ApprovalState.PENDING:
                missing = approval.quorum - len(approval.decisions)
                return f"{count_of(missing, 'more approval')}: {approval.id}"
            if carried is not None and carried.in_flight:
                return f"the outcome of {carried.id}, which is under way"
            if draft.claim is not None and now < draft.claim.until:
                return f"the guard that took it at {moment(draft.claim.at)}"
            return f"a guard of {draft.workflow}, since {moment(draft.release.at)}"
    return ""


def _object(view: View, manifests: Manifests, draft: Draft) -> ObjectRef | None:
    """Answer the object that the arguments name; ``None`` for one that only the result will name."""
    rules = manifests.current(view, draft.workflow)
    if draft.tool not in rules.manifest.tools:
        return None
    try:
        return rules.object_ref(draft.tool, draft.args)
    except ExpressionError:
        return None
