"""Permits and outcomes: the guard's two questions and the writer's durable answers.

A call starts when its permit commits. The intent is in the journal before the call runs, the before-images before it touches
anything, and the outcome after. What has an intent and no outcome is *in flight*, and becomes *unknown* when its guard
is gone: never nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from msgspec.structs import replace

from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, Decided, binding, decide
from stopwork.control.keys import KeyStanding, KeyState, business, derived, standing
from stopwork.control.protocol import PermitAnswer
from stopwork.incidents.images import operation_of
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Invalid, TooLarge
from stopwork.ledger.events import (
    ApprovalConsumed,
    ApprovalRequested,
    CallAttempted,
    CallDecided,
    CallFinished,
    EffectsObserved,
)
from stopwork.ledger.records import (
    Approval,
    Call,
    Captured,
    Effect,
    Hold,
    Image,
    ImageState,
    Key,
    ObjectRef,
    Observed,
    Run,
    Workflow,
)
from stopwork.ledger.words import EffectKind, Operation, Outcome, Role, Verdict
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.operations.manifests import Manifests
from stopwork.operations.points import current_epoch
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx

#: How long a permit may lie unused before the guard has to ask again.
PERMIT_VALID_FOR: Final = timedelta(seconds=60)
MAX_OBSERVED: Final = 5_000


def ask(
    tx: Tx,
    manifests: Manifests,
    *,
    run: str,
    tool: str,
    args: dict[str, Any],
    call: str | None = None,
    nth: int = 1,
    source: str | None = None,
) -> PermitAnswer:
    """Decide one call, now, and make the decision durable.

    ``call`` is chosen by the guard and names the call in every later question: asking again about a waiting call
    decides afresh, and repeating a question whose answer was lost gives the same permit. ``nth`` counts equal calls of one run
    from 1. Raises ``Conflict`` when ``call`` was used for something else or has already ended.
    """
    known_run = tx.need(Run, run)
    require_own_workflow(tx, known_run.workflow)
    args_digest = digest_of(args)
    call_id = call or tx.new_id("call")
    earlier = tx.get(Call, call_id)
    if earlier is not None:
        _check_same_call(earlier, run=run, tool=tool, args_digest=args_digest)

    workflow = tx.get(Workflow, known_run.workflow)
    rules = manifests.version(tx, workflow.id, workflow.version) if workflow else None
    key, business_key, key_error = _key(rules, known_run, tool, args, nth)
    held = tx.get(Key, f"{known_run.workflow}/{key}")
    request = CallRequest(
        id=call_id,
        workflow=known_run.workflow,
        run=known_run,
        tool=tool,
        args=args,
        key=key,
        principal=tx.actor,
        source=source,
        destination=_destination(rules, tool, args),
    )
    controls = Controls(
        workflow=workflow,
        rules=rules,
        holds=tuple(tx.each(Hold, active=True)),
        epoch=current_epoch(tx),
        key=KeyState(standing=KeyStanding.UNREADABLE, why=key_error)
        if key_error
        else standing(held, args_digest, call=call_id),
        usage=_usage(tx, known_run, rules),
        approval=tx.first(Approval, order="-requested_at", call=call_id),
    )
    decided = decide(request, controls, tx.now)
    approval = _approval(tx, request, controls, decided)
    allowed = decided.verdict is Verdict.ALLOW
    not_after = tx.now + PERMIT_VALID_FOR if allowed else None
    if decided.consumes is not None:
        tx.record(
            ApprovalConsumed(
                approval=decided.consumes, workflow=request.workflow, by=call_id, run=run, call=call_id
            )
        )
    declared = rules.manifest.tools.get(tool) if rules else None
    tx.record(
        CallDecided(
            call=call_id,
            run=run,
            workflow=request.workflow,
            version=workflow.version if workflow else 0,
            tool=tool,
            effect=decided.effect,
            risk=decided.risk,
            permission=decided.permission,
            trigger=known_run.trigger,
            args=args,
            args_digest=args_digest,
            key=key,
            business_key=business_key,
            verdict=decided.verdict,
            would=decided.would,
            reasons=decided.reasons,
            epoch=controls.epoch,
            not_after=not_after,
            source=source or (declared.source if declared else None),
            destination=request.destination,
            approval=approval,
            replay_of=decided.replay_of,
            renewed=earlier is not None and earlier.permitted_at is not None,
        )
    )
    replayed = tx.need(Call, decided.replay_of) if decided.replay_of else None
    return PermitAnswer(
        call=call_id,
        verdict=decided.verdict,
        would=decided.would,
        reasons=decided.reasons,
        args=args,
        epoch=controls.epoch,
        capture=_capture(rules, tool, args) if allowed and decided.effect is not EffectKind.READ else (),
        not_after=not_after,
        valid_for_s=PERMIT_VALID_FOR.total_seconds() if allowed else None,
        approval=approval,
        replay=replayed is not None,
        result=replayed.result if replayed else None,
    )


def attempt(tx: Tx, *, call: str, before: Sequence[Captured]) -> None:
    """Record that a permitted call is about to run, with what its objects held before.

    Raises ``Conflict`` when the call has no permit, has ended, or its permit has run out: then nothing may run.
    """
    known = _in_flight(tx, call)
    if known.not_after is not None and tx.now > known.not_after:
        raise Conflict(
            f"the permit of {call} ran out at {known.not_after.isoformat()}",
            hint="Ask for the permit again, then run.",
            call=call,
        )
    if known.attempted_at is None:
        tx.record(CallAttempted(call=call, run=known.run, workflow=known.workflow, before=tuple(before)))


def finish(
    tx: Tx,
    manifests: Manifests,
    *,
    call: str,
    outcome: Outcome,
    result: Any = None,
    error: str | None = None,
    observed: Sequence[Observed] = (),
) -> tuple[ObjectRef, ...]:
    """Record how a call ended and what it changed; answer the objects that only its result names and that are still to be read.

    The same outcome again changes nothing. Raises ``Conflict`` for another one, or for a call that never had a permit.
    """
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    if known.outcome is not None and known.outcome is outcome:
        return ()
    if (
        known.outcome is not Outcome.UNKNOWN or known.reconciled
    ):  # a guard that was thought gone may still know
        known = _in_flight(tx, call)
    if len(observed) > MAX_OBSERVED:
        raise TooLarge(
            f"{len(observed)} objects for one call, at most {MAX_OBSERVED}", hint="Narrow the scan."
        )
    rules = manifests.version(tx, known.workflow, known.version)
    declared = _declared_object(rules, known, result)
    effects = _effects(tx, known, observed, declared, outcome)
    seen = {each.object for each in observed} | {each.object for each in known.before}
    late = () if declared is None or declared in seen or outcome is Outcome.FAILED else (declared,)
    tx.record(
        CallFinished(
            call=call,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            key=known.key,
            outcome=outcome,
            result=result,
            error=error,
            effects=effects,
        )
    )
    return late


def observe(tx: Tx, *, call: str, observed: Sequence[Observed]) -> None:
    """Record what was seen of objects that only the call's result names."""
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    if known.outcome is None:
        raise Conflict(f"{call} has not ended", hint="Report its outcome first.", call=call)
    recorded = {effect.object: effect for effect in tx.find(Effect, call=call)}
    effects = []
    for each in observed:
        before = recorded.get(each.object)
        operation = operation_of(each.before, each.after, known.effect)
        if operation is None:
            continue
        effect = _effect(tx, known, each, operation)
        effects.append(effect if before is None else replace(effect, id=before.id))
    if effects:
        total = len({effect.object for effect in effects} | recorded.keys())
        tx.record(
            EffectsObserved(
                call=call, run=known.run, workflow=known.workflow, effects=tuple(effects), total=total
            )
        )


