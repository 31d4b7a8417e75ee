"""Contract of reads on a lease: none begins without a valid lease or a permit, and none of them goes unreported.

The world is the contract's fake control plane, with a clock that is moved by hand and answers that get lost. Who looks at the tool sees
what was in force at the moment it ran.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stopwork import Stopwork
from stopwork.control import protocol as p
from stopwork.control.steps import Patience
from stopwork.kernel.errors import Conflict, Invalid, StopworkError, TooLarge, Unavailable
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Hold, Principal, Scope
from stopwork.ledger.words import HoldMode, Outcome, PrincipalKind, ScopeKind
from stopwork.sdk import reads
from stopwork.sdk.errors import CallDenied
from stopwork.sdk.runs import GuardedRun
from tests.contract.desk.fake import MANIFEST, FakeDesk
from tests.unit.sdk.test_heartbeat import Seconds, until

LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
LEASE_S = 10.0
HASTY = Patience(ask_tries=1, record_tries=1)


def block(tool: str = "") -> Hold:
    kind, name = (ScopeKind.TOOL, tool) if tool else (ScopeKind.WORKFLOW, "renewals")
    return Hold(
        id="hold_1",
        scope=Scope(kind=kind, name=name),
        mode=HoldMode.BLOCK,
        reason="a test",
        set_by=LEE,
        set_at=datetime(2026, 3, 2, tzinfo=UTC),
        epoch=0,
    )


class World:
    """A guard with a lease, whose heart beats when it is told to, and whose reads are reported when they are told to be."""

    def __init__(self, manifest: str = MANIFEST) -> None:
        self.desk = FakeDesk(manifest)
        self.clock = Seconds()
        self.guard = Stopwork.at(
            self.desk, patience=HASTY, ids=CountingIds(), read_lease=True, clock=self.clock
        )
        self.heart = self.guard._heartbeat
        self.heart._interval_s = 3600.0
        self.ran: list[str] = []
        self.read = self.guard.tool("crm.read")(self._read)
        self.run: GuardedRun = self.guard.run("renewals").begin()
        until(lambda: self.heart.health().well)

    def _read(self, id: str) -> dict[str, str]:  # noqa: A002
        self.ran.append(id)
        return {"id": id}

    def asked(self) -> int:
        """Answer how many permits were asked for."""
        return self.desk.sent().count("AskPermit")

    def close(self) -> None:
        self.desk.broken = lambda _request: ""
        self.guard.close()


@contextmanager
def running(world: World) -> Iterator[None]:
    """A read that began on the lease, and that goes on for as long as the block."""
    begun, go_on = threading.Event(), threading.Event()

    @world.guard.tool("crm.read")
    def slow(id: str) -> str:  # noqa: A002
        begun.set()
        assert go_on.wait(5)
        return id

    def reader() -> None:
        with world.run.here():
            slow("slow")

    thread = threading.Thread(target=reader)
    thread.start()
    assert begun.wait(5)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def test_a_plain_read_runs_without_asking_and_is_reported(world: World) -> None:
    with world.run:
        assert world.read("a") == {"id": "a"}
        assert world.read(id="b") == {"id": "b"}
        assert world.asked() == 0
    one, two = world.desk.reads.values()
    assert (one.tool, one.args, one.outcome, one.result) == (
        "crm.read",
        {"id": "a"},
        Outcome.SUCCEEDED,
        {"id": "a"},
    )
    assert two.args == {"id": "b"}
    assert world.desk.sent()[-1] == "FinishRun", "before the run has ended its reads are on record"


def test_a_change_asks_whatever_the_lease_says(world: World) -> None:
    @world.guard.tool("crm.update")
    def update(id: str) -> str:  # noqa: A002
        return id

    with world.run:
        update("a")
    assert "AskPermit" in world.desk.sent()


def test_a_process_that_is_suspended_after_it_has_looked_at_its_lease_looks_once_more(world: World) -> None:
    looks: list[float] = []

    def suspended_between_looks() -> float:
        looks.append(world.clock.now)
        if len(looks) == 1:
            world.clock.now += LEASE_S
            return looks[0]
        return world.clock.now

    reads = world.guard._reads
    assert reads is not None
    with world.run.here():
        reads._clock = suspended_between_looks
        world.read("late")
        assert (world.asked(), world.ran) == (1, ["late"]), "it asked before it read"
    reads.report()
    [late] = world.desk.reads.values()
    assert (late.outcome, late.error) == (Outcome.FAILED, "not started: its lease ran out")


def test_a_lease_that_has_run_out_asks_and_without_an_answer_refuses(world: World) -> None:
    with world.run.here():
        world.clock.now += LEASE_S
        world.read("asked")
        assert (world.asked(), world.ran) == (1, ["asked"])
        world.desk.broken = lambda request: "before" if isinstance(request, p.AskPermit) else ""
        with pytest.raises(Unavailable):
            world.read("refused")
    assert world.ran == ["asked"]


def test_the_lease_counts_from_before_it_was_asked_for(world: World) -> None:
    world.clock.now += 100.0

    def slow(request: p.Request[Any]) -> str:
        if isinstance(request, p.Heartbeat):
            world.clock.now += LEASE_S
        return ""

    world.desk.broken = slow
    world.heart.beat()
    with world.run.here():
        world.read("a")
    assert world.asked() == 1


def test_a_hold_that_is_heard_of_is_confirmed_after_what_began_before_is_reported(world: World) -> None:
    with world.run.here():
        world.read("before")
    world.desk.hold(block())
    world.heart.beat()
    names = [type(request).__name__ for request in world.desk.log]
    confirmed = max(at for at, name in enumerate(names) if name == "Heartbeat")
    assert names.index("ReportReads") < confirmed
    assert list(world.desk.points.values()) == [world.desk.epoch]
    with world.run.here(), pytest.raises(CallDenied):
        world.read("after")
    assert world.ran == ["before"]


def test_a_hold_is_not_confirmed_while_a_read_cannot_be_reported(world: World) -> None:
    with world.run.here():
        world.read("before")
    world.desk.hold(block())
    world.desk.broken = lambda request: "before" if isinstance(request, p.ReportReads) else ""
    world.heart.beat()
    assert list(world.desk.points.values()) == [0]
    with world.run.here(), pytest.raises(CallDenied):
        world.read("after")
    world.desk.broken = lambda _request: ""
    world.heart.beat()
    assert list(world.desk.points.values()) == [world.desk.epoch]


def test_a_read_that_still_runs_is_reported_as_running_before_a_hold_is_confirmed(world: World) -> None:
    with running(world):
        world.desk.hold(block())
        world.heart.beat()
        [read] = world.desk.reads.values()
        assert (read.args, read.outcome) == ({"id": "slow"}, None)
    until(lambda: [each.outcome for each in world.desk.reads.values()] == [Outcome.SUCCEEDED])


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


def test_a_full_buffer_asks(world: World) -> None:
    world.desk.broken = lambda request: "before" if isinstance(request, p.ReportReads) else ""
    with world.run.here():
        for number in range(reads.MAX_UNREPORTED):
            world.read(str(number))
        assert world.asked() == 0
        world.read("one more")
    assert world.asked() == 1
    world.desk.broken = lambda _request: ""
    world.guard._reads.settle()  # type: ignore[union-attr]
    assert [each.args["id"] for each in world.desk.reads.values()] == [
        str(number) for number in range(reads.MAX_UNREPORTED)
    ]


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


def test_a_run_without_room_asks_for_every_call(world: World) -> None:
    step = world.desk._RecordStep
    world.desk._RecordStep = lambda request: p.StepTaken(step=step(request).step, spent=True)  # type: ignore[method-assign]
    with world.run:
        world.read("a")
        world.run.step("model_call", "think", tokens=10)
        world.read("b")
    assert world.asked() == 1


def test_a_run_at_its_limit_asks_once_what_it_has_read_is_told() -> None:
    world = World(f"{MANIFEST}budget: {{run_calls: 2}}\n")
    try:
        with world.run:
            for each in ("a", "b", "c"):
                world.read(each)
        sent = [type(request).__name__ for request in world.desk.log]
        assert world.asked() == 1
        assert len(world.desk.reads) == 2
        assert sent.index("ReportReads") < sent.index("AskPermit")
    finally:
        world.close()


def test_a_day_without_room_is_asked_about_once_what_was_read_is_told() -> None:
    world = World(f"{MANIFEST}budget: {{day_calls: 2}}\n")
    try:
        with world.run:
            for each in ("a", "b", "c", "d"):
                world.read(each)
            sent = [type(request).__name__ for request in world.desk.log]
            assert world.asked() == 2
            assert sent.index("ReportReads") < sent.index("AskPermit")
            assert sent.count("ReportReads") == 1
    finally:
        world.close()


def test_a_call_that_names_its_source_asks(world: World) -> None:
    @world.guard.tool("crm.read", source="inbox")
    def read() -> int:
        return 1

    with world.run:
        read()
    assert world.asked() == 1


def test_a_run_that_another_process_began_asks(world: World) -> None:
    run = world.guard.run("renewals").begin()
    ticket = run._begun()
    other = World()
    try:
        other.desk.runs[run.id] = world.desk.runs[run.id]
        rejoined = other.guard._known(
            p.RunRejoined(ticket=ticket, trigger="manual", trigger_id="x", attempt=1)
        )
        with rejoined.here():
            other.read("a")
        assert other.asked() == 1
    finally:
        other.close()


def test_on_an_event_loop_it_is_the_same(world: World) -> None:
    @world.guard.tool("crm.read")
    async def read(id: str) -> str:  # noqa: A002
        await asyncio.sleep(0)
        return id

    async def main() -> None:
        async with world.guard.arun("renewals"):
            assert [*await asyncio.gather(read("a"), read("b"))] == ["a", "b"]

    asyncio.run(main())
    assert {each.args["id"] for each in world.desk.reads.values()} == {"a", "b"}
    assert world.asked() == 0


def test_a_child_process_has_neither_lease_nor_reads_of_its_parent(world: World) -> None:
    with world.run.here():
        world.read("parent's")
        child = os.fork()
        if child == 0:
            kept = world.guard._reads
            clean = kept is not None and not kept._leases and not kept._unreported
            os._exit(0 if clean else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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


def test_a_hold_is_not_confirmed_while_a_read_runs_that_the_control_plane_refuses_to_know(
    world: World,
) -> None:
    def refusing(request: p.Request[Any]) -> str:
        if isinstance(request, p.ReportReads):
            raise Invalid("no")
        return ""

    with running(world):
        world.desk.broken = refusing
        world.desk.hold(block())
        point = world.heart.point_of("renewals")
        for _ in range(2):
            world.heart.beat()
        assert world.desk.points == {point: 0}, "the same guard, and it has not confirmed"


def test_a_guard_that_was_given_up_is_not_back_before_it_has_told_what_still_runs(world: World) -> None:
    with running(world):
        world.desk.points.clear()
        world.desk.hold(block())
        for _ in range(2):
            world.heart.beat()
        assert list(world.desk.points.values()) == [world.desk.epoch]
        names = [type(request).__name__ for request in world.desk.log]
        assert names.index("ReportReads") < names.index("RegisterPoint", names.index("RegisterPoint") + 1)
        assert [each.outcome for each in world.desk.reads.values()] == [None]


def test_a_guard_says_no_goodbye_while_it_reads_what_nobody_knows_of(world: World) -> None:
    with running(world):
        world.desk.broken = lambda request: "before" if isinstance(request, p.ReportReads) else ""
        world.guard.close()
        assert world.desk.points, "it is given up when it has been silent for long, and not before"
        world.desk.broken = lambda _request: ""
        world.guard.close()
        assert not world.desk.points
    assert [each.outcome for each in world.desk.reads.values()] == [None]


def test_a_guard_that_is_closed_takes_no_lease(world: World) -> None:
    kept = world.guard._reads
    assert kept is not None
    asked = kept.asking("renewals")
    kept.close()
    kept.adopt("renewals", "point_1", p.Pulse(epoch=0, lease=world.desk._lease()), asked)
    with world.run.here():
        world.read("a")
    assert world.asked() == 1


def test_what_was_told_while_the_lease_was_on_its_way_counts_against_it() -> None:
    world = World(f"{MANIFEST}budget: {{day_calls: 10}}\n")
    kept = world.guard._reads
    assert kept is not None
    answer = world.desk._Heartbeat

    def held(request: p.Heartbeat) -> p.Pulse:
        pulse = answer(request)
        for number in range(4):
            world.read(str(number))
        kept.settle()
        return pulse

    try:
        with world.run.here():
            world.desk._Heartbeat = held  # type: ignore[method-assign]
            world.heart.beat()
            world.desk._Heartbeat = answer  # type: ignore[method-assign]
            for number in range(10):
                world.read(str(number))
        assert len(world.ran) - world.asked() == 10
    finally:
        world.close()


def test_on_an_event_loop_nothing_waits_for_reads_to_be_told() -> None:
    world = World(f"{MANIFEST}budget: {{run_calls: 2}}\n")
    told_by: list[int] = []
    tell = world.desk._ReportReads

    def telling(request: p.ReportReads) -> p.ReadsReported:
        told_by.append(threading.get_ident())
        return tell(request)

    world.desk._ReportReads = telling  # type: ignore[method-assign]

    @world.guard.tool("crm.read")
    async def read(id: str) -> str:  # noqa: A002
        return id

    async def main() -> None:
        async with world.guard.arun("renewals"):
            for each in ("a", "b", "c"):
                await read(each)
            assert told_by, "before the call that asks"
            await read("d")
        with world.run.here():
            await read("e")
        await world.guard.aclose()

    asyncio.run(main())
    assert threading.get_ident() not in told_by


class Leases(RuleBasedStateMachine):
    """Any order of reads, heartbeats, lost answers, pauses and time: the tool runs on a valid lease or a permit, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.lost = ""
        self.granted_at = self.world.clock.now
        self.heard = 0
        self.expected = 0
        self.world.desk.broken = self._break

    def _break(self, request: p.Request[Any]) -> str:
        beat = isinstance(request, p.Heartbeat)
        if beat and self.lost != "before" and self.lost != "after":
            self.granted_at = self.world.clock.now
            self.heard = self.world.desk.epoch
        return self.lost

    @rule(lost=st.sampled_from(["", "", "before", "after"]))
    def network(self, lost: str) -> None:
        self.lost = lost

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, 10.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.now += seconds

    @rule()
    def beat(self) -> None:
        self.world.heart.beat()

    @rule(tool=st.sampled_from(["", "crm.read", "crm.update"]))
    def pause(self, tool: str) -> None:
        self.world.desk.hold(block(tool))

    @precondition(lambda self: self.world.desk.holds)
    @rule()
    def lift(self) -> None:
        self.world.desk.lift()

    @rule()
    def report(self) -> None:
        self.world.guard._reads.settle()  # type: ignore[union-attr]

    @rule()
    def read(self) -> None:
        asked, ran = self.world.asked(), len(self.world.ran)
        try:
            with self.world.run.here():
                self.world.read("x")
        except StopworkError:
            assert len(self.world.ran) == ran, "what was refused has not run"
            return
        if self.world.asked() > asked:
            return
        self.expected += 1
        assert self.world.clock.now < self.granted_at + LEASE_S, "a read without a lease"
        covered = [hold for hold in self.world.desk.holds if hold.scope.name != "crm.update"]
        assert all(hold.epoch > self.heard for hold in covered), "a read after its hold was heard of"
        assert all(epoch < hold.epoch for epoch in self.world.desk.points.values() for hold in covered), (
            "a read after its hold was confirmed"
        )

    @invariant()
    def nothing_is_forgotten(self) -> None:
        kept = self.world.guard._reads
        assert kept is not None
        reported = len(self.world.desk.reads)
        assert reported <= self.expected <= reported + len(kept._unreported)

    def teardown(self) -> None:
        self.world.close()
        assert len(self.world.desk.reads) == self.expected


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
