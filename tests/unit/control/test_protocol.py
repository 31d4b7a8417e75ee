"""Contract of the wire: a request knows its address and its body; an answer of a newer server can still be read."""

from __future__ import annotations

import msgspec
import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Image, ObjectRef, Observed
from stopwork.ledger.words import Operation, Outcome, RunStatus, Verdict

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


def test_what_was_observed_is_told_in_order_and_in_portions_of_bounded_number_and_size() -> None:
    def seen(number: int, size: int) -> Observed:
        ref = ObjectRef(system="crm", type="row", id=str(number))
        return Observed(
            object=ref,
            operation=Operation.CREATED,
            before=Image.absent(),
            after=Image.present("x" * size),
        )

    assert list(p.portions(())) == []
    many = [seen(number, 1) for number in range(2 * p.OBSERVED_AT_ONCE + 1)]
    assert [len(each) for each in p.portions(many)] == [p.OBSERVED_AT_ONCE, p.OBSERVED_AT_ONCE, 1]
    assert [each for portion in p.portions(many) for each in portion] == many
    large = [seen(number, p.OBSERVED_BYTES_AT_ONCE // 2) for number in range(3)]
    huge = seen(9, 2 * p.OBSERVED_BYTES_AT_ONCE)
    assert [len(each) for each in p.portions([*large, huge, many[0]])] == [1, 1, 1, 1, 1]
    assert list(p.portions([huge])) == [(huge,)]