def reconcile(tx: Tx, *, call: str, outcome: Outcome, note: str) -> Call:
    """Settle a call whose outcome is unknown or whose guard is gone, after someone has looked.

    ``succeeded`` keeps its key for ever, ``failed`` frees it so that the work may be tried again.
    """
    known = tx.need(Call, call)
    if known.outcome not in (None, Outcome.UNKNOWN) or (known.outcome is None and not known.in_flight):
        raise Conflict(f"{call} needs no reconciling", hint="Its outcome is recorded.", found=known.outcome)
    if not note.strip():
        raise Invalid("a note is needed", hint="Say how you know what happened.", field="note")
    tx.record(
        CallFinished(
            call=call,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            key=known.key,
            outcome=outcome,
            result=known.result,
            error=f"reconciled by {tx.actor}: {note.strip()}",
            reconciled=True,
        )
    )
    return tx.need(Call, call)


def give_up(tx: Tx, known: Call, *, why: str) -> None:
    """Turn a call in flight whose guard is gone into one with an unknown outcome.

    What was captured before it is all that is known of its objects.
    """
    effects = tuple(
        _effect(
            tx,
            known,
            Observed(object=each.object, operation=operation, before=each.image, after=Image.unknown(why)),
            operation,
        )
        for each in known.before
        if (operation := operation_of(each.image, Image.unknown(why), known.effect)) is not None
    )
    tx.record(
        CallFinished(
            call=known.id,
            run=known.run,
            workflow=known.workflow,
            tool=known.tool,
            key=known.key,
            outcome=Outcome.UNKNOWN,
            error=why,
            effects=effects,
        )
    )


def _check_same_call(earlier: Call, *, run: str, tool: str, args_digest: str) -> None:
    if (earlier.run, earlier.tool, earlier.args_digest) != (run, tool, args_digest):
        raise Conflict(
            f"{earlier.id} is another call: {earlier.tool} of {earlier.run}",
            hint="Every call has its own id.",
            call=earlier.id,
        )
    if earlier.outcome is not None:
        raise Conflict(
            f"{earlier.id} has ended: {earlier.outcome}", hint="A call runs once.", call=earlier.id
        )
    if earlier.attempted_at is not None:
        raise Conflict(f"{earlier.id} is running already", hint="Wait for its outcome.", call=earlier.id)


