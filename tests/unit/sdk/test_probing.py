"""Contract of probes: before a call is tried again whose first try nobody saw the end of, its probe looks whether it took effect. What
was found is not done again, what was not found is done once it has rested, and whatever goes wrong with looking leaves the refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.protocol import SettleByProbe
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import Call, Principal
from stopwork.ledger.words import Outcome, PrincipalKind
from stopwork.operations import manifests, probing
from stopwork.operations.installation import Installation
from stopwork.sdk import CallDenied, Stopwork
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.fsck import fsck
from tests.support.office import LEE, START

MANIFEST = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  crm.find_tasks: {effect: read}
  crm.create_task:
    effect: create
    idempotency: [run.trigger_id, args.title]
    probe:
      tool: crm.find_tasks
      args: {title: args.title}
      found_when: size(result) > 0
      result: result[0]
"""
AGENT = Principal(kind=PrincipalKind.AGENT, id="renewals")


class Crm:
    """A place for tasks whose answer is lost when it is told so, before or after it has made one."""

    def __init__(self) -> None:
        self.tasks: list[dict[str, Any]] = []
        self.loses = ""
        self.looks = 0

    def create(self, title: str) -> dict[str, Any]:
        if self.loses == "before":
            raise TimeoutError("no answer")
        task = {"id": len(self.tasks) + 1, "title": title}
        self.tasks.append(task)
        if self.loses == "after":
            raise TimeoutError("no answer")
        return task

    def find(self, title: str) -> list[dict[str, Any]]:
        self.looks += 1
        if self.loses == "looks":
            raise OSError("the CRM is away")
        return [task for task in self.tasks if task["title"] == title]


