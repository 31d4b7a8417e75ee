"""Settling: what people say about a call whose end nobody saw, together with what its objects hold when they say it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stopwork.incidents.images import operation_of
from stopwork.incidents.unfinished import SETTLED, possible_effects, settled_unseen, unfinished
from stopwork.ledger.records import Call, Effect, Image, ObjectRef, Principal
from stopwork.ledger.words import ImageState, Outcome
from stopwork.manifest.expressions import ExpressionError
from stopwork.operations import outcomes
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import refuse_agent
from stopwork.storage.view import View


class _Doubt(Struct, frozen=True, kw_only=True):
    """An object that the call may have changed, and the next call that found something there."""

    effect: Effect
    recorded: bool
    next: Effect | None


def settle(
    installation: Installation,
    actor: Principal,
    *,
    call: str,
    outcome: Outcome,
    note: str,
    result: Any = None,
) -> Call:
    """Settle a call whose end nobody saw, as someone who knows says it ended, and record what it left.

    What a call that succeeded left is what the next call found there, else what is there now, else unknown; one that
    failed left its objects as they were. ``result`` is what later calls with its key are answered. Raises as
    :func:`stopwork.operations.outcomes.reconcile` does.
    """
    refuse_agent(actor, "settle what it has done")
    store = installation.store
    doubts = store.read(lambda view: _doubts(view, installation.manifests, view.need(Call, call)))
    if outcome is Outcome.SUCCEEDED:
        now = look(installation.systems, (each.effect.object for each in doubts if each.next is None))
        left = [_left(each, now, actor) for each in doubts]
    else:
        left = [replace(each.effect, after=each.effect.before) for each in doubts if each.recorded]
    return store.write(
        lambda tx: outcomes.reconcile(tx, call=call, outcome=outcome, note=note, result=result, left=left),
        actor=actor,
    )


def unseen_effects(
    view: View, manifests: Manifests, calls: Iterable[Call], recorded: Iterable[Effect]
) -> list[Effect]:
    """Answer what those of the calls whose end nobody saw may have changed beside the recorded effects."""
    known = {(effect.call, effect.object) for effect in recorded}
    return [
        effect
        for call in calls
        if unfinished(call) or settled_unseen(call)
        for effect in possible_effects(call, _named(view, manifests, call), ())
        if (effect.call, effect.object) not in known
    ]


def _named(view: View, manifests: Manifests, call: Call) -> ObjectRef | None:
    rules = manifests.version(view, call.workflow, call.version) if call.version else None
    if rules is None or call.tool not in rules.manifest.tools:
        return None
    try:
        return rules.object_ref(call.tool, call.args)
    except ExpressionError:
        return None  # the audit names calls that may have changed something without naming it


def _doubts(view: View, manifests: Manifests, call: Call) -> list[_Doubt]:
    recorded = list(view.each(Effect, call=call.id))
    possible = unseen_effects(view, manifests, [call], recorded)
    unseen = [effect for effect in recorded if effect.after.state is ImageState.UNKNOWN]
    return [
        _Doubt(effect=effect, recorded=effect in unseen, next=_next(view, call, effect))
        for effect in (*unseen, *possible)
    ]


def _next(view: View, call: Call, effect: Effect) -> Effect | None:
    """Answer the first effect of another call on the object since this call began."""
    later = view.each(
        Effect,
        object_key=effect.object_key,
        at_from=call.attempted_at or call.requested_at,
        order="at",
    )
    return next((each for each in later if each.call != call.id), None)


def _left(doubt: _Doubt, now: dict[ObjectRef, Image], actor: Principal) -> Effect:
    effect, found_by = doubt.effect, doubt.next
    if found_by is not None:
        after, note = found_by.before, f"as {found_by.call} found it"
    else:
        after, note = now[effect.object], f"as it was when {actor} settled the call"
    if after.state is not ImageState.UNKNOWN:
        after = replace(after, note=note)
    operation = operation_of(effect.before, after, None) or effect.operation
    return replace(effect, after=after, operation=operation, source=SETTLED)
