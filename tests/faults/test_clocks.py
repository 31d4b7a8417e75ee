"""Whatever the wall clock of a server does, forward or back by hours, nothing is permitted for longer than it should be by the clock of
whoever uses it, no approval survives what stopped its call, the history has one order, and a hold holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.words import Outcome, ScopeKind, Verdict
from stopwork.operations import approvals, holds, outcomes
from stopwork.operations.permits import PERMIT_VALID_FOR
from stopwork.storage.fsck import fsck
from tests.support.history import history_faults
from tests.support.office import DANA, LEE, START, WORKFLOW, Office

JUMPS = [timedelta(hours=-30), timedelta(hours=-3), timedelta(hours=3), timedelta(hours=30)]
BACK = JUMPS[:2]
TASK: dict[str, Any] = {"account_id": "acme", "title": "call"}
MAIL: dict[str, Any] = {"to": "someone@customer.test", "text": "the renewal"}


class Room:
    """An office whose wall clock jumps."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.office = Office(folder, clock=self.clock, ids=TimeOrderedIds(self.clock))

    def jump(self, by: timedelta) -> None:
        self.clock.advance(by)

    def approved(self, run: str, call: str) -> None:
        """Let the mail be asked for and approved."""
        permit = self.office.ask(run, "mail.send", call=call, **MAIL)
        assert permit.verdict is Verdict.WAIT
        assert permit.approval is not None
        self.office.write(partial(approvals.decide, approval=permit.approval, approve=True), actor=DANA)

    def lift(self, hold: str) -> None:
        self.office.write(partial(holds.lift, hold=hold, reason="looked at it"), actor=DANA)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    opened = Room(tmp_path)
    with opened.office as office:
        yield opened
        # It is one history in one order, whatever times stand in it.
        assert fsck(office.store, vkeys=[office.inst.signer.vkey]).faults == ()
        assert office.read(history_faults) == []


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_a_hold_holds_whatever_the_time(room: Room, by: timedelta) -> None:
    run = room.office.begin()
    permit = room.office.ask(run, "crm.create_task", **TASK)
    held = room.office.pause(ScopeKind.WORKFLOW, WORKFLOW).hold
    room.jump(by)
    with pytest.raises(Conflict):
        room.office.attempt(permit)
    assert room.office.ask(run, "crm.create_task", account_id="acme", title="one").verdict is Verdict.DENY
    room.jump(-by)
    assert room.office.ask(run, "crm.create_task", account_id="acme", title="two").verdict is Verdict.DENY
    room.lift(held.id)
    assert room.office.ask(run, "crm.create_task", account_id="acme", title="three").verdict is Verdict.ALLOW


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_a_permit_is_renewed_and_its_call_runs_once(room: Room, by: timedelta) -> None:
    run = room.office.begin()
    permit = room.office.ask(run, "crm.create_task", **TASK)
    assert permit.valid_for_s == PERMIT_VALID_FOR.total_seconds(), "counted by the guard's own clock"
    room.jump(by)
    again = room.office.ask(run, "crm.create_task", call=permit.call, **TASK)
    assert again.verdict is Verdict.ALLOW
    room.office.attempt(again)
    room.jump(-by)
    room.office.finish(again, result={"id": "task-1"})
    assert room.office.ask(run, "crm.create_task", **TASK).verdict is Verdict.REPLAY


@pytest.mark.parametrize("by", [timedelta(hours=3), timedelta(hours=30)], ids=str)
def test_a_permit_has_run_out_when_the_clock_jumped_forward(room: Room, by: timedelta) -> None:
    permit = room.office.ask(room.office.begin(), "crm.create_task", **TASK)
    room.jump(by)
    with pytest.raises(Conflict, match="ran out"):
        room.office.attempt(permit)


@pytest.mark.parametrize("by", BACK, ids=str)
@pytest.mark.parametrize("back_again", [False, True], ids=["it stays", "it comes back"])
def test_an_approval_does_not_survive_a_hold_that_was_set_and_lifted_in_another_hour(
    room: Room, by: timedelta, back_again: bool
) -> None:
    run = room.office.begin()
    room.approved(run, "mail-1")
    room.jump(by)
    room.lift(room.office.pause(ScopeKind.TOOL, "mail.send", workflow=WORKFLOW).hold.id)
    if back_again:
        room.jump(-by)
    asked = room.office.ask(run, "mail.send", call="mail-1", **MAIL)
    assert asked.verdict is Verdict.WAIT, "what stopped it has to be looked at by who approves it"
    assert asked.approval is not None


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_an_approval_is_used_once_and_not_after_its_expiry(room: Room, by: timedelta) -> None:
    run = room.office.begin()
    room.approved(run, "mail-1")
    room.jump(by)
    first = room.office.ask(run, "mail.send", call="mail-1", **MAIL)
    assert (first.verdict is Verdict.ALLOW) == (by < timedelta(hours=4)), "asked for four hours"
    room.jump(-by)
    for _ in range(2):
        room.office.ask(run, "mail.send", call="mail-1", **MAIL)
    used = room.office.read(lambda view: view.entries(kinds=("approval.consumed",)))
    assert len(used) <= 1


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_a_call_that_was_given_up_wrongly_is_still_settled_by_its_guard(room: Room, by: timedelta) -> None:
    run = room.office.begin()
    permit = room.office.ask(run, "crm.create_task", **TASK)
    room.office.attempt(permit)
    room.jump(by)
    room.office.crew.catch_up()
    assert room.office.ask(run, "crm.create_task", nth=1, **TASK).verdict is Verdict.DENY, "nobody knows"
    room.jump(-by)
    room.office.finish(permit, result={"id": "task-1"})
    assert room.office.call(permit.call).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("by", JUMPS, ids=str)
def test_background_duties_go_on(room: Room, by: timedelta) -> None:
    for number in range(3):
        room.office.do(room.office.begin(f"occasion-{number}"), "crm.create_task", **TASK)
        room.office.crew.catch_up()
        room.jump(by)
        room.office.crew.catch_up()
    health = room.office.crew.health()
    assert [each.error for each in health if each.error] == []
    sealed = room.office.read(lambda view: view.checkpoint())
    assert sealed is not None
    assert sealed[0] > 0


def test_who_settles_by_hand_is_not_undone_by_a_clock(room: Room) -> None:
    run = room.office.begin()
    permit = room.office.ask(run, "crm.create_task", **TASK)
    room.office.attempt(permit)
    room.jump(timedelta(minutes=10))
    room.office.crew.catch_up()
    settle = partial(
        outcomes.reconcile, call=permit.call, outcome=Outcome.FAILED, note="looked: it is not there"
    )
    room.office.write(settle, actor=LEE)
    room.jump(timedelta(hours=-6))
    room.office.crew.catch_up()
    assert room.office.call(permit.call).outcome is Outcome.FAILED
    assert room.office.ask(run, "crm.create_task", **TASK).verdict is Verdict.ALLOW
