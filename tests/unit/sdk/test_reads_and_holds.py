"""Contract: a guard that reads on a lease confirms no hold, says no goodbye and is not back before the control plane knows what it has read
and what still runs.
"""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.control import protocol as p
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import Outcome
from stopwork.sdk.errors import CallDenied
from tests.unit.sdk.leased import World, block, running
from tests.unit.sdk.test_heartbeat import until


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
