"""Probing: a call whose end nobody saw is looked into by another tool, where the tools live, before anything is tried again.

The manifest names the tool that looks, what it is asked, and what its answer shows. A guard that was offered the probe
(:mod:`stopwork.operations.probes`) runs it as a guarded read, like any other, and says by which call. What that call returned is on
record and is judged here, so what is known has a record that shows how.
"""

from __future__ import annotations

from msgspec.structs import replace

from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import Call, Effect, Run, Workflow
from stopwork.ledger.words import ImageState, Outcome
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Probe
from stopwork.operations import outcomes
from stopwork.operations.manifests import Manifests
from stopwork.operations.probes import probe_of
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx


def settle(tx: Tx, manifests: Manifests, *, call: str, by: str) -> Outcome:
    """Settle a call whose end nobody saw by the call of its probe, and answer how it ended; saying it again changes nothing.

    What was found has taken effect. What was not found has not, once the call has rested for as long as the manifest says: what was
    cut off may arrive until then, and the answer is ``unknown``. ``Invalid`` for a call that is not its probe.
    """
    known = tx.need(Call, call)
    require_own_workflow(tx, known.workflow)
    if known.outcome is None:
        raise Conflict(f"{call} has not ended", hint="Ask again when its outcome is recorded.", call=call)
    if known.outcome is not Outcome.UNKNOWN:
        return known.outcome
    rules = manifests.version(tx, known.workflow, tx.need(Workflow, known.workflow).version)
    probe, looked = probe_of(rules, known.tool), tx.need(Call, by)
    try:
        if probe is None or not _looks_into(tx, rules, probe, known, looked):
            raise Invalid(
                f"{by} does not look into {call}",
                hint="Run the tool and arguments that the refusal offered, after that call has ended.",
                field="by",
            )
        found, result = rules.was_found(known.tool, known.args, looked.result)
    except ExpressionError as error:
        raise Invalid(
            f"what {by} returned tells nothing of {call}: {error}",
            hint="Change `probe` in the manifest.",
            field="by",
        ) from error
    if not found and known.finished_at is not None and tx.now - known.finished_at < probe.rest:
        return Outcome.UNKNOWN
    outcome = Outcome.SUCCEEDED if found else Outcome.FAILED
    how = (
        f"by {by}: {probe.tool} found what it was to do"
        if found
        else f"by {by}: {probe.tool} found nothing of it"
    )
    outcomes.settle(
        tx, known, outcome=outcome, how=how, result=result, left=() if found else _as_before(tx, known)
    )
    return outcome


def _looks_into(tx: Tx, rules: CompiledManifest, probe: Probe, known: Call, looked: Call) -> bool:
    asked = rules.probe_args(known.tool, known.args, tx.need(Run, known.run), known.source or "")
    return (
        (looked.workflow, looked.tool, looked.args_digest) == (known.workflow, probe.tool, digest_of(asked))
        and looked.outcome is Outcome.SUCCEEDED
        and known.finished_at is not None
        and looked.requested_at >= known.finished_at
    )


def _as_before(tx: Tx, known: Call) -> list[Effect]:
    """Answer the effects that it might have had as what they were: nothing."""
    return [
        replace(each, after=each.before)
        for each in tx.each(Effect, call=known.id)
        if each.after.state is ImageState.UNKNOWN
    ]
