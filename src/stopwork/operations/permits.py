"""Permits: the guard's question before a call, and the writer's durable answer.

A call starts when its permit commits. The intent is in the journal before the call runs, the before-images before it touches
anything, and the outcome after (:mod:`stopwork.operations.outcomes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from stopwork.control import gates, holds, stages
from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, Decided, binding, decide
from stopwork.control.keys import (
    KeyStanding,
    KeyState,
    business,
    derived,
    difference,
    occurrence,
    standing,
)
from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import (
    ApprovalConsumed,
    ApprovalRequested,
    CallAttempted,
    CallDecided,
)
from stopwork.ledger.records import (
    Approval,
    Call,
    Captured,
    Day,
    Draft,
    Hold,
    Key,
    ObjectRef,
    Run,
    Workflow,
)
from stopwork.ledger.words import EffectKind, Outcome, Verdict
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.operations import backfills, claims, probes, steering
from stopwork.operations.holds import lifted_since
from stopwork.operations.manifests import Manifests
from stopwork.operations.points import current_epoch
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How long a permit may lie unused before the guard has to ask again.
PERMIT_VALID_FOR: Final = timedelta(seconds=60)


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
    session: str | None = None,
    point: str | None = None,
    draft: str | None = None,
) -> PermitAnswer:
    """Decide one call, now, and make the decision durable.

    ``call`` is chosen by the guard and names the call in every later question: asking again about a waiting call
    decides afresh, and repeating a question whose answer was lost gives the same permit. ``nth`` says of which of equal calls this
    is one try, counted from 1, ``draft`` which released draft it carries out. Raises ``Conflict`` when ``call`` was used for
    something else, has ended, or is another session's.
    """
    known_run = tx.need(Run, run)
    require_own_workflow(tx, known_run.workflow)
    args_digest = digest_of(args)
    call_id = call or tx.new_id("call")
    earlier = tx.get(Call, call_id)
    if earlier is not None:
        _check_same_call(earlier, run=run, tool=tool, args_digest=args_digest)
        _check_nobody_elses(earlier, session, tx.now)
    carried = claims.carried(tx, draft, call=call_id, args_digest=args_digest, session=session)

    # The latest question about the call, and the arguments that it is about: a reviewer may have changed them.
    approval = tx.get(Approval, earlier.approval) if earlier is not None and earlier.approval else None
    if carried is not None and carried.release is not None:
        approval = tx.need(Approval, carried.release.approval)
    asked_args, args = args, gates.args_of(approval, args)
    args_digest = digest_of(args) if args is not asked_args else args_digest
    workflow = tx.get(Workflow, known_run.workflow)
    rules = manifests.version(tx, workflow.id, workflow.version) if workflow else None
    key, business_key, key_error = _key(tx, rules, known_run, tool, args, nth)
    if carried is not None and business_key is None:
        key = carried.key  # edited or not, it is the piece of work that the agent asked for
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
        destinations=_destinations(rules, tool, args),
        draft=draft,
    )
    controls = Controls(
        workflow=workflow,
        rules=rules,
        holds=tuple(tx.each(Hold, active=True)),
        epoch=current_epoch(tx),
        key=_key_state(tx, held, args, args_digest, key_error, call=call_id),
        usage=_usage(tx, known_run, rules, tx.now),
        approval=approval,
        lifted=tuple(lifted_since(tx, approval.epoch)) if approval is not None else (),
        draft_decided=claims.decided_about(tx, call_id) if earlier is not None else None,
        backfill=backfills.standing(tx, manifests, known_run, tx.now) if known_run.backfill else None,
        suspicion=steering.suspect(tx, rules, request) if known_run.foreign else None,
    )
    decided = decide(request, controls, tx.now)
    approval_id = _approval(tx, request, controls, decided)
    allowed = decided.verdict is Verdict.ALLOW
    not_after = tx.now + PERMIT_VALID_FOR if allowed else None
    if decided.consumes is not None:
        tx.record(
            ApprovalConsumed(
                approval=decided.consumes, workflow=request.workflow, by=call_id, run=run, call=call_id
            )
        )
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
            source=decided.source,
            source_class=decided.source_class,
            destinations=request.destinations,
            approval=approval_id,
            asked_args=asked_args if asked_args != args else None,
            replay_of=decided.replay_of,
            session=session,
            point=point,
            renewed=earlier is not None and earlier.permitted_at is not None,
            draft=draft,
            suspicion=controls.suspicion,
        )
    )
    claims.settle(tx, carried, earlier, request, decided)
    replayed = tx.need(Call, decided.replay_of) if decided.replay_of else None
    return PermitAnswer(
        call=call_id,
        verdict=decided.verdict,
        would=decided.would,
        reasons=decided.reasons,
        args=args,
        effect=decided.effect,
        epoch=controls.epoch,
        capture=_capture(rules, tool, args) if allowed and decided.effect is not EffectKind.READ else (),
        not_after=not_after,
        valid_for_s=PERMIT_VALID_FOR.total_seconds() if allowed else None,
        approval=approval_id,
        replay=replayed is not None,
        result=replayed.result if replayed else None,
        probe=probes.offer(tx, rules, controls.key, decided),
    )


def foresee(view: View, manifests: Manifests, draft: Draft, now: datetime) -> Decided:
    """Answer what a draft would be answered if it asked now without a release, and whom its gate would ask. Nothing is recorded."""
    run = view.need(Run, draft.run)
    workflow = view.get(Workflow, draft.workflow)
    rules = manifests.version(view, workflow.id, workflow.version) if workflow else None
    key, business_key, why = _key(view, rules, run, draft.tool, draft.args, 1)
    key = key if business_key is not None else draft.key
    request = CallRequest(
        id=draft.id,
        workflow=draft.workflow,
        run=run,
        tool=draft.tool,
        args=draft.args,
        key=key,
        principal=draft.requested_by,
        source=draft.source,
        destinations=_destinations(rules, draft.tool, draft.args),
        draft=draft.id,
    )
    held = view.get(Key, f"{draft.workflow}/{key}")
    controls = Controls(
        workflow=workflow,
        rules=rules,
        holds=tuple(view.each(Hold, active=True)),
        epoch=current_epoch(view),
        key=_key_state(view, held, draft.args, draft.digest, why),
        usage=_usage(view, run, rules, now),
    )
    return decide(request, controls, now)


def attempt(tx: Tx, *, call: str, before: Sequence[Captured], session: str | None = None) -> None:
    """Record that a permitted call is about to run, with what its objects held before.

    The session that has said so may say it again, after a lost answer or when it did not come to begin the call at once. Raises
    ``Conflict`` when the call has no permit, is another session's, has ended, or its permit has run out or was overtaken by a hold: then
    nothing may run.
    """
    known = in_flight(tx, call, session)
    if known.attempted_at is not None:
        if session is None:
            raise Conflict(f"{call} is running already", hint="Name a session, to be known again.", call=call)
        _check_not_overtaken(tx, known)
        return
    if known.not_after is not None and tx.now > known.not_after:
        raise Conflict(
            f"the permit of {call} ran out at {known.not_after.isoformat()}",
            hint="Ask for the permit again, then run.",
            call=call,
        )
    _check_not_overtaken(tx, known)
    tx.record(CallAttempted(call=call, run=known.run, workflow=known.workflow, before=tuple(before)))


def _check_same_call(earlier: Call, *, run: str, tool: str, args_digest: str) -> None:
    asked = earlier.args_digest if earlier.asked_args is None else digest_of(earlier.asked_args)
    if (earlier.run, earlier.tool, asked) != (run, tool, args_digest):
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


def _check_nobody_elses(earlier: Call, session: str | None, now: datetime) -> None:
    """Raise ``Conflict`` while the call has a permit that another session may be about to use."""
    valid = earlier.in_flight and earlier.not_after is not None and now <= earlier.not_after
    if valid and earlier.session != session:
        raise Conflict(
            f"{earlier.id} has been permitted to another session",
            hint=f"A call is one guard's; unless that one begins it by then, ask again after {earlier.not_after}.",
            call=earlier.id,
        )


def _check_not_overtaken(tx: Tx, known: Call) -> None:
    """Raise ``Conflict`` when a hold or a stage set since the permit keeps the call from running."""
    if current_epoch(tx) == known.epoch:
        return
    newer = (hold for hold in tx.each(Hold, active=True) if hold.epoch > known.epoch)
    why = next((reason.text for reason in holds.reasons(newer, known)), None)
    workflow = tx.need(Workflow, known.workflow)
    if (
        workflow.stage_epoch > known.epoch
        and stages.answer(workflow.stage, known.effect) is not Verdict.ALLOW
    ):
        why = why or f"{workflow.id} is at stage {workflow.stage}"
    if why is not None:
        raise Conflict(
            f"the permit of {known.id} was overtaken: {why}", hint="Ask for the permit again.", call=known.id
        )


def require_session(known: Call, session: str | None) -> None:
    """Raise ``Conflict`` when another session than this one was permitted the call."""
    if known.session != session:
        raise Conflict(
            f"{known.id} is another session's",
            hint="A call is carried through by the session that was permitted it.",
            call=known.id,
        )


def in_flight(tx: Tx, call: str, session: str | None) -> Call:
    """Answer the call if it has a permit and no outcome, and actor and session may speak for it; else ``Conflict``."""
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    require_session(known, session)
    if known.outcome is not None:
        raise Conflict(f"{call} has ended: {known.outcome}", hint="A call ends once.", found=known.outcome)
    if not known.in_flight:
        raise Conflict(
            f"{call} has no permit: {known.verdict}", hint="Ask for a permit first.", found=known.verdict
        )
    return known


def _key_state(
    view: View, held: Key | None, args: dict[str, Any], args_digest: str, why: str, *, call: str | None = None
) -> KeyState:
    """Answer what the key means for a call with these arguments; ``why`` says why it could not be computed, where that is so."""
    if why:
        return KeyState(standing=KeyStanding.UNREADABLE, why=why)
    found = standing(held, args_digest, call=call)
    if found.standing is KeyStanding.OTHER_ARGUMENTS:
        return replace(found, why=difference(view.need(Call, found.call).args, args))
    return found


def _key(
    view: View, rules: CompiledManifest | None, run: Run, tool: str, args: dict[str, Any], nth: int
) -> tuple[str, str | None, str]:
    """Answer the key that counts, the business key where the manifest makes one, and why it could not be made."""
    why = ""
    declared = rules.manifest.tools.get(tool) if rules is not None else None
    if rules is not None and declared is not None:
        try:
            parts = rules.business_key(tool, args, run)
        except ExpressionError as error:
            parts, why = None, str(error)
        if parts is not None:
            return business(run.workflow, tool, parts), parts, ""

    def key_of(each: int) -> str:
        return derived(run.workflow, run.trigger_id, tool, args, each)

    def is_done(each: int) -> bool:
        held = view.get(Key, f"{run.workflow}/{key_of(each)}")
        return held is not None and held.outcome is Outcome.SUCCEEDED and not held.expired

    reads = declared is not None and declared.effect is EffectKind.READ
    return key_of(nth if reads else occurrence(nth, is_done)), None, why


def _destinations(rules: CompiledManifest | None, tool: str, args: dict[str, Any]) -> tuple[str, ...] | None:
    if rules is None or tool not in rules.manifest.tools:
        return ()
    try:
        return rules.destinations(tool, args)
    except ExpressionError:
        return None


def _capture(rules: CompiledManifest | None, tool: str, args: dict[str, Any]) -> tuple[ObjectRef, ...]:
    """Answer the object that the arguments name; one that only the result names is asked for later."""
    if rules is None or tool not in rules.manifest.tools:
        return ()
    try:
        found = rules.object_ref(tool, args)
    except ExpressionError:
        return ()
    return (found,) if found else ()


def _counts_days(rules: CompiledManifest) -> bool:
    budget, limited = rules.manifest.budget, rules.manifest.stages.limited.day_writes
    return any((budget.day_usd, budget.day_tokens, budget.day_calls, budget.day_writes, limited))


def _usage(view: View, run: Run, rules: CompiledManifest | None, now: datetime) -> Usage:
    own = Usage(
        run_usd=run.cost_usd,
        run_tokens=run.tokens,
        run_calls=run.calls,
        run_writes=run.writes,
        run_unpriced=run.unpriced,
    )
    if rules is None or not _counts_days(rules):
        return own
    today = view.get(Day, Day.id_of(run.workflow, now))
    if today is None:
        return own
    return replace(
        own,
        day_usd=today.cost_usd,
        day_tokens=today.tokens,
        day_calls=today.calls,
        day_writes=today.writes,
        day_unpriced=today.unpriced,
    )


def _approval(tx: Tx, request: CallRequest, controls: Controls, decided: Decided) -> str | None:
    """Ask people when the call waits and nobody has been asked; answer the approval that the call is about."""
    if decided.verdict is not Verdict.WAIT:
        return decided.consumes or (controls.approval.id if controls.approval else None)
    if decided.ask is None:
        return controls.approval.id if controls.approval else None
    bound = binding(request, controls)
    asked = gates.people(controls.workflow, decided.ask, request.principal)
    approval_id = tx.new_id("appr")
    tx.record(
        ApprovalRequested(
            approval=approval_id,
            subject=f"call:{request.id}",
            workflow=request.workflow,
            title=f"{request.workflow} wants to run {request.tool}",
            digest=bound.digest(),
            content=bound.content() | {"why": decided.ask.why},
            approvers=asked.now,
            quorum=decided.ask.quorum,
            expires_at=tx.now + decided.ask.expires_after,
            version=bound.version,
            epoch=controls.epoch,
            requested_by=request.principal,
            run=request.run.id,
            call=request.id,
            editable=decided.ask.editable,
            edits=controls.approval.edits if controls.approval else (),
            escalates_at=tx.now + decided.ask.escalates_after if asked.later else None,
            escalates_to=asked.later,
        )
    )
    return approval_id
