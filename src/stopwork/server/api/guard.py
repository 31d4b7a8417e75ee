"""What guards ask: the permit protocol, as endpoints.

The rows follow from :mod:`stopwork.control.protocol`: a request knows its address, its fields and its answer. What stands in
the path is left out of the body.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stopwork.control import backfilling, drafting, running
from stopwork.control import protocol as p
from stopwork.ledger.records import Credential
from stopwork.operations import desk
from stopwork.server.api.endpoint import Access, Attend, Endpoint, Given, Write

#: Images of many objects may come with an outcome.
MAX_BODY_BYTES: Final = 16 * 1024 * 1024

_SUMMARIES: Final[dict[type[p.Request[Any]], tuple[str, str]]] = {
    p.StartRun: ("start_run", "Begin a run"),
    p.RejoinRun: ("rejoin_run", "Go on with a run in another process"),
    p.FinishRun: ("finish_run", "End a run"),
    p.RecordStep: ("record_step", "Record a step that is no tool call"),
    p.SiftItems: ("sift_items", "Ask which of several items of a source a run may not read"),
    p.AskPermit: ("ask_permit", "Ask whether a call may run; an allow is its permit"),
    p.RecordAttempt: (
        "attempt_call",
        "Say that a permitted call is about to run, with what its objects hold",
    ),
    p.RecordOutcome: ("finish_call", "Report how a call ended and what it changed"),
    p.RecordEffects: ("observe_effects", "Report objects that only the result named"),
    p.SettleByProbe: (
        "settle_by_probe",
        "Settle a call whose end nobody saw by what its probe returned",
    ),
    drafting.ClaimDrafts: (
        "claim_drafts",
        "Take released drafts to carry them out, so that nobody else does",
    ),
    backfilling.ClaimBackfills: (
        "claim_backfills",
        "Take orders to make up for missed runs, so that nobody else does",
    ),
    p.RegisterPoint: ("register_point", "Register an enforcement point"),
    p.Heartbeat: ("beat", "Say that an enforcement point is alive and which epoch it acts on"),
    p.ReportReads: ("report_reads", "Report reads that an enforcement point decided by itself, on its lease"),
    p.RetirePoint: ("retire_point", "Say goodbye: this enforcement point has stopped"),
    running.ClaimLane: (
        "claim_lane",
        "Take the items of a system in a recovery, so that nobody else has them",
    ),
    running.BeginItems: (
        "begin_items",
        "Say what the objects of a recovery hold, and be told what to do to each",
    ),
    running.EndItems: ("end_items", "Say what the objects hold afterwards"),
    running.KeepLane: ("keep_lane", "Keep the items of a system for longer, or give them back"),
}


def _endpoint(request: type[p.Request[Any]]) -> Endpoint:
    name, summary = _SUMMARIES[request]
    in_path = set(re.findall(r"{(\w+)}", request.path))
    fields = [field for field in msgspec.structs.fields(request) if field.name not in in_path]
    body = _body(f"{request.__name__}Body", fields) if fields else None

    def work(tx: Any, given: Any) -> Any:
        values = {field.name: getattr(given.body, field.name) for field in fields}
        here = given.installation
        return desk.answer(tx, here.manifests, request(**values, **given.path), connected=here.systems)

    return Endpoint(
        method=request.method,
        path=request.path,
        name=name,
        summary=summary,
        does=Write(work),
        body=body,
        answer=request.answer,
        access=Access.ANY,
        max_body_bytes=MAX_BODY_BYTES,
        tag="guard",
    )


def _body(name: str, fields: list[msgspec.structs.FieldInfo]) -> type[Struct]:
    spelled: list[Any] = []
    for field in fields:
        if field.required:
            spelled.append((field.name, field.type))
        else:
            factory = field.default_factory
            default = (
                field.default if factory is msgspec.NODEFAULT else msgspec.field(default_factory=factory)
            )
            spelled.append((field.name, field.type, default))
    return msgspec.defstruct(name, spelled, frozen=True, kw_only=True, forbid_unknown_fields=True)


ENDPOINTS: Final = tuple(_endpoint(request) for request in _SUMMARIES)


def endpoints(heartbeat: Callable[[Given, Credential | None], Awaitable[Any]]) -> tuple[Endpoint, ...]:
    """Answer the rows of a server that notes heartbeats together and holds them."""
    return tuple(
        replace(row, does=Attend(heartbeat)) if row.path == p.Heartbeat.path else row for row in ENDPOINTS
    )
