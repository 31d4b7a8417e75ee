"""Contract of the guard: every call ends in one of the ways of this table, the same way for sync and async tools, and whatever
breaks at whatever step, the tool runs at most once and its record tells no lie."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from stopwork.control import protocol as p
from stopwork.control.steps import Patience
from stopwork.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Hold, ObjectRef, Principal, Scope
from stopwork.ledger.words import HoldMode, Outcome, PrincipalKind, RunStatus, ScopeKind, Verdict
from stopwork.sdk import CallDenied, CallDrafted, CallRefused, CallWaiting, OutcomeNotRecorded, Stopwork
from stopwork.sdk.runs import GuardedRun
from tests.contract.desk.fake import MANIFEST, START, FakeDesk
from tests.unit.sdk.worlds import World, ref

LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
QUICK = Patience(first_retry_after_s=0.001, poll_s=0.001, ask_tries=2, record_tries=2)
WRITTEN = ["AskPermit", "RecordAttempt", "RecordOutcome"]


class Bench:
    """A guard at an in-memory desk, a world, and one tool that changes it, called the sync or the async way."""

    def __init__(self, *, on_loop: bool, patience: Patience = QUICK, scans: bool = False) -> None:
        self.desk = FakeDesk(MANIFEST)
        self.world = World(scans=scans)
        self.guard = Stopwork.at(
            self.desk, systems={"crm": self.world}, patience=patience, ids=CountingIds(), name="test"
        )
        self.on_loop = on_loop
        self.ran = 0
        self.does: Callable[[], Any] = lambda: None

    def use(self, tool: str = "crm.update", **args: Any) -> Any:
        """Call the tool in a run of its own; the run's end is on record too."""
        return self._aused(tool, args) if self.on_loop else self._used(tool, args)

    def outcomes(self) -> list[Outcome | None]:
        return [call.outcome for call in self.desk.calls.values()]

    def sent(self) -> list[str]:
        return [name for name in self.desk.sent() if name not in ("StartRun", "FinishRun")]

    def _work(self, name: str) -> Any:
        self.ran += 1
        self.does()
        self.world.objects[name] = {"due": "June"}
        return {"id": name}

    def _used(self, tool: str, args: dict[str, Any]) -> Any:
        @self.guard.tool(tool)
        def work(id: str = "acme") -> Any:  # noqa: A002 - the manifest's word
            return self._work(id)

        with self.guard.run("renewals", trigger_id="2026-W10"):
            return work(**args)

    def _aused(self, tool: str, args: dict[str, Any]) -> Any:
        @self.guard.tool(tool)
        async def work(id: str = "acme") -> Any:  # noqa: A002 - the manifest's word
            await asyncio.sleep(0)
            return self._work(id)

        async def main() -> Any:
            async with self.guard.run("renewals", trigger_id="2026-W10"):
                return await work(**args)

        return asyncio.run(main())


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**more: Any) -> Bench:
        made.append(Bench(on_loop=request.param, **more))
        return made[-1]

    yield make
    for bench in made:
        bench.guard.close()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()


def pause(bench: Bench, mode: HoldMode = HoldMode.BLOCK) -> None:
    bench.desk.hold(
        Hold(
            id="hold_0001",
            scope=Scope(kind=ScopeKind.WORKFLOW, name="renewals"),
            mode=mode,
            reason="wrong dates",
            set_by=LEE,
            set_at=START,
            epoch=0,
        )
    )


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


# --- the ways a call ends ---------------------------------------------------------------------------


def test_a_call_that_is_allowed_returns_what_its_tool_returned(bench: Bench) -> None:
    assert bench.use() == {"id": "acme"}
    assert bench.sent() == WRITTEN
    assert bench.outcomes() == [Outcome.SUCCEEDED]
    assert bench.desk.runs["run_0001"].status is RunStatus.SUCCEEDED


def test_what_it_changed_is_on_record(bench: Bench) -> None:
    bench.use()
    [attempt] = [each for each in bench.desk.log if isinstance(each, p.RecordAttempt)]
    [outcome] = [each for each in bench.desk.log if isinstance(each, p.RecordOutcome)]
    [seen] = outcome.observed
    assert [each.image.content for each in attempt.before] == [{"due": "May"}]
    assert (seen.object, seen.before.content, seen.after.content) == (
        ref("acme"),
        {"due": "May"},
        {"due": "June"},
    )


def test_an_object_that_only_the_result_names_is_on_record_too(bench: Bench) -> None:
    bench.use("crm.create", id="t1")
    assert bench.sent() == [*WRITTEN, "RecordEffects"]


def test_a_read_is_permitted_and_recorded_without_an_attempt(bench: Bench) -> None:
    bench.use("crm.read")
    assert bench.sent() == ["AskPermit", "RecordOutcome"]


def test_a_read_that_writes_is_found_by_a_scan(make: Callable[..., Bench]) -> None:
    bench = make(scans=True)
    bench.use("crm.read")
    [outcome] = [each for each in bench.desk.log if isinstance(each, p.RecordOutcome)]
    assert [each.object.id for each in outcome.observed] == ["acme"]


