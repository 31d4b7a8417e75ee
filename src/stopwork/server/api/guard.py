"""What guards ask: runs, permits, outcomes, heartbeats."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from stopwork.ledger.records import Captured, ObjectRef, Observed, Run
from stopwork.ledger.words import Outcome, RunStatus, StepKind
from stopwork.operations import permits, points, runs
from stopwork.server.api.endpoint import Access, Endpoint, Nothing, Write

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Id = Annotated[str, Meta(pattern=r"^[a-z]{2,12}_[A-Za-z0-9_-]{4,64}$", max_length=80)]
Text = Annotated[str, Meta(max_length=10_000)]


class StartRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    workflow: Name
    trigger: Name
    trigger_id: Annotated[str, Meta(max_length=200)] = ""
    attempt: Annotated[int, Meta(ge=1, le=10_000)] = 1
    retry_of: str | None = None
    runtime: dict[str, Any] = {}
    run: Id | None = None


class FinishRun(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    status: RunStatus
    error: Text | None = None


class RecordStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: StepKind
    name: Name
    facts: dict[str, Any] = {}
    source: Name | None = None
    as_of: datetime | None = None
    tokens: Annotated[int, Meta(ge=0)] = 0
    cost_usd: Annotated[float, Meta(ge=0)] | None = None
    model: Name | None = None


class RecordedStep(Struct, frozen=True, kw_only=True):
    step: str


class AskPermit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    run: str
    tool: Name
    args: dict[str, Any]
    call: Id | None = None
    nth: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    source: Name | None = None


class Attempt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    before: Annotated[tuple[Captured, ...], Meta(max_length=1000)] = ()


class Finish(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    outcome: Outcome
    result: Any = None
    error: Text | None = None
    observed: Annotated[tuple[Observed, ...], Meta(max_length=5000)] = ()


class ToCapture(Struct, frozen=True, kw_only=True):
    """The objects that only the result names: read them and report them as effects."""

    capture: tuple[ObjectRef, ...]


class Effects(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    observed: Annotated[tuple[Observed, ...], Meta(max_length=5000)]


class RegisterPoint(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    workflow: Name
    name: Name


class RegisteredPoint(Struct, frozen=True, kw_only=True):
    point: str
    epoch: int


class Beat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``epoch`` is the newest control epoch this guard has confirmed."""

    epoch: Annotated[int, Meta(ge=0)]


class Epoch(Struct, frozen=True, kw_only=True):
    epoch: int


def _fields(body: Struct) -> dict[str, Any]:
    return {name: getattr(body, name) for name in body.__struct_fields__}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/runs",
        name="start_run",
        summary="Begin a run",
        does=Write(lambda tx, g: runs.start(tx, g.installation.manifests, **_fields(g.body))),
        body=StartRun,
        answer=runs.StartedRun,
        access=Access.ANY,
        status=201,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/runs/{run}/finish",
        name="finish_run",
        summary="End a run",
        does=Write(lambda tx, g: runs.finish(tx, run=g.path["run"], **_fields(g.body))),
        body=FinishRun,
        answer=Run,
        access=Access.ANY,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/runs/{run}/steps",
        name="record_step",
        summary="Record a step that is no tool call",
        does=Write(lambda tx, g: RecordedStep(step=runs.step(tx, run=g.path["run"], **_fields(g.body)))),
        body=RecordStep,
        answer=RecordedStep,
        access=Access.ANY,
        status=201,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/permits",
        name="ask_permit",
        summary="Ask whether a call may run; an allow is its permit",
        does=Write(lambda tx, g: permits.ask(tx, g.installation.manifests, **_fields(g.body))),
        body=AskPermit,
        answer=permits.Permit,
        access=Access.ANY,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/calls/{call}/attempt",
        name="attempt_call",
        summary="Say that a permitted call is about to run, with what its objects hold",
        does=Write(lambda tx, g: _done(permits.attempt(tx, call=g.path["call"], before=g.body.before))),
        body=Attempt,
        answer=Nothing,
        access=Access.ANY,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/calls/{call}/outcome",
        name="finish_call",
        summary="Report how a call ended and what it changed",
        does=Write(
            lambda tx, g: ToCapture(
                capture=permits.finish(tx, g.installation.manifests, call=g.path["call"], **_fields(g.body))
            )
        ),
        body=Finish,
        answer=ToCapture,
        access=Access.ANY,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/calls/{call}/effects",
        name="observe_effects",
        summary="Report objects that only the result named",
        does=Write(lambda tx, g: _done(permits.observe(tx, call=g.path["call"], observed=g.body.observed))),
        body=Effects,
        answer=Nothing,
        access=Access.ANY,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/points",
        name="register_point",
        summary="Register an enforcement point",
        does=Write(lambda tx, g: _registered(points.register(tx, **_fields(g.body)))),
        body=RegisterPoint,
        answer=RegisteredPoint,
        access=Access.ANY,
        status=201,
        tag="guard",
    ),
    Endpoint(
        method="POST",
        path="/v1/points/{point}/heartbeat",
        name="beat",
        summary="Say that an enforcement point is alive and which epoch it has confirmed",
        does=Write(
            lambda tx, g: Epoch(epoch=points.heartbeat(tx, point=g.path["point"], epoch=g.body.epoch))
        ),
        body=Beat,
        answer=Epoch,
        access=Access.ANY,
        tag="guard",
    ),
    Endpoint(
        method="DELETE",
        path="/v1/points/{point}",
        name="retire_point",
        summary="Say goodbye: this enforcement point has stopped",
        does=Write(lambda tx, g: _done(points.retire(tx, point=g.path["point"], reason="it said goodbye"))),
        answer=Nothing,
        access=Access.ANY,
        tag="guard",
    ),
)


def _done(_nothing: None) -> Nothing:
    return Nothing()


def _registered(answer: tuple[str, int]) -> RegisteredPoint:
    point, epoch = answer
    return RegisteredPoint(point=point, epoch=epoch)
