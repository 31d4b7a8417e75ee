"""Contract of the wire: a request knows its address and its body; an answer of a newer server can still be read."""

from __future__ import annotations

import msgspec
import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import Outcome, RunStatus, Verdict

REQUESTS = [
    (
        p.StartRun(run="run_1", workflow="renewals", trigger="schedule", trigger_id="W10"),
        "POST /v1/runs",
        {"run": "run_1", "workflow": "renewals", "trigger": "schedule", "trigger_id": "W10"},
    ),
    (
        p.FinishRun(run="run_1", status=RunStatus.FAILED, error="x"),
        "POST /v1/runs/run_1/finish",
        {"status": "failed", "error": "x"},
    ),
    (
        p.AskPermit(call="call_1", run="run_1", tool="t", args={"a": 1}, nth=2),
        "POST /v1/permits",
        {"call": "call_1", "run": "run_1", "tool": "t", "args": {"a": 1}, "nth": 2},
    ),
    (
        p.RecordOutcome(call="call_1", outcome=Outcome.UNKNOWN),
        "POST /v1/calls/call_1/outcome",
        {"outcome": "unknown"},
    ),
    (p.Heartbeat(point="point_1", epoch=3), "POST /v1/points/point_1/heartbeat", {"epoch": 3}),
    (p.RetirePoint(point="point_1"), "DELETE /v1/points/point_1", {}),
]


@pytest.mark.parametrize(("request_", "address", "body"), REQUESTS, ids=lambda value: type(value).__name__)
def test_a_request_on_the_wire(request_: p.Request[p.Answer], address: str, body: dict[str, object]) -> None:
    assert f"{request_.method} {request_.address()}" == address
    assert msgspec.json.decode(request_.body()) == body


@pytest.mark.parametrize("wrong", ["", "a/b", "../x", "a b", "a?b=c", "%2e"])
def test_what_is_no_id_makes_no_address(wrong: str) -> None:
    with pytest.raises(Invalid, match="not an id"):
        p.RecordAttempt(call=wrong).address()


def test_an_answer_with_more_in_it_can_be_read() -> None:
    body = b'{"call": "call_1", "verdict": "allow", "would": "allow", "colour": "blue"}'
    assert msgspec.json.decode(body, type=p.PermitAnswer).verdict is Verdict.ALLOW