class World:
    """A guard with its control plane, and the tools of the CRM, plain or async."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.crm = Crm()
        self.inst = Installation.open(folder, clock=self.clock)
        self.inst.store.write(lambda tx: manifests.apply(tx, MANIFEST, reason="a test"), actor=LEE)
        self.guard = Stopwork.at(LocalDesk(self.inst))
        self.create = self.guard.tool("crm.create_task")(self.crm.create)
        self.find = self.guard.tool("crm.find_tasks")(self.crm.find)

    def lose(self, when: str, title: str = "Call") -> str:
        """Try to make a task and lose the answer; answer the call's id."""
        self.crm.loses = when
        with self.guard.run("renewals", trigger_id="monday"), pytest.raises(TimeoutError):
            self.create(title)
        self.crm.loses = ""
        return self.calls("crm.create_task")[0].id

    def again(self, title: str = "Call") -> Any:
        with self.guard.run("renewals", trigger_id="monday", attempt=2):
            return self.create(title)

    def rest(self, **time: float) -> None:
        self.clock.advance(timedelta(**time))

    def calls(self, tool: str) -> list[Call]:
        return self.inst.store.read(lambda view: view.find(Call, tool=tool, order="requested_at", limit=100))

    def settle(self, call: str, by: str) -> Outcome:
        return self.inst.store.write(
            lambda tx: probing.settle(tx, self.inst.manifests, call=call, by=by), actor=AGENT
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.guard._heartbeat.close()
    made.inst.close()


def test_what_took_effect_is_found_and_its_result_returned_without_doing_it_again(world: World) -> None:
    lost = world.lose("after")
    assert world.again() == {"id": 1, "title": "Call"}
    assert (len(world.crm.tasks), world.crm.looks) == (1, 1)
    [settled, replayed] = world.calls("crm.create_task")
    [looked] = world.calls("crm.find_tasks")
    assert (settled.id, settled.outcome, settled.reconciled) == (lost, Outcome.SUCCEEDED, True)
    assert settled.error == f"reconciled by {looked.id}: crm.find_tasks found what it was to do"
    assert replayed.replay_of == lost
    assert fsck(world.inst.store).clean


def test_what_did_not_is_done_once_it_has_rested(world: World) -> None:
    lost = world.lose("before")
    world.rest(minutes=3)
    assert world.again() == {"id": 1, "title": "Call"}
    assert len(world.crm.tasks) == 1
    assert world.calls("crm.create_task")[0].id == lost
    assert world.calls("crm.create_task")[0].outcome is Outcome.FAILED


def test_not_found_does_not_count_while_what_was_cut_off_may_arrive(world: World) -> None:
    world.lose("before")
    world.rest(seconds=90)
    with pytest.raises(CallDenied, match="has to be reconciled first"):
        world.again()
    assert world.crm.tasks == []
    world.crm.create("Call")  # it arrives late
    world.rest(minutes=3)
    assert world.again() == {"id": 1, "title": "Call"}
    assert len(world.crm.tasks) == 1


def test_looking_that_fails_leaves_the_refusal(world: World) -> None:
    world.lose("after")
    world.rest(minutes=3)
    world.crm.loses = "looks"
    with pytest.raises(CallDenied, match="has to be reconciled first"):
        world.again()
    assert (len(world.crm.tasks), world.crm.looks) == (1, 1)


def test_a_process_that_does_not_have_the_probe_s_tool_is_refused(world: World) -> None:
    world.lose("after")
    other = Stopwork.at(LocalDesk(world.inst))
    create = other.tool("crm.create_task")(world.crm.create)
    with other.run("renewals", trigger_id="monday", attempt=2), pytest.raises(CallDenied) as refused:
        create("Call")
    assert refused.value.probe is not None
    assert (refused.value.probe.tool, refused.value.probe.args) == ("crm.find_tasks", {"title": "Call"})
    other._heartbeat.close()


def test_an_async_guard_does_the_same(world: World) -> None:
    world.lose("after")

    async def again() -> Any:
        @world.guard.tool("crm.find_tasks")
        async def find(title: str) -> list[dict[str, Any]]:
            return world.crm.find(title)

        @world.guard.tool("crm.create_task")
        async def create(title: str) -> dict[str, Any]:
            return world.crm.create(title)

        async with world.guard.run("renewals", trigger_id="monday", attempt=2):
            return await create("Call")

    assert asyncio.run(again()) == {"id": 1, "title": "Call"}
    assert len(world.crm.tasks) == 1


def test_two_guards_that_probe_at_once_do_it_once(world: World) -> None:
    lost = world.lose("before")
    world.rest(minutes=3)
    with world.guard.run("renewals", trigger_id="monday", attempt=2):
        world.find("Call")
        world.find("Call")
    first, second = world.calls("crm.find_tasks")
    assert world.settle(lost, first.id) is Outcome.FAILED
    assert world.settle(lost, second.id) is Outcome.FAILED
    assert world.again() == {"id": 1, "title": "Call"}


def test_only_the_probe_of_that_call_after_its_end_settles_it(world: World) -> None:
    with world.guard.run("renewals", trigger_id="monday"):
        world.find("Call")
    world.rest(seconds=1)
    lost = world.lose("before")
    world.rest(minutes=3)
    with world.guard.run("renewals", trigger_id="monday", attempt=2):
        world.find("Another")
    early, other = world.calls("crm.find_tasks")
    for by in (early.id, other.id, lost):
        with pytest.raises(Invalid, match="does not look into"):
            world.settle(lost, by)
    assert world.calls("crm.create_task")[0].outcome is Outcome.UNKNOWN


def test_a_call_that_has_not_ended_is_not_settled(world: World) -> None:
    desk = world.guard.desk
    with world.guard.run("renewals", trigger_id="monday"):

        def settles(title: str) -> str:
            [running] = world.calls("crm.create_task")
            with pytest.raises(Conflict, match="has not ended"):
                desk.send(SettleByProbe(call=running.id, by=running.id))
            return title

        assert world.guard.tool("crm.create_task")(settles)("Call") == "Call"
