"""Contract: whatever the control plane, the network or a cancellation breaks at whatever step of a call, the tool runs at most once and its
record tells no lie.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.words import Outcome
from stopwork.sdk import OutcomeNotRecorded
from tests.unit.sdk.bench import Bench, raising

# --- crash points -----------------------------------------------------------------------------------

STEPS = ("AskPermit", "RecordAttempt", "RecordOutcome", "RecordEffects")


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_an_answer_that_is_lost_once_is_made_up_for(make: Callable[..., Bench], step: str, how: str) -> None:
    bench = make()
    left = [1]

    def broken(request: p.Request[Any]) -> str:
        if type(request).__name__ == step and left[0]:
            left[0] -= 1
            return how
        return ""

    bench.desk.broken = broken
    assert bench.use("crm.create", id="t1") == {"id": "t1"}
    assert bench.ran == 1
    assert bench.outcomes() == [Outcome.SUCCEEDED]


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_from_the_step_at_which_the_control_plane_is_gone(
    make: Callable[..., Bench], step: str, how: str
) -> None:
    bench = make()
    reached: list[str] = []

    def broken(request: p.Request[Any]) -> str:
        gone = step in reached
        reached.append(type(request).__name__)
        return "before" if gone else how if reached[-1] == step else ""

    bench.desk.broken = broken
    started = step in ("RecordOutcome", "RecordEffects")
    with pytest.raises(OutcomeNotRecorded if started else Unavailable) as raised:
        bench.use("crm.create", id="t1")
    assert bench.ran == (1 if started else 0)
    if started:
        assert isinstance(raised.value, OutcomeNotRecorded)
        assert raised.value.result == {"id": "t1"}
    # What is on record never says that a call which may have run did not.
    known = bench.outcomes()
    assert known in ([], [None], [Outcome.SUCCEEDED])
    assert started or Outcome.SUCCEEDED not in known


def test_a_tool_s_own_exception_is_not_lost_with_its_record(bench: Bench) -> None:
    bench.does = raising(KeyError("due"))
    bench.desk.broken = lambda request: "before" if isinstance(request, p.RecordOutcome) else ""
    with pytest.raises(OutcomeNotRecorded) as raised:
        bench.use()
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_fault_of_the_desk_itself_refuses_the_call(bench: Bench) -> None:
    def broken(request: p.Request[Any]) -> str:
        if isinstance(request, p.AskPermit):
            raise ZeroDivisionError
        return ""

    bench.desk.broken = broken
    with pytest.raises(Exception, match="could not ask"):
        bench.use()
    assert bench.ran == 0


# --- cancellation on an event loop ------------------------------------------------------------------


def test_a_cancelled_tool_leaves_unknown_with_what_was_seen() -> None:
    bench = Bench(on_loop=True)

    @bench.guard.tool("crm.update")
    async def work(id: str) -> None:  # noqa: A002 - the manifest's word
        bench.world.objects[id] = {"due": "June"}
        await asyncio.sleep(60)

    async def main() -> None:
        async with bench.guard.run("renewals"):
            await asyncio.wait_for(work("acme"), timeout=0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    [outcome] = [each for each in bench.desk.log if isinstance(each, p.RecordOutcome)]
    assert outcome.outcome is Outcome.UNKNOWN
    assert [each.after.content for each in outcome.observed] == [{"due": "June"}]
    bench.guard.close()


def test_a_cancellation_while_the_permit_is_asked_for_runs_nothing_and_owes_nothing() -> None:
    bench = Bench(on_loop=True)
    asking, go_on = threading.Event(), threading.Event()

    def slow(request: p.Request[Any]) -> str:
        if isinstance(request, p.AskPermit):
            asking.set()
            go_on.wait(5)
        return ""

    bench.desk.broken = slow

    @bench.guard.tool("crm.update")
    async def work(id: str) -> None:  # noqa: A002 - the manifest's word
        bench.ran += 1

    async def main() -> None:
        async with bench.guard.run("renewals"):
            call = asyncio.ensure_future(work("acme"))
            await asyncio.to_thread(asking.wait, 5)
            call.cancel()
            go_on.set()
            await call

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert bench.ran == 0
    assert bench.outcomes() == [Outcome.FAILED]
    bench.guard.close()
