"""The desk: what the control plane answers to each request of the permit protocol.

The server and the embedded guard both answer through here, so a call is decided in one way wherever it is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import asdict

from stopwork.control import backfilling, drafting, running
from stopwork.control import protocol as p
from stopwork.operations import (
    backfills,
    claims,
    lanes,
    outcomes,
    permits,
    points,
    probing,
    reads,
    retrievals,
    runs,
)
from stopwork.operations.manifests import Manifests
from stopwork.storage.transaction import Tx

A = TypeVar("A")

_OF_READING: Final = (p.RecordStep, p.SiftItems)
#: What is asked while a recovery is carried out.
_OF_RUNNERS: Final = (running.ClaimLane, running.BeginItems, running.EndItems, running.KeepLane)


def answer(
    tx: Tx, manifests: Manifests, request: p.Request[A], *, connected: Collection[str] = frozenset()
) -> A:
    """Answer one request inside a transaction, for the actor of that transaction; ``connected`` are the systems of this server."""
    if isinstance(request, _OF_RUNNERS):
        return lanes.lend(tx, request, connected=connected)  # type: ignore[no-any-return]
    found = (
        _read(tx, manifests, request) if isinstance(request, _OF_READING) else _done(tx, manifests, request)
    )
    if type(found) is request.answer:
        return found  # type: ignore[return-value]
    return msgspec.convert(found, type=request.answer, from_attributes=True)  # type: ignore[return-value]


def _done(tx: Tx, manifests: Manifests, request: p.Request[Any]) -> Any:
    fields = asdict(request)
    match request:
        case p.StartRun():
            return runs.start(tx, manifests, **fields)
        case p.RejoinRun():
            return runs.rejoin(tx, manifests, **fields)
        case drafting.ClaimDrafts() | backfilling.ClaimBackfills():
            return _claimed(tx, manifests, request)
        case p.FinishRun():
            runs.finish(tx, **fields)
        case p.AskPermit():
            return permits.ask(tx, manifests, **fields)
        case p.RecordAttempt():
            permits.attempt(tx, **fields)
        case p.RecordOutcome():
            return {"capture": outcomes.finish(tx, manifests, **fields)}
        case p.RecordEffects():
            outcomes.observe(tx, manifests, **fields)
        case p.SettleByProbe():
            return {"outcome": probing.settle(tx, manifests, **fields)}
        case p.RegisterPoint():
            point, epoch = points.register(tx, **fields)
            return {"point": point, "epoch": epoch}
        case p.Heartbeat():
            return points.heartbeat(
                tx, manifests, point=request.point, epoch=request.epoch, lease=request.lease
            )
        case p.ReportReads():
            return reads.report(tx, manifests, point=request.point, reads=request.reads)
        case p.RetirePoint():
            points.retire(tx, **fields, reason="it said goodbye")
    return {}


def _claimed(
    tx: Tx, manifests: Manifests, request: drafting.ClaimDrafts | backfilling.ClaimBackfills
) -> dict[str, Any]:
    """Give out what people have released or ordered, for one guard to carry out."""
    if isinstance(request, drafting.ClaimDrafts):
        return {"drafts": claims.claim(tx, manifests, **asdict(request))}
    return {"backfills": backfills.claim(tx, manifests, **asdict(request))}


def _read(tx: Tx, manifests: Manifests, request: p.RecordStep | p.SiftItems) -> dict[str, Any]:
    """Answer about what a run does besides calls, and about what it may read."""
    if isinstance(request, p.SiftItems):
        return {"withheld": retrievals.sift(tx, manifests, **asdict(request))}
    refused = retrievals.refusal(tx, manifests, request)
    marked = {} if refused is None else {"facts": request.facts | {"refused": refused}}
    step = runs.step(tx, **(asdict(request) | marked))
    spent = bool(request.tokens or request.cost_usd) and runs.spent(tx, manifests, run=request.run)
    return {"step": step, "spent": spent, "refused": refused or ""}