def test_a_denied_call_does_not_run_and_says_why(bench: Bench) -> None:
    pause(bench)
    with pytest.raises(CallDenied, match=r"hold_0001.*wrong dates") as raised:
        bench.use()
    assert bench.ran == 0
    assert raised.value.call == "call_0001"
    assert raised.value.reasons[0].source == "hold_0001"
    assert bench.desk.runs["run_0001"].status is RunStatus.FAILED


def test_a_drafted_call_does_not_run_and_keeps_its_arguments(bench: Bench) -> None:
    pause(bench, HoldMode.DRAFT_ONLY)
    with pytest.raises(CallDrafted) as raised:
        bench.use(id="acme")
    assert bench.ran == 0
    assert raised.value.draft == {"id": "acme"}


def test_a_retried_run_gets_the_recorded_result_and_runs_nothing(bench: Bench) -> None:
    assert bench.use() == bench.use() == {"id": "acme"}
    assert bench.ran == 1


def test_a_tool_that_raises_has_failed_and_its_own_exception_goes_on(bench: Bench) -> None:
    own = KeyError("due")
    bench.does = raising(own)
    with pytest.raises(KeyError) as raised:
        bench.use()
    assert raised.value is own
    assert bench.outcomes() == [Outcome.FAILED]


@pytest.mark.parametrize("tool", ["crm.create", "crm.update"])
def test_a_tool_that_raises_after_its_change_leaves_unknown(bench: Bench, tool: str) -> None:
    """What a create has made is nowhere named, so looking at it is no help; an update is seen to have been made."""

    def change_and_raise() -> None:
        bench.world.objects["acme"] = {"due": "July"}
        raise OSError("the answer to the commit is missing")

    bench.does = change_and_raise
    with pytest.raises(OSError, match="the answer"):
        bench.use(tool)
    assert bench.outcomes() == [Outcome.UNKNOWN]
    with pytest.raises(CallDenied, match="reconciled"):
        bench.use(tool)


def test_a_create_that_raises_has_failed_where_its_system_is_scanned_and_shows_nothing_new(
    make: Callable[..., Bench],
) -> None:
    bench = make(scans=True)
    bench.does = raising(ValueError("no such account"))
    with pytest.raises(ValueError, match="no such account"):
        bench.use("crm.create")
    assert bench.outcomes() == [Outcome.FAILED]


def test_a_tool_s_author_can_say_that_it_has_not_taken_effect(bench: Bench) -> None:
    @bench.guard.tool("crm.create", failed=(ValueError,))
    def create(title: str) -> None:
        raise ValueError(title)

    with bench.guard.run("renewals"), pytest.raises(ValueError, match="Call"):
        create("Call")
    assert bench.outcomes() == [Outcome.FAILED]


def test_a_tool_that_times_out_leaves_unknown_and_its_like_is_kept_out(bench: Bench) -> None:
    bench.does = raising(TimeoutError("no answer"))
    with pytest.raises(TimeoutError):
        bench.use()
    assert bench.outcomes() == [Outcome.UNKNOWN]
    with pytest.raises(CallDenied, match="reconciled"):
        bench.use()
    assert bench.ran == 1


def test_a_process_that_is_told_to_stop_leaves_unknown_and_stops(bench: Bench) -> None:
    bench.does = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        bench.use()
    assert bench.outcomes() == [Outcome.UNKNOWN]


def test_a_result_that_cannot_be_written_down_does_not_undo_the_call(bench: Bench) -> None:
    strange = object()

    @bench.guard.tool("crm.update")
    def work(id: str) -> object:  # noqa: A002 - the manifest's word
        return strange

    with bench.guard.run("renewals"):
        assert work("acme") is strange
    [outcome] = [each for each in bench.desk.log if isinstance(each, p.RecordOutcome)]
    assert (outcome.outcome, outcome.result) == (Outcome.SUCCEEDED, {"unrecorded": "object"})


def test_what_cannot_be_read_is_not_changed(bench: Bench) -> None:
    bench.world.failing = "no route"
    with pytest.raises(Unavailable, match="no route"):
        bench.use()
    assert bench.ran == 0
    assert bench.outcomes() == [Outcome.FAILED]


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


# --- approval ---------------------------------------------------------------------------------------


def test_a_call_that_waits_can_be_resumed_in_its_run(bench: Bench) -> None:
    @bench.guard.tool("mail.send")
    def send(to: str) -> str:
        return f"sent to {to}"

    run = bench.guard.run("renewals")
    with pytest.raises(CallWaiting) as waiting, run:
        send("x@customer.test")
    assert bench.desk.runs[run.id].status is RunStatus.RUNNING
    assert waiting.value.approval is not None
    with pytest.raises(CallWaiting):
        bench.guard.resume(waiting.value.call)
    bench.desk.answer(waiting.value.approval, "dana@acme.test", approve=True)
    with run:
        assert bench.guard.resume(waiting.value.call) == "sent to x@customer.test"
    assert bench.desk.runs[run.id].status is RunStatus.SUCCEEDED
    with pytest.raises(NotFound):
        bench.guard.resume(waiting.value.call)


