"""Runs and their steps, as the guard reports them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from stopwork.control import budget
from stopwork.control.backfilling import BACKFILL
from stopwork.control.budget import Usage
from stopwork.control.protocol import (
    MAX_TASK_CHARS,
    RunRejoined,
    RunTicket,
    ToolFacts,
    WaitingCall,
)
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.events import RunFinished, RunStarted, StepRecorded
from stopwork.ledger.records import Backfill, Call, Principal, Run, Workflow
from stopwork.ledger.words import (
    BackfillState,
    EffectKind,
    Outcome,
    PrincipalKind,
    RunStatus,
    StepKind,
    Verdict,
)
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.prices import price_usd
from stopwork.storage.transaction import Tx


def start(
    tx: Tx,
    manifests: Manifests,
    *,
    workflow: str,
    trigger: str,
    trigger_id: str = "",
    attempt: int = 1,
    retry_of: str | None = None,
    runtime: dict[str, Any] | None = None,
    run: str | None = None,
    task: str = "",
) -> RunTicket:
    """Begin a run and answer under what rules it runs.

    A run may begin while its workflow is held: its calls are then refused one by one, and that is recorded. ``run`` may be chosen by
    the caller; saying the same start twice gives the same run. ``task`` is what it was asked to do, word by word.
    """
    require_own_workflow(tx, workflow)
    declared = known_workflow(tx, workflow)
    if attempt < 1:
        raise Invalid("attempt counts from 1", hint="The first try is 1.", field="attempt", found=attempt)
    run_id = run or tx.new_id("run")
    before = tx.get(Run, run_id)
    if len(task) > MAX_TASK_CHARS:
        raise Invalid(
            f"the task is told in {len(task):,} letters, where {MAX_TASK_CHARS:,} are allowed",
            hint="Say what is asked for; what it is about is read by the run.",
            field="task",
        )
    if before is None:
        tx.record(
            RunStarted(
                run=run_id,
                workflow=workflow,
                version=declared.version,
                trigger=trigger,
                trigger_id=trigger_id or run_id,
                attempt=attempt,
                mode=declared.mode,
                retry_of=retry_of,
                runtime=runtime or {},
                digests=dict(manifests.digests(tx, workflow, declared.version)),
                backfill=_ordered(tx, workflow, run_id, trigger, trigger_id),
                task=task,
                notes_reads=True,
            )
        )
    elif before.workflow != workflow:
        raise Conflict(f"run {run_id} belongs to {before.workflow}", hint="Use another run id.")
    elif (before.trigger, before.trigger_id, before.attempt) != (trigger, trigger_id or run_id, attempt):
        raise Conflict(
            f"run {run_id} was begun for another occasion",
            hint="Every attempt at an occasion has a run of its own.",
            expected=[before.trigger, before.trigger_id, before.attempt],
            found=[trigger, trigger_id or run_id, attempt],
        )
    return _ticket(tx, manifests, run_id, declared)


def _ordered(tx: Tx, workflow: str, run: str, trigger: str, trigger_id: str) -> str | None:
    """Answer the order that a run carries out; a backfill that nobody ordered begins, and changes nothing."""
    if trigger != BACKFILL:
        return None
    taken = tx.each(Backfill, workflow=workflow, state=BackfillState.TAKEN)
    return next((each.id for each in taken if (each.run, each.trigger_id) == (run, trigger_id)), None)


def _ticket(tx: Tx, manifests: Manifests, run: str, workflow: Workflow) -> RunTicket:
    """Answer under what rules a run goes on from now: those in force."""
    manifest = manifests.version(tx, workflow.id, workflow.version).manifest
    return RunTicket(
        run=run,
        workflow=workflow.id,
        version=workflow.version,
        mode=workflow.mode,
        stage=workflow.stage,
        tools={
            name: ToolFacts(
                effect=tool.effect, risk=tool.risk, system=tool.object.system if tool.object else None
            )
            for name, tool in manifest.tools.items()
        },
    )


def rejoin(tx: Tx, manifests: Manifests, *, run: str, call: str | None = None) -> RunRejoined:
    """Answer what another process needs to go on with a run, and with ``call`` if that still waits.

    Raises ``Conflict`` when the run, or the call, has ended meanwhile.
    """
    rejoined = known(tx, manifests, running(tx, run))
    done: Counter[str] = Counter()
    for each in tx.each(Call, run=run):
        if each.outcome is Outcome.SUCCEEDED or each.verdict is Verdict.REPLAY:
            done[digest_of([each.tool, _asked(each)])] += 1
    return replace(rejoined, done=dict(done), call=_waiting(tx, run, call) if call else None)


def known(tx: Tx, manifests: Manifests, run: Run) -> RunRejoined:
    """Answer a run as its guard knows it, whether or not it has ended."""
    return RunRejoined(
        ticket=_ticket(tx, manifests, run.id, known_workflow(tx, run.workflow)),
        trigger=run.trigger,
        trigger_id=run.trigger_id,
        attempt=run.attempt,
    )


def _waiting(tx: Tx, run: str, call: str) -> WaitingCall:
    found = tx.need(Call, call)
    if found.run != run:
        raise Invalid(
            f"{call} is no call of {run}",
            hint="Use the token as the guard gave it.",
            expected=found.run,
            found=run,
        )
    if found.outcome is not None:
        raise Conflict(
            f"{call} has ended: {found.outcome}",
            hint="It runs once; what came of it is on record.",
            call=call,
            found=found.outcome,
        )
    return WaitingCall(call=call, tool=found.tool, args=_asked(found), source=found.source)


def _asked(call: Call) -> dict[str, Any]:
    return call.args if call.asked_args is None else call.asked_args


def finish(tx: Tx, *, run: str, status: RunStatus, error: str | None = None) -> Run:
    """End a run. Ending it the same way again changes nothing; ending it in another way is a ``Conflict``."""
    known = running(tx, run, allow_finished=True)
    if status is RunStatus.RUNNING:
        raise Invalid("a run does not end as running", hint="Use succeeded or failed.", field="status")
    if known.status is RunStatus.RUNNING:
        tx.record(
            RunFinished(run=run, workflow=known.workflow, status=status, error=error, backfill=known.backfill)
        )
    elif known.status is not status:
        raise Conflict(f"run {run} has already {known.status}", hint="A run ends once.", found=known.status)
    return tx.need(Run, run)


def step(
    tx: Tx,
    *,
    run: str,
    kind: StepKind,
    name: str,
    facts: dict[str, Any] | None = None,
    source: str | None = None,
    as_of: datetime | None = None,
    tokens: int = 0,
    cost_usd: float | None = None,
    model: str | None = None,
) -> str:
    """Record one step and answer its id. A model call without a cost is priced by its model, or stays unpriced."""
    known = running(tx, run)
    if tokens < 0 or (cost_usd is not None and cost_usd < 0):
        raise Invalid("tokens and cost cannot be negative", hint="Report what was spent.", field="tokens")
    given = (facts or {}) | ({"model": model} if model else {})
    if cost_usd is None and tokens and model:
        cost_usd = price_usd(model, given, tokens, at=tx.now)
    step_id = tx.new_id("step")
    tx.record(
        StepRecorded(
            step=step_id,
            run=run,
            workflow=known.workflow,
            kind=kind,
            name=name,
            facts=given,
            source=source,
            as_of=in_utc(as_of) if as_of else None,
            tokens=tokens,
            cost_usd=cost_usd,
        )
    )
    return step_id


def spent(tx: Tx, manifests: Manifests, *, run: str) -> bool:
    """Answer whether the run has no room left in its budget for another call, whatever that would be."""
    known = tx.need(Run, run)
    workflow = known_workflow(tx, known.workflow)
    limits = manifests.version(tx, workflow.id, workflow.version).manifest.budget
    usage = Usage(
        run_usd=known.cost_usd, run_tokens=known.tokens, run_calls=known.calls, run_unpriced=known.unpriced
    )
    return any(True for _ in budget.reasons(usage, limits, None, EffectKind.READ))


def running(tx: Tx, run: str, *, allow_finished: bool = False) -> Run:
    """Answer the run if the actor may speak for it."""
    known = tx.need(Run, run)
    require_own_workflow(tx, known.workflow)
    if known.status is not RunStatus.RUNNING and not allow_finished:
        raise Conflict(f"run {run} has ended", hint="Start a new run.", found=known.status)
    return known


def require_own_workflow(tx: Tx, workflow: str) -> None:
    """Raise ``Denied`` when the actor is the agent of another workflow."""
    require_speaks_for(tx.actor, workflow)


def require_speaks_for(actor: Principal, workflow: str) -> None:
    """Raise ``Denied`` when this is the agent of another workflow, or speaks for none; an agent's id is its workflow."""
    if actor.kind not in (PrincipalKind.AGENT, PrincipalKind.PERSON, PrincipalKind.SYSTEM):
        raise Denied(f"a {actor.kind} speaks for no workflow", hint="Use the workflow's own token.")
    if actor.kind is PrincipalKind.AGENT and actor.id != workflow:
        raise Denied(
            f"this token speaks for {actor.id}, not for {workflow}",
            hint=f"Use a token of that workflow: stopwork token create --agent {workflow}",
            workflow=workflow,
        )
