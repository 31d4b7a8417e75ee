"""Contract: a call that waits for a person runs once, with the arguments that were approved, and can be taken up again by whoever knows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from stopwork.control import protocol as p
from stopwork.control.steps import Patience
from stopwork.kernel.errors import Conflict, NotFound
from stopwork.ledger.words import Outcome, RunStatus
from stopwork.sdk import CallWaiting
from tests.contract.desk.fake import START
from tests.unit.sdk.bench import Bench


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
