"""How a draft stands: who may release it, what would keep it from running now, what it waits for, and what its object holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from stopwork.control import gates
from stopwork.kernel.phrases import count_of, listed, moment
from stopwork.ledger.records import Approval, Call, Draft
from stopwork.ledger.words import ApprovalState, DraftState, Verdict
from stopwork.operations import permits
from stopwork.operations.approval_evidence import ObjectNow, Similar, object_now, similar_to
from stopwork.operations.claims import released_already
from stopwork.operations.drafts import RELEASABLE, question
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.storage.view import View
from stopwork.systems.base import System


class Standing(Struct, frozen=True, kw_only=True):
    """One draft as things are now.

    ``waits_for`` says who is to do something next, empty when nobody is. ``against`` are the reasons for which it would not run if it
    were released now. ``object`` is what it would change, ``None`` where it names none beforehand; ``call`` is what it became.
    """

    draft: Draft
    waits_for: str
    against: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    object: ObjectNow | None = None
    similar: tuple[Similar, ...] = ()
    call: Call | None = None


def standing(
    view: View, manifests: Manifests, systems: Mapping[str, System], *, draft: str, now: datetime
) -> Standing:
    """Answer how a draft stands; the object is looked at while the view is open, for a moment at most."""
    known = view.need(Draft, draft)
    foreseen = permits.foresee(view, manifests, known, now)
    ask = question(foreseen)
    asked = gates.people(known_workflow(view, known.workflow), ask, known.requested_by)
    approvers = (*asked.now, *asked.later)
    against = [each.text for each in foreseen.reasons if each.verdict in (Verdict.DENY, Verdict.REPLAY)]
    same = released_already(view, known.workflow, known.key, besides=draft)
    if same is not None:
        against.insert(0, f"the same work has been released already, as draft {same.id}")
    drafted = view.need(Call, draft)
    carried = view.get(Call, known.release.call) if known.release else None
    return Standing(
        draft=known,
        waits_for=_waits_for(view, known, carried, approvers, now),
        against=tuple(against) if known.state in RELEASABLE else (),
        approvers=approvers,
        quorum=ask.quorum,
        object=object_now(systems, manifests.current(view, known.workflow), drafted, known.args),
        similar=similar_to(view, drafted),
        call=carried,
    )


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
