"""Contract of the guard: every call ends in one of the ways of this table, the same way for sync and async tools, and is on record as it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.words import HoldMode, Outcome, RunStatus
from stopwork.sdk import CallDenied, CallDrafted, CallRefused, CallWaiting
from tests.unit.sdk.bench import Bench, pause, raising
from tests.unit.sdk.worlds import ref

WRITTEN = ["AskPermit", "RecordAttempt", "RecordOutcome"]


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
