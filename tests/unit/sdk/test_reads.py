"""Contract of reads on a lease: none begins without a valid lease or a permit, and none of them goes unreported.

The world is the contract's fake control plane, with a clock that is moved by hand and answers that get lost. Who looks at the tool sees
what was in force at the moment it ran.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.words import Outcome
from stopwork.sdk import reads
from tests.contract.desk.fake import MANIFEST
from tests.unit.sdk.leased import LEASE_S, World


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