def _in_flight(tx: Tx, call: str) -> Call:
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    if known.outcome is not None:
        raise Conflict(f"{call} has ended: {known.outcome}", hint="A call ends once.", found=known.outcome)
    if not known.in_flight:
        raise Conflict(
            f"{call} has no permit: {known.verdict}", hint="Ask for a permit first.", found=known.verdict
        )
    return known


def _key(
    rules: CompiledManifest | None, run: Run, tool: str, args: dict[str, Any], nth: int
) -> tuple[str, str | None, str]:
    """Answer the key that counts, the business key where the manifest makes one, and why it could not be made."""
    own = derived(run.workflow, run.trigger_id, tool, args, nth)
    if rules is None or tool not in rules.manifest.tools:
        return own, None, ""
    try:
        parts = rules.business_key(tool, args, run)
    except ExpressionError as error:
        return own, None, str(error)
    return (own, None, "") if parts is None else (business(run.workflow, tool, parts), parts, "")


def _destination(rules: CompiledManifest | None, tool: str, args: dict[str, Any]) -> str | None:
    if rules is None or tool not in rules.manifest.tools:
        return None
    try:
        return rules.destination(tool, args)
    except ExpressionError:
        return (
            None  # what a hold on a destination cannot see, it cannot stop; a condition can deny such a call
        )


def _capture(rules: CompiledManifest | None, tool: str, args: dict[str, Any]) -> tuple[ObjectRef, ...]:
    """Answer the object that the arguments name; one that only the result names is asked for later."""
    if rules is None or tool not in rules.manifest.tools:
        return ()
    try:
        found = rules.object_ref(tool, args)
    except ExpressionError:
        return ()
    return (found,) if found else ()


def _declared_object(rules: CompiledManifest, call: Call, result: Any) -> ObjectRef | None:
    if call.effect is EffectKind.READ or call.tool not in rules.manifest.tools:
        return None
    try:
        return rules.object_ref(call.tool, call.args, result)
    except ExpressionError:
        return None  # the audit names calls that changed something without naming it


def _usage(tx: Tx, run: Run, rules: CompiledManifest | None) -> Usage:
    budget = rules.manifest.budget if rules else None
    own = Usage(
        run_usd=run.cost_usd,
        run_tokens=run.tokens,
        run_calls=run.calls,
        run_writes=run.writes,
        run_unpriced=run.unpriced,
    )
    limited = rules.manifest.stages.limited.day_writes if rules else None
    if budget is None or not any(
        (budget.day_usd, budget.day_tokens, budget.day_calls, budget.day_writes, limited)
    ):
        return own
    midnight = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = tx.find(Run, workflow=run.workflow, started_at_from=midnight, order="-started_at")
    return Usage(
        run_usd=own.run_usd,
        run_tokens=own.run_tokens,
        run_calls=own.run_calls,
        run_writes=own.run_writes,
        run_unpriced=own.run_unpriced,
        day_usd=sum(each.cost_usd for each in today),
        day_tokens=sum(each.tokens for each in today),
        day_calls=sum(each.calls for each in today),
        day_writes=sum(each.writes for each in today),
        day_unpriced=sum(each.unpriced for each in today),
    )


def _approval(tx: Tx, request: CallRequest, controls: Controls, decided: Decided) -> str | None:
    """Ask people when the call waits and nobody has been asked; answer the approval that the call is about."""
    if decided.verdict is not Verdict.WAIT:
        return decided.consumes or (controls.approval.id if controls.approval else None)
    if decided.ask is None:
        return controls.approval.id if controls.approval else None
    bound = binding(request, controls)
    approvers = _people(controls.workflow, decided.ask.approvers)
    approval_id = tx.new_id("appr")
    tx.record(
        ApprovalRequested(
            approval=approval_id,
            subject=f"call:{request.id}",
            workflow=request.workflow,
            title=f"{request.workflow} wants to run {request.tool}",
            digest=bound.digest(),
            content=bound.content() | {"why": decided.ask.why},
            approvers=approvers,
            quorum=decided.ask.quorum,
            expires_at=tx.now + decided.ask.expires_after,
            version=bound.version,
            epoch=bound.epoch,
            requested_by=request.principal,
            run=request.run.id,
            call=request.id,
        )
    )
    return approval_id


def _people(workflow: Workflow | None, roles: Sequence[Role]) -> tuple[str, ...]:
    """Answer the people in these roles, and the backup, so that a question never waits for nobody."""
    owners = workflow.owners if workflow else {}
    named = [owners[role] for role in (*roles, Role.BACKUP) if role in owners]
    return tuple(dict.fromkeys(named))


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
