"""Reads that a guard decided by itself, on a lease, put on record afterwards: audit and detectors miss nothing.

What has run is never refused a place in the record, however late it is told and whatever the rules say by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from stopwork.control.keys import derived
from stopwork.control.protocol import LeasedRead, ReadsReported
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Invalid
from stopwork.ledger.events import CallDecided, CallFinished
from stopwork.ledger.records import Call, Point, Run
from stopwork.ledger.words import EffectKind, Risk, Verdict
from stopwork.manifest.model import Manifest, Tool
from stopwork.operations.manifests import Manifests
from stopwork.operations.points import current_epoch
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.transaction import Tx

#: A read that is reported running is given up as unknown when its guard has been gone since this long after it began.
EXPECTED_WITHIN = timedelta(seconds=60)


def report(tx: Tx, manifests: Manifests, *, point: str, reads: Sequence[LeasedRead]) -> ReadsReported:
    """Record reads that this guard decided, in their order; answer those whose run is not known to be the workflow's.

    Asked again it changes nothing that is on record. ``Invalid`` for a read under controls that have not come yet, of a tool that
    was no read, and under the id of any other call: what was asked for a permit ends by its outcome.
    """
    known = tx.need(Point, point)
    require_own_workflow(tx, known.workflow)
    newest = current_epoch(tx)
    unknown = []
    for read in reads:
        run = tx.get(Run, read.run)
        if run is None or run.workflow != known.workflow:
            unknown.append(read.call)
            continue
        if read.epoch > newest:
            raise Invalid(
                f"epoch {read.epoch} has not come yet", hint="Report the epoch of the lease.", call=read.call
            )
        earlier = tx.get(Call, read.call)
        if earlier is None:
            _began(tx, manifests, run, point, read)
        elif not _is_same(earlier, point, read):
            raise Invalid(f"{read.call} is another call", hint="Every call has its own id.", call=read.call)
        if read.outcome is not None and (earlier is None or earlier.outcome is None):
            _ended(tx, run, read)
    return ReadsReported(unknown=tuple(unknown))


def _is_same(earlier: Call, point: str, read: LeasedRead) -> bool:
    """Answer whether the call on record is this read, put there by an earlier report."""
    return (
        earlier.began_at is not None
        and (earlier.point, earlier.run, earlier.tool) == (point, read.run, read.tool)
        and earlier.args_digest == digest_of(read.args)
    )


def _began(tx: Tx, manifests: Manifests, run: Run, point: str, read: LeasedRead) -> None:
    manifest = manifests.version(tx, run.workflow, read.version).manifest
    tool = _declared(manifest, read)
    known_source = manifest.sources.get(tool.source) if tool.source else None
    began_at = tx.now - timedelta(seconds=read.began_ago_s)
    tx.record(
        CallDecided(
            call=read.call,
            run=run.id,
            workflow=run.workflow,
            version=read.version,
            tool=read.tool,
            effect=EffectKind.READ,
            risk=tool.risk,
            permission=tool.permission,
            trigger=run.trigger,
            args=read.args,
            args_digest=digest_of(read.args),
            key=derived(run.workflow, run.trigger_id, read.tool, read.args, read.nth),
            business_key=None,
            verdict=Verdict.ALLOW,
            would=Verdict.ALLOW,
            reasons=(),
            epoch=read.epoch,
            not_after=began_at + EXPECTED_WITHIN,
            source=tool.source,
            source_class=known_source.trust.value if known_source else None,
            point=point,
            began_at=began_at,
        )
    )


def _ended(tx: Tx, run: Run, read: LeasedRead) -> None:
    if read.outcome is None:
        return
    tx.record(
        CallFinished(
            call=read.call,
            run=run.id,
            workflow=run.workflow,
            tool=read.tool,
            key=tx.need(Call, read.call).key,
            outcome=read.outcome,
            result=read.result,
            error=read.error,
            ended_at=tx.now - timedelta(seconds=max(0.0, read.began_ago_s - read.took_s)),
        )
    )


def _declared(manifest: Manifest, read: LeasedRead) -> Tool:
    tool = manifest.tools.get(read.tool)
    if tool is None or tool.effect is not EffectKind.READ or tool.risk is Risk.BLOCKED:
        raise Invalid(
            f"{read.tool} is no tool that version {read.version} lets a guard decide about",
            hint="Ask for a permit before the call.",
            call=read.call,
            tool=read.tool,
        )
    return tool
