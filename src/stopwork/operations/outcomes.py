"""Outcomes: how a permitted call ended and what it changed, as its guard saw it, or as people found out later.

What has an intent and no outcome is *in flight*, and becomes *unknown* when its guard is gone: never nothing. An unknown
outcome is settled by the guard that comes back, or by someone who has looked; until then nothing with its key runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from stopwork.incidents.images import operation_of
from stopwork.incidents.unfinished import possible_effects
from stopwork.kernel.errors import Conflict, Invalid, TooLarge
from stopwork.ledger.events import CallFinished, EffectsObserved
from stopwork.ledger.records import Call, Effect, Image, Key, ObjectRef, Observed
from stopwork.ledger.words import EffectKind, ImageState, Operation, Outcome
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.reach import goes_further
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import refuse_agent
from stopwork.operations.permits import in_flight, require_session
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx

MAX_OBSERVED: Final = 5_000


def finish(
    tx: Tx,
    manifests: Manifests,
    *,
    call: str,
    outcome: Outcome,
    result: Any = None,
    error: str | None = None,
    observed: Sequence[Observed] = (),
    unseen: Mapping[str, str] | None = None,
    session: str | None = None,
) -> tuple[ObjectRef, ...]:
    """Record how a call ended and what it changed; answer the objects that only its result names and that are still to be read.

    The same outcome again changes nothing and gets the same answer. A guard that comes back after its call was given up as unknown
    still settles it. Raises ``Conflict`` for another outcome, for a call that never had a permit or is another session's, and for
    one that would have changed something and was never attempted, unless it failed.
    """
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    require_session(known, session)
    given_up = known.outcome is Outcome.UNKNOWN and not known.reconciled
    if known.outcome is outcome and not given_up:
        return _unread(tx, manifests, known)
    if not given_up:
        known = in_flight(tx, call, session)
        _require_attempt(known, outcome)
    if len(observed) > MAX_OBSERVED:
        raise TooLarge(
            f"{len(observed)} objects for one call, at most {MAX_OBSERVED}", hint="Narrow the scan."
        )
    rules = manifests.version(tx, known.workflow, known.version)
    declared = _declared_object(rules, known, result)
    recorded = {effect.object: effect for effect in tx.each(Effect, call=call)} if given_up else {}
    effects = tuple(
        _held_against(rules, each, known, declared)
        for each in _effects(tx, known, observed, declared, outcome)
    )
    fresh = tuple(effect for effect in effects if effect.object not in recorded)
    revised = _revised(recorded, observed)
    if outcome is Outcome.FAILED and any(effect.before != effect.after for effect in revised):
        outcome = Outcome.UNKNOWN  # it failed and has changed something: that is for someone to look at
    if known.outcome is outcome:
        revised, fresh = (*revised, *fresh), ()
    else:
        tx.record(
            CallFinished(
                call=call,
                run=known.run,
                workflow=known.workflow,
                tool=known.tool,
                key=known.key,
                draft=known.draft,
                outcome=outcome,
                result=result,
                error=error,
                effects=fresh,
                unseen=dict(unseen or {}),
            )
        )
    if revised:
        revised = tuple(_held_against(rules, each, known, declared) for each in revised)
        every = {effect.object: effect for effect in (*recorded.values(), *effects, *revised)}
        tx.record(_observed(known, revised, total=len(every), exceeding=_exceeding(every.values())))
    seen = {each.object for each in observed} | {each.object for each in known.before}
    return () if declared is None or declared in seen or outcome is Outcome.FAILED else (declared,)


def _require_attempt(known: Call, outcome: Outcome) -> None:
    """Raise ``Conflict`` for a change that is said to have been made although it was never said to begin."""
    if known.never_began and outcome is not Outcome.FAILED:
        raise Conflict(
            f"{known.id} was never attempted, so it cannot have {outcome}",
            hint="Record the attempt before the tool runs; a call that did not run has failed.",
            call=known.id,
        )


def observe(tx: Tx, manifests: Manifests, *, call: str, observed: Sequence[Observed]) -> None:
    """Record what was seen of more objects: those that only the call's result names, or of which there were too many for one request.

    What was captured after a call had returned goes on from what was captured before that.
    """
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    if known.outcome is None:
        raise Conflict(f"{call} has not ended", hint="Report its outcome first.", call=call)
    rules = manifests.version(tx, known.workflow, known.version)
    declared = _declared_object(rules, known, known.result)
    keys = tuple(str(each.object) for each in observed)
    recorded = {effect.object: effect for effect in tx.each(Effect, call=call, object_key=keys)}
    effects = []
    for each in observed:
        before = recorded.get(each.object)
        goes_on = before is not None and before.source == each.source == "capture"
        seen = replace(each, before=before.before) if before is not None and goes_on else each
        operation = operation_of(seen.before, seen.after, known.effect if seen.object == declared else None)
        if operation is None and before is not None and goes_on:
            operation = before.operation  # it is as it was again
        if operation is None:
            continue
        effect = _held_against(rules, _effect(tx, known, seen, operation), known, declared)
        effects.append(effect if before is None else replace(effect, id=before.id))
    if effects:
        fresh = [effect for effect in effects if effect.object not in recorded]
        replaced = [recorded[effect.object] for effect in effects if effect.object in recorded]
        total = tx.count(Effect, call=call) + len(fresh)
        exceeding = known.exceeding + _exceeding(effects) - _exceeding(replaced)
        tx.record(_observed(known, effects, total=total, exceeding=exceeding))


def reconcile(
    tx: Tx, *, call: str, outcome: Outcome, note: str, result: Any = None, left: Sequence[Effect] = ()
) -> Call:
    """Settle a call whose outcome is unknown, or whose guard is gone, after someone has looked; an agent cannot for itself.

    ``succeeded`` keeps its key for ever, ``failed`` frees it so that the work may be tried again. A call that failed after it had
    changed something holds its key as well until it is settled here. ``left`` are its effects as they are known by now.
    """
    refuse_agent(tx.actor, "settle what it has done")
    known = tx.need(Call, call)
    if not (known.in_flight or known.outcome is Outcome.UNKNOWN or _blocks_its_key(tx, known)):
        raise Conflict(f"{call} needs no reconciling", hint="Its outcome is recorded.", found=known.outcome)
    if outcome is Outcome.UNKNOWN:
        raise Invalid("unknown settles nothing", hint="Use succeeded or failed.", field="outcome")
    if not note.strip():
        raise Invalid("a note is needed", hint="Say how you know what happened.", field="note")
    return settle(tx, known, outcome=outcome, how=f"by {tx.actor}: {note.strip()}", result=result, left=left)


def settle(
    tx: Tx, known: Call, *, outcome: Outcome, how: str, result: Any = None, left: Sequence[Effect] = ()
) -> Call:
    """Record how a call ended whose end nobody saw, and how that is known; who may say so is decided by the caller."""
    recorded = {effect.id: effect for effect in tx.each(Effect, call=known.id)}
    fresh = tuple(replace(effect, id=tx.new_id("eff")) for effect in left if effect.id not in recorded)
    revised = tuple(effect for effect in left if effect.id in recorded)
    tx.record(
        CallFinished(
            call=known.id,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            key=known.key,
            draft=known.draft,
            outcome=outcome,
            result=known.result if result is None else result,
            error=f"reconciled {how}",
            effects=fresh,
            reconciled=True,
        )
    )
    if revised:
        every = {**recorded, **{effect.id: effect for effect in (*fresh, *revised)}}
        tx.record(_observed(known, revised, total=len(every), exceeding=_exceeding(every.values())))
    return tx.need(Call, known.id)


def never_started(tx: Tx, known: Call) -> None:
    """End a call whose permit ran out before it was attempted: it cannot run any more, and its key is free."""
    tx.record(
        CallFinished(
            call=known.id,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            key=known.key,
            draft=known.draft,
            outcome=Outcome.FAILED,
            error="never started: its permit ran out unused",
        )
    )


def give_up(tx: Tx, known: Call, *, why: str) -> None:
    """Turn a call in flight whose guard is gone into one with an unknown outcome.

    What was captured before it is all that is known of its objects; it may have changed them ever since it began.
    """
    effects = tuple(
        replace(effect, id=tx.new_id("eff"), after=Image.unknown(why))
        for effect in possible_effects(known, None, ())
    )
    tx.record(
        CallFinished(
            call=known.id,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            key=known.key,
            draft=known.draft,
            outcome=Outcome.UNKNOWN,
            error=why,
            effects=effects,
        )
    )


def _blocks_its_key(tx: Tx, call: Call) -> bool:
    key = tx.get(Key, f"{call.workflow}/{call.key}")
    return key is not None and key.call == call.id and key.outcome is Outcome.UNKNOWN


def _unread(tx: Tx, manifests: Manifests, call: Call) -> tuple[ObjectRef, ...]:
    """Answer what :func:`finish` answered, for a guard that did not get it."""
    declared = _declared_object(manifests.version(tx, call.workflow, call.version), call, call.result)
    if call.outcome is Outcome.FAILED or any(each.object == declared for each in call.before):
        return ()
    return tuple(
        effect.object
        for effect in tx.each(Effect, call=call.id)
        if effect.object == declared and effect.after.state is ImageState.UNKNOWN
    )


def _revised(recorded: dict[ObjectRef, Effect], observed: Sequence[Observed]) -> tuple[Effect, ...]:
    """Answer the effects that were recorded when nobody could look, as the guard that comes back has seen them."""
    revised = []
    for each in observed:
        before = recorded.get(each.object)
        if before is not None:
            after = replace(
                before, operation=each.operation, before=each.before, after=each.after, source=each.source
            )
            revised += [after] if after != before else []
    return tuple(revised)


def _declared_object(rules: CompiledManifest, call: Call, result: Any) -> ObjectRef | None:
    if call.effect is EffectKind.READ or call.tool not in rules.manifest.tools:
        return None
    try:
        return rules.object_ref(call.tool, call.args, result)
    except ExpressionError:
        return None  # the audit names calls that changed something without naming it


def _effects(
    tx: Tx, call: Call, observed: Sequence[Observed], declared: ObjectRef | None, outcome: Outcome
) -> tuple[Effect, ...]:
    """Answer what the call changed: everything seen to differ, and the declared object even where nobody could look."""
    effects = []
    for each in observed:
        kind = call.effect if each.object == declared else None
        operation = operation_of(each.before, each.after, kind)
        if operation is not None and not (outcome is Outcome.FAILED and _nothing_seen(each)):
            effects.append(_effect(tx, call, each, operation))
    if declared is None or outcome is Outcome.FAILED or any(each.object == declared for each in observed):
        return tuple(effects)
    before = next((each.image for each in call.before if each.object == declared), None)
    if before is None:
        made = call.effect is EffectKind.CREATE
        before = Image.absent() if made else Image.unknown("it was not read before the call")
    unseen = Observed(
        object=declared,
        operation=operation_of(before, Image.unknown(""), call.effect) or Operation.MODIFIED,
        before=before,
        after=Image.unknown("it was not read after the call"),
    )
    return (*effects, _effect(tx, call, unseen, unseen.operation))


def _held_against(rules: CompiledManifest, effect: Effect, call: Call, declared: ObjectRef | None) -> Effect:
    """Answer the effect with what the manifest declares, where it goes further than that."""
    further = goes_further(
        call.effect,
        effect.operation,
        effect.object,
        named=declared,
        tool=rules.manifest.tools.get(call.tool),
    )
    return replace(effect, exceeds=call.effect if further else None)


def _observed(call: Call, seen: Sequence[Effect], *, total: int, exceeding: int) -> EffectsObserved:
    return EffectsObserved(
        call=call.id,
        run=call.run,
        workflow=call.workflow,
        effects=tuple(seen),
        total=total,
        exceeding=exceeding,
    )


def _exceeding(effects: Iterable[Effect]) -> int:
    return sum(effect.exceeds is not None for effect in effects)


def _nothing_seen(each: Observed) -> bool:
    return ImageState.UNKNOWN in (each.before.state, each.after.state) or each.before == each.after


def _effect(tx: Tx, call: Call, each: Observed, operation: Operation) -> Effect:
    return Effect(
        id=tx.new_id("eff"),
        call=call.id,
        run=call.run,
        workflow=call.workflow,
        tool=call.tool,
        object=each.object,
        operation=operation,
        before=each.before,
        after=each.after,
        at=tx.now,
        source=each.source,
        object_key=str(each.object),
    )
