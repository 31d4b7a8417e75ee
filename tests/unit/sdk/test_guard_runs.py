"""Contract of guarded runs: every call belongs to one, also from threads and tasks; a run ends once, and its end hides nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Conflict, Invalid, Unavailable
from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import Outcome, RunStatus, Verdict
from stopwork.sdk import Stopwork
from stopwork.sdk.runs import GuardedRun
from tests.unit.sdk.bench import QUICK, Bench


def test_outside_a_run_there_is_no_call(bench: Bench) -> None:
    @bench.guard.tool("crm.read")
    def read() -> None: ...

    with pytest.raises(Invalid, match=r"with sw\.run"):
        read()
    assert bench.sent() == []


def test_the_same_call_twice_is_counted(bench: Bench) -> None:
    @bench.guard.tool("crm.update")
    def update(id: str) -> None: ...  # noqa: A002 - the manifest's word

    with bench.guard.run("renewals"):
        for name in ("acme", "acme", "other"):
            update(name)
    asked = [each.nth for each in bench.desk.log if isinstance(each, p.AskPermit)]
    assert asked == [1, 2, 1]


def test_a_failed_try_and_the_next_one_are_one_piece_of_work(bench: Bench) -> None:
    failing = [ValueError("no route")]

    @bench.guard.tool("crm.create", failed=(ValueError,))
    def create(title: str) -> dict[str, str]:
        if failing:
            raise failing.pop()
        return {"id": title}

    with bench.guard.run("renewals", trigger_id="w10"):
        with pytest.raises(ValueError, match="no route"):
            create("Call")
        create("Call")
    with bench.guard.run("renewals", trigger_id="w10", attempt=2):
        create("Call")
    assert bench.outcomes() == [Outcome.FAILED, Outcome.SUCCEEDED, None]
    assert bench.desk.calls["call_0003"].verdict is Verdict.REPLAY


def test_every_session_and_the_point_are_named(bench: Bench) -> None:
    bench.use()
    permit, attempt, outcome = (
        each for each in bench.desk.log if isinstance(each, p.AskPermit | p.RecordAttempt | p.RecordOutcome)
    )
    assert permit.session == attempt.session == outcome.session
    assert permit.session is not None
    bench.use(id="other")
    again = [each for each in bench.desk.log if isinstance(each, p.AskPermit)][-1]
    assert again.session != permit.session
    deadline = time.monotonic() + 5
    while not bench.desk.points:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert list(bench.desk.points) == [again.point]


def test_one_call_that_two_guards_take_up_runs_once(bench: Bench) -> None:
    other = Stopwork.at(bench.desk, systems={"crm": bench.world}, patience=QUICK)
    ran = []

    def take_up(guard: Stopwork) -> None:
        guard.call("crm.update", lambda **args: ran.append(args), {"id": "acme"}, run=run, call="call_x")

    def look_aside(_ref: ObjectRef) -> None:
        bench.world.before_read = lambda _ref: None
        with pytest.raises(Conflict, match="another session"):
            take_up(other)

    bench.world.before_read = look_aside
    with bench.guard.run("renewals") as run:
        take_up(bench.guard)
    assert ran == [{"id": "acme"}]
    other.close()


def test_threads_enter_a_run_on_purpose(bench: Bench) -> None:
    @bench.guard.tool("crm.update")
    def update(id: str) -> str:  # noqa: A002 - the manifest's word
        return id

    def in_thread(run: GuardedRun, name: str) -> str:
        with run.here():
            return update(name)

    names = [f"a{number}" for number in range(20)]
    with bench.guard.run("renewals") as run, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda name: in_thread(run, name), names)) == names
    assert bench.outcomes() == [Outcome.SUCCEEDED] * 20


def test_tasks_work_in_the_run_they_were_made_in() -> None:
    bench = Bench(on_loop=True)

    @bench.guard.tool("crm.update")
    async def update(id: str) -> str:  # noqa: A002 - the manifest's word
        await asyncio.sleep(0)
        return id

    async def one(occasion: str) -> str:
        async with bench.guard.run("renewals", trigger_id=occasion) as run:
            await asyncio.gather(*(update(f"{occasion}-{number}") for number in range(5)))
            return run.id

    async def main() -> list[str]:
        return list(await asyncio.gather(one("a"), one("b")))

    asyncio.run(main())
    for call in bench.desk.calls.values():
        occasion = bench.desk.runs[call.request.run].trigger_id
        assert call.request.args["id"].startswith(occasion)
    bench.guard.close()


def test_a_tool_may_call_a_tool(make: Callable[..., Bench]) -> None:
    bench = make(scans=True)

    @bench.guard.tool("crm.create")
    def inner(id: str) -> dict[str, str]:  # noqa: A002 - the manifest's word
        bench.world.objects[id] = {}
        return {"id": id}

    @bench.guard.tool("crm.update")
    def outer(id: str) -> None:  # noqa: A002 - the manifest's word
        inner("t1")
        bench.world.objects[id] = {"due": "June"}

    with bench.guard.run("renewals"):
        outer("acme")
    seen = {
        each.call: [seen.object.id for seen in each.observed]
        for each in bench.desk.log
        if isinstance(each, p.RecordOutcome)
    }
    assert seen == {"call_0002": ["t1"], "call_0001": ["acme"]}


def test_a_run_ends_once(bench: Bench) -> None:
    run = bench.guard.run("renewals")
    with run:
        pass
    with pytest.raises(Conflict), run:
        pass


def _after(end: Callable[[], None]) -> Exception:
    end()
    return ValueError("afterwards")


def test_a_run_that_was_ended_inside_its_block_stays_as_it_ended(bench: Bench) -> None:
    with bench.guard.run("renewals") as run:
        run.finish(RunStatus.FAILED, "nothing to do")
    other = bench.guard.run("renewals")
    with pytest.raises(ValueError, match="afterwards"), other:
        raise _after(other.finish)
    assert [each.status for each in bench.desk.runs.values()] == [RunStatus.FAILED, RunStatus.SUCCEEDED]


def test_the_end_of_a_run_that_cannot_be_recorded_does_not_hide_why_it_failed(bench: Bench) -> None:
    bench.desk.broken = lambda request: "before" if isinstance(request, p.FinishRun) else ""
    with pytest.raises(KeyError) as raised, bench.guard.run("renewals"):
        raise KeyError("due")
    assert "could not be recorded" in "".join(raised.value.__notes__)
    with pytest.raises(Unavailable), bench.guard.run("renewals"):
        pass


def test_steps_are_recorded(bench: Bench) -> None:
    as_of = datetime(2026, 1, 1, tzinfo=UTC)
    with bench.guard.run("renewals") as run:
        run.step("retrieval", "export", facts={"rows": 12}, source="crm_export", as_of=as_of)
        run.step("model_call", "plan", tokens=900, model="small")
        with pytest.raises(Invalid, match="model_call, retrieval, guardrail, message"):
            run.step("thought", "hm")
        with pytest.raises(Invalid, match="time zone"):
            run.step("retrieval", "export", as_of=datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
    first, second = (each for each in bench.desk.log if isinstance(each, p.RecordStep))
    assert (first.facts, first.source, first.as_of) == ({"rows": 12}, "crm_export", as_of)
    assert (second.tokens, second.model) == (900, "small")
