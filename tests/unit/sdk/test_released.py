"""Contract: a process with the workflow's tools carries out what people have released, each draft once, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.records import Draft, Scope
from stopwork.ledger.words import DraftState, HoldMode, ScopeKind
from stopwork.operations import drafts, holds, manifests
from stopwork.operations.installation import Installation
from stopwork.sdk import CallDenied, CallDrafted, Stopwork
from stopwork.sdk.embedded import LocalDesk
from tests.support.office import DANA, LEE, START

MANIFEST = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
stages: {start: draft_only}
tools:
  crm.create_task: {effect: create}
  mail.send: {effect: send, gate: {when: "true"}}
"""


class Room:
    """A control plane, and processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.installation = Installation.open(folder, clock=self.clock)
        self.store = self.installation.store
        self.store.write(lambda tx: manifests.apply(tx, MANIFEST, reason="a test"), actor=LEE)
        self.desk = LocalDesk(self.installation)
        self.guards: list[Stopwork] = []
        self.done: list[str] = []

    def guard(self) -> Stopwork:
        made = Stopwork.at(self.desk)
        self.guards.append(made)
        return made

    def equipped(self) -> Stopwork:
        """A guard with the workflow's tools."""
        guard = self.guard()
        guard.tool("crm.create_task")(self.create_task)
        guard.tool("mail.send", leave_out=("client",))(self.send)
        return guard

    def create_task(self, title: str) -> int:
        if title == "broken":
            raise RuntimeError("the CRM is down")
        self.done.append(title)
        return len(self.done)

    def send(self, client: str, to: str) -> str:
        self.done.append(f"{client} to {to}")
        return to

    def draft(self, *titles: str) -> list[str]:
        """An agent works through, and its changes are drafted."""
        guard = self.equipped()
        made = []
        with guard.run("renewals"):
            for title in titles:
                with pytest.raises(CallDrafted) as drafted:
                    guard.call("crm.create_task", self.create_task, {"title": title})
                made.append(drafted.value.call)
        return made

    def release(self, *ids: str) -> None:
        for each in ids:
            release = partial(
                drafts.release, manifests=self.installation.manifests, draft=each, reason="fine"
            )
            self.store.write(release, actor=DANA)

    def state(self, draft: str) -> DraftState:
        return self.store.read(lambda view: view.need(Draft, draft)).state

    def close(self) -> None:
        for each in self.guards:
            each._heartbeat.close()
        self.installation.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


def test_what_is_released_is_carried_out_and_what_is_not_stays_a_draft(room: Room) -> None:
    first, second, third = room.draft("one", "two", "three")
    room.release(first, third)
    carried = room.equipped().run_released("renewals")
    assert [(each.draft, each.result, each.error) for each in carried] == [(first, 1, None), (third, 2, None)]
    assert room.done == ["one", "three"]
    assert [room.state(each) for each in (first, second, third)] == [
        DraftState.DONE,
        DraftState.OPEN,
        DraftState.DONE,
    ]
    assert room.equipped().run_released("renewals") == []


def test_on_an_event_loop_as_well(room: Room) -> None:
    (only,) = room.draft("one")
    room.release(only)
    [carried] = asyncio.run(room.equipped().arun_released("renewals"))
    assert (carried.draft, carried.result, room.done) == (only, 1, ["one"])


def test_one_that_fails_keeps_nobody_from_the_others(room: Room) -> None:
    broken, fine = room.draft("broken", "fine")
    room.release(broken, fine)
    failed, done = room.equipped().run_released("renewals")
    assert isinstance(failed.error, RuntimeError)
    assert (done.result, room.state(broken)) == (1, DraftState.UNKNOWN)


def test_one_at_a_time_by_hand(room: Room) -> None:
    room.release(*room.draft("one", "two"))
    seen = []
    for each in room.equipped().released("renewals"):
        assert each.tool == "crm.create_task"
        seen.append(each.args["title"])
        each.run()
        with pytest.raises(Conflict, match="has ended: succeeded"):
            each.run()
    assert seen == room.done == ["one", "two"]


def test_a_hold_set_meanwhile_stops_it(room: Room) -> None:
    (only,) = room.draft("one")
    room.release(only)
    scope = Scope(kind=ScopeKind.WORKFLOW, name="renewals")
    room.store.write(lambda tx: holds.pause(tx, scope=scope, mode=HoldMode.BLOCK, reason="wait"), actor=LEE)
    [stopped] = room.equipped().run_released("renewals")
    assert isinstance(stopped.error, CallDenied)
    assert (room.done, room.state(only)) == ([], DraftState.OPEN)


def test_a_guard_takes_only_what_it_has_tools_for(room: Room) -> None:
    (only,) = room.draft("one")
    room.release(only)
    other = room.guard()
    other.tool("mail.send")(room.send)
    assert other.run_released("renewals") == []
    assert len(room.equipped().run_released("renewals")) == 1


def test_without_any_tool_it_is_said(room: Room) -> None:
    (only,) = room.draft("one")
    room.release(only)
    [claimed] = room.guard().released("renewals")
    with pytest.raises(NotFound, match=r"no function is guarded as crm\.create_task"):
        claimed.run()
    room.clock.advance(timedelta(seconds=61))
    assert len(room.equipped().run_released("renewals")) == 1


def test_what_is_left_out_of_the_record_is_given_again(room: Room) -> None:
    guard = room.equipped()
    with guard.run("renewals"), pytest.raises(CallDrafted) as drafted:
        guard.call("mail.send", lambda to: to, {"to": "x@customer.test"})
    room.release(drafted.value.call)
    room.store.read(lambda view: view.need(Draft, drafted.value.call))
    [missing] = guard.run_released("renewals")
    assert isinstance(missing.error, Invalid)
    room.clock.advance(timedelta(seconds=61))
    [done] = guard.run_released("renewals", given={"client": "smtp"})
    assert (done.result, room.done) == ("x@customer.test", ["smtp to x@customer.test"])


def test_an_agent_that_repeats_its_work_later_finds_it_done(room: Room) -> None:
    guard = room.equipped()
    with guard.run("renewals", trigger_id="2026-W10"), pytest.raises(CallDrafted) as drafted:
        guard.call("crm.create_task", room.create_task, {"title": "one"})
    room.release(drafted.value.call)
    guard.run_released("renewals")
    with room.equipped().run("renewals", trigger_id="2026-W10") as run:
        again: Any = guard.call("crm.create_task", room.create_task, {"title": "one"}, run=run)
    assert (again, room.done) == (1, ["one"])