def test_an_async_call_that_waits_can_be_resumed() -> None:
    bench = Bench(on_loop=True)

    async def send(to: str) -> str:
        return f"sent to {to}"

    async def main() -> str:
        async with bench.guard.run("renewals"):
            with pytest.raises(CallWaiting) as waiting:
                await bench.guard.acall("mail.send", send, {"to": "x"})
            assert waiting.value.approval is not None
            bench.desk.answer(waiting.value.approval, "dana@acme.test", approve=True)
            return str(await bench.guard.aresume(waiting.value.call))

    assert asyncio.run(main()) == "sent to x"
    bench.guard.close()


def test_what_a_reviewer_made_of_the_arguments_is_what_runs(bench: Bench) -> None:
    @bench.guard.tool("mail.send")
    def send(to: str, when: datetime) -> str:
        return f"sent to {to} on {when:%d.%m.}"

    with bench.guard.run("renewals"):
        with pytest.raises(CallWaiting) as waiting:
            send("x@customer.test", START)
        edited = {"to": "y@customer.test", "when": "2026-03-03T08:00:00Z"}
        bench.desk.edit(waiting.value.approval or "", "dana@acme.test", edited)
        assert bench.guard.resume(waiting.value.call) == "sent to y@customer.test on 03.03."


def test_what_a_reviewer_made_of_an_async_call_is_what_runs() -> None:
    bench = Bench(on_loop=True)

    @bench.guard.tool("mail.send")
    async def send(to: str) -> str:
        return f"sent to {to}"

    async def main() -> str:
        async with bench.guard.run("renewals"):
            with pytest.raises(CallWaiting) as waiting:
                await send("x@customer.test")
            bench.desk.edit(waiting.value.approval or "", "dana@acme.test", {"to": "y@customer.test"})
            return str(await bench.guard.aresume(waiting.value.call))

    assert asyncio.run(main()) == "sent to y@customer.test"
    bench.guard.close()


@pytest.mark.parametrize(
    ("edited", "why"),
    [
        ({"to": "y", "when": "next week"}, "the edited value is no datetime"),
        ({"to": "y"}, "other arguments: when"),
        ({"to": "y", "when": "2026-03-03T08:00:00Z", "cc": "z"}, "other arguments: cc"),
    ],
)
def test_edited_arguments_that_the_tool_cannot_take_do_not_run(
    bench: Bench, edited: dict[str, Any], why: str
) -> None:
    ran = []

    @bench.guard.tool("mail.send")
    def send(to: str, when: datetime) -> None:
        ran.append(to)

    with bench.guard.run("renewals"):
        with pytest.raises(CallWaiting) as waiting:
            send("x@customer.test", START)
        bench.desk.edit(waiting.value.approval or "", "dana@acme.test", edited)
        with pytest.raises(Conflict, match=why):
            bench.guard.resume(waiting.value.call)
    assert ran == []
    assert bench.desk.calls[waiting.value.call].outcome is Outcome.FAILED


def test_with_patience_a_call_waits_for_its_answer(make: Callable[..., Bench]) -> None:
    bench = make(patience=Patience(approval_wait_s=5, poll_s=0.001))
    asked = bench.desk.broken

    def answered(request: p.Request[Any]) -> str:
        for approval in list(bench.desk.approvals.values()):
            bench.desk.answer(approval.id, "dana@acme.test", approve=True)
        return asked(request)

    bench.desk.broken = answered
    bench.use("mail.send")
    assert bench.ran == 1


def test_a_call_left_by_another_process_is_asked_about_by_its_id(bench: Bench) -> None:
    with bench.guard.run("renewals") as run:
        with pytest.raises(CallWaiting) as waiting:
            bench.guard.call("mail.send", lambda to: to, {"to": "x"})
        assert waiting.value.approval is not None
        bench.desk.answer(waiting.value.approval, "dana@acme.test", approve=True)
        assert bench.guard.call(
            "mail.send", lambda to: to, {"to": "x"}, run=run, call=waiting.value.call, nth=1
        ) == ("x")


# --- runs -------------------------------------------------------------------------------------------


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


# --- the edge ---------------------------------------------------------------------------------------


def test_one_name_catches_every_refusal() -> None:
    assert {CallDenied, CallDrafted, CallWaiting} == set(CallRefused.__subclasses__())


def test_a_secret_that_is_left_out_reaches_the_tool_and_nothing_else(bench: Bench) -> None:
    @bench.guard.tool("crm.read", leave_out=("token",))
    def read(id: str, token: str) -> str:  # noqa: A002 - the manifest's word
        return f"{id}:{len(token)}"

    with bench.guard.run("renewals"):
        assert read("acme", token="s3cr3t-value") == "acme:12"
    assert "s3cr3t" not in repr(bench.desk.log)


def test_a_guarded_function_keeps_its_name_and_its_kind(bench: Bench) -> None:
    @bench.guard.tool("crm.read")
    async def read(account: str) -> None:
        """Read an account."""

    assert asyncio.iscoroutinefunction(read)
    assert (read.__name__, read.__doc__) == ("read", "Read an account.")
