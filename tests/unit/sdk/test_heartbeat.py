"""Contract of the heartbeat: it confirms what it was told, comes back after a failure, and never fails in silence."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Unavailable
from stopwork.sdk.heartbeat import SILENT_AFTER_S, Heartbeat
from tests.contract.desk.fake import MANIFEST, FakeDesk


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk(MANIFEST)


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


def still(desk: FakeDesk, clock: Seconds) -> Heartbeat:
    """A heartbeat whose thread sleeps for ever, so that a test beats by hand."""
    heart = Heartbeat(desk, "agent-1", interval_s=3600, clock=clock)
    heart.watch("renewals")
    until(lambda: heart.health().well)
    return heart


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_watched_workflow_is_registered_and_confirmed(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)
    [point] = heart.health().points
    assert desk.points == {point.point: 0}
    heart.close()


def test_a_new_epoch_is_confirmed_within_the_same_beat(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)
    desk.epoch = 5
    heart.beat()
    assert list(desk.points.values()) == [5]
    heart.close()


def test_silence_is_seen(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)
    clock.now += SILENT_AFTER_S
    assert not heart.health().well
    heart.beat()
    assert heart.health().well
    heart.close()


def test_a_failure_is_shown_and_logged_once(
    desk: FakeDesk, clock: Seconds, caplog: pytest.LogCaptureFixture
) -> None:
    heart = still(desk, clock)
    desk.broken = lambda _request: "before"
    for _ in range(3):
        heart.beat()
    [point] = heart.health().points
    assert "did not answer" in point.error
    assert caplog.text.count("is not confirmed") == 1
    desk.broken = lambda _request: ""
    heart.beat()
    assert heart.health().points[0].error == ""
    assert "is confirmed again" in caplog.text
    heart.close()


def test_a_point_that_was_given_up_registers_again(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)
    desk.points.clear()
    heart.beat()
    heart.beat()
    assert len(desk.points) == 1
    heart.close()


def test_a_fault_of_the_desk_does_not_end_the_thread(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)

    def broken(_request: object) -> str:
        raise ZeroDivisionError

    desk.broken = broken
    heart.beat()
    assert "ZeroDivisionError" in heart.health().points[0].error
    desk.broken = lambda _request: ""
    heart.close()


def test_it_says_goodbye(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)
    heart.close()
    assert desk.points == {}
    heart.watch("renewals")
    assert desk.points == {}


def test_a_goodbye_that_nobody_hears_is_no_error(desk: FakeDesk, clock: Seconds) -> None:
    heart = still(desk, clock)

    def gone(_request: p.Request[p.Answer]) -> str:
        raise Unavailable("gone")

    desk.broken = gone
    heart.close()


def test_before_there_is_anything_to_watch_all_is_well(desk: FakeDesk, clock: Seconds) -> None:
    assert Heartbeat(desk, "agent-1", clock=clock).health().well
