"""Contract: what was read on a lease is on record as it was, once, and no read that cannot be told keeps another from the record."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Conflict, Invalid, TooLarge
from stopwork.ledger.words import Outcome
from tests.unit.sdk.leased import World


def test_what_was_given_and_what_came_back_are_recorded_as_they_were(world: World) -> None:
    @world.guard.tool("crm.read")
    def read(ids: list[str], at: datetime | None = None) -> dict[str, Any]:
        ids.append("changed")
        return answer

    answer: dict[str, Any] = {"rows": [1, 2**70, math.inf], "at": datetime(2026, 3, 2, tzinfo=UTC)}
    with world.run:
        read(["a"], at=datetime(2026, 3, 1, tzinfo=UTC))
        answer["rows"].append("changed")
    [recorded] = world.desk.reads.values()
    assert recorded.args == {"ids": ["a"], "at": "2026-03-01T00:00:00Z"}
    rows = [1, {"$int": str(2**70)}, {"$float": "Infinity"}]
    assert recorded.result == {"rows": rows, "at": "2026-03-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ValueError("bad"), Outcome.FAILED), (TimeoutError("slow"), Outcome.UNKNOWN), (KeyboardInterrupt(), Outcome.UNKNOWN)],
    ids=["it failed", "nobody can say", "interrupted"],
)  # fmt: skip
def test_what_a_read_raises_is_raised_and_recorded(
    world: World, error: BaseException, outcome: Outcome
) -> None:
    @world.guard.tool("crm.read")
    def read() -> None:
        raise error

    with world.run.here(), pytest.raises(type(error)):
        read()
    world.guard._reads.settle()  # type: ignore[union-attr]
    assert [each.outcome for each in world.desk.reads.values()] == [outcome]


def test_a_call_that_python_refuses_is_no_call(world: World) -> None:
    with world.run:
        with pytest.raises(TypeError):
            world.read("a", "b", "c")  # type: ignore[call-arg]
        world.read("a")
    assert [each.args for each in world.desk.reads.values()] == [{"id": "a"}]


def test_a_report_whose_answer_was_lost_is_made_again_and_counts_once(world: World) -> None:
    lost = iter(["after"])
    world.desk.broken = lambda request: next(lost, "") if isinstance(request, p.ReportReads) else ""
    with world.run:
        world.read("a")
        world.read("a")
        world.guard._reads.settle()  # type: ignore[union-attr]
    assert [each.nth for each in world.desk.reads.values()] == [1, 2]


def test_a_report_that_is_too_large_is_made_smaller_until_it_fits(world: World) -> None:
    send = world.desk._ReportReads

    def bounded(request: p.ReportReads) -> p.ReadsReported:
        if len(request.body()) > 2_000:
            raise TooLarge("too large")
        return send(request)

    world.desk._ReportReads = bounded  # type: ignore[method-assign]
    with world.run:
        for number in range(20):
            world.read(str(number))
        world.read("x" * 5_000)
    found = [(each.args, each.result) for each in world.desk.reads.values()]
    assert len(found) == 21
    assert found[-1] == ({"unrecorded": "too large"}, {"unrecorded": "too large"})


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [{1: 2}, "\ud800", {"\ud800": 1}, {"\ud800": 1j}, 1j, nested(63), nested(64), nested(90), {"a": ...}],
    ids=["a key that is no text", "half a character", "a key that is half a character", "both", "a complex number",
         "the deepest that is spelled", "deeper", "much deeper", "an ellipsis"],
)  # fmt: skip
def test_what_cannot_be_spelled_keeps_no_other_read_from_the_record(world: World, value: Any) -> None:
    with world.run:
        world.read("before")
        world.read(value)
        world.read("after")
    first, odd, last = world.desk.reads.values()
    assert (first.args, last.args) == ({"id": "before"}, {"id": "after"})
    assert odd.outcome is Outcome.SUCCEEDED
    assert msgspec.json.encode(odd), "it can be sent"
    assert not world.guard._reads._unreported  # type: ignore[union-attr]


def test_an_error_that_cannot_be_spelled_is_recorded_as_far_as_it_can_be(world: World) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    errors = iter([ValueError("\ud800"), Mute()])

    @world.guard.tool("crm.read")
    def read() -> None:
        raise next(errors)

    with world.run:
        for kind in (ValueError, Mute):
            with pytest.raises(kind):
                read()
    assert [each.error for each in world.desk.reads.values()] == ["ValueError: ?", "Mute"]


def test_a_result_that_fails_when_it_is_looked_at_is_still_the_callers(world: World) -> None:
    class Odd(dict[str, int]):
        def items(self) -> Any:
            raise ZeroDivisionError

    @world.guard.tool("crm.read")
    def read() -> Odd:
        return Odd(a=1)

    with world.run:
        assert read() == {"a": 1}
    assert [each.result for each in world.desk.reads.values()] == [{"unrecorded": "Odd"}]


def test_a_read_that_the_control_plane_refuses_keeps_no_other_from_the_record(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    send = world.desk._ReportReads

    def choosy(request: p.ReportReads) -> p.ReadsReported:
        if any(each.args == {"id": "odd"} or each.result == {"id": "never"} for each in request.reads):
            raise Invalid("one of them is odd")
        if any(each.args == {"id": "lost"} for each in request.reads):
            raise Conflict("one of them is another call")
        return send(request)

    world.desk._ReportReads = choosy  # type: ignore[method-assign]
    with world.run:
        for each in ("a", "odd", "b", "never", "lost", "c"):
            world.read(each)
    told = [each.args for each in world.desk.reads.values()]
    assert told == [{"id": "a"}, {"unrecorded": "refused"}, {"id": "b"}, {"id": "never"}, {"id": "c"}]
    assert not world.guard._reads._unreported  # type: ignore[union-attr]
    assert caplog.text.count("is not on record") == 1
