"""Granting read leases: which tools are free, and how many reads the budget has room for.

What a lease is, and how it is counted, is told in :mod:`stopwork.control.lease`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from stopwork.control import holds as hold_rules
from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, Rules, decide
from stopwork.control.protocol import ReadLease
from stopwork.ledger.records import Hold, Principal, Run, Workflow
from stopwork.ledger.words import EffectKind, PrincipalKind, RunStatus, ScopeKind, Verdict
from stopwork.manifest.model import Manifest, Tool, Trust

#: How many reads a guard may decide by itself before it is given the next lease, where no budget says less.
MAX_READS: Final = 10_000


def grant(
    rules: Rules, workflow: Workflow, holds: Iterable[Hold], usage: Usage, *, now: datetime
) -> ReadLease:
    """Answer the lease that a guard of the workflow may have now, without the number of reads. ``usage`` is what was spent today."""
    manifest = rules.manifest
    return ReadLease(
        for_s=manifest.read_lease.total_seconds(),
        version=workflow.version,
        free=free(rules, workflow, tuple(holds), usage, now),
        run_calls=manifest.budget.run_calls,
    )


def share(manifest: Manifest, usage: Usage, *, points: int, leased: int) -> int:
    """Answer how many reads one of ``points`` guards may decide while the others may ``leased``: together no more than the day has left."""
    limit = manifest.budget.day_calls
    if limit is None:
        return MAX_READS
    left = max(0, limit - usage.day_calls)
    return max(0, min(MAX_READS, left // max(1, points), left - leased))


def free(
    rules: Rules, workflow: Workflow, holds: tuple[Hold, ...], usage: Usage, now: datetime
) -> tuple[str, ...]:
    """Answer the tools whose every call :func:`~stopwork.control.decide.decide` would allow, and in ``observe`` mode enforcement as well."""
    if any(_depends_on_run(hold, workflow.id) for hold in holds):
        return ()
    # Which items a call names is not known before it is made.
    controls = Controls(
        workflow=workflow, rules=rules, holds=tuple(map(hold_rules.whole, holds)), usage=usage
    )
    return tuple(
        name
        for name in rules.manifest.tools
        if not _depends_on_call(rules.manifest, name)
        and _allowed(decide(_any_call(workflow, name, now), controls, now).would)
    )


def _allowed(verdict: Verdict) -> bool:
    return verdict is Verdict.ALLOW


def _depends_on_call(manifest: Manifest, name: str) -> bool:
    """Answer whether what a call of this tool may do cannot be told without its arguments."""
    tool = manifest.tools[name]
    return (
        tool.effect is not EffectKind.READ
        or manifest.gate_of(name) is not None
        or any((tool.deny_when, tool.args_schema, tool.destination, tool.recipients))
        or (manifest.alerts.prompt_injection.enabled and _touches_the_outside(manifest, tool))
    )


def _touches_the_outside(manifest: Manifest, tool: Tool) -> bool:
    """Answer whether a read takes something in from outside, or carries something there.

    What it takes in has to be on record before the next call is decided, and where it goes depends on its arguments.
    """
    source = manifest.sources.get(tool.source) if tool.source else None
    return tool.external or (source is not None and source.trust is not Trust.INTERNAL)


def _depends_on_run(hold: Hold, workflow: str) -> bool:
    """Answer whether the hold stops the reads of some runs of this workflow and perhaps not of others."""
    stops_reads = hold_rules.answer(hold.mode, EffectKind.READ) is not Verdict.ALLOW
    concerns = hold.scope.workflow in (None, workflow)
    return hold.active and hold.scope.kind is ScopeKind.TRIGGER and concerns and stops_reads


def _any_call(workflow: Workflow, tool: str, now: datetime) -> CallRequest:
    """Answer a call that stands for every call of this tool by a run that is running."""
    agent = Principal(kind=PrincipalKind.AGENT, id=workflow.id)
    run = Run(
        id="",
        workflow=workflow.id,
        version=workflow.version,
        trigger="",
        trigger_id="",
        attempt=1,
        mode=workflow.mode,
        status=RunStatus.RUNNING,
        started_at=now,
        by=agent,
    )
    return CallRequest(id="", workflow=workflow.id, run=run, tool=tool, args={}, key="", principal=agent)
