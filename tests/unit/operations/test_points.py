"""Contract of enforcement points: what may be said of a hold while some have confirmed, some may still read, and some are silent; and what is
done with the reads that they decided."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from stopwork.control.protocol import LeasedRead, ReadsReported
from stopwork.kernel.errors import Denied, Invalid
from stopwork.ledger.records import Call, Principal, Run
from stopwork.ledger.words import HoldMode, Outcome, PrincipalKind, RunStatus, ScopeKind, Verdict
from stopwork.operations import holds, points, reads, runs
from stopwork.operations.holds import PauseState
from stopwork.operations.points import PointState
from stopwork.storage.tables import heartbeat
from tests.support.office import AGENT, WORKFLOW, Office

READ = "crm.read_account"


def leased(office: Office, name: str = "one") -> str:
    point, epoch = office.write(partial(points.register, workflow=WORKFLOW, name=name))
    beat(office, point, epoch, lease=True)
    return point


def beat(office: Office, point: str, epoch: int, *, lease: bool = False) -> int:
    manifests = office.inst.manifests
    pulse = office.write(lambda tx: points.heartbeat(tx, manifests, point=point, epoch=epoch, lease=lease))
    assert (pulse.lease is not None) is lease
    return pulse.epoch


def over(office: Office, point: str) -> None:
    """Let the lease of a point run out: what is counted in seconds since boot is moved, not the wall clock."""
    past = sa.update(heartbeat).where(heartbeat.c.point == point).values(lease_until_us=1)
    office.write(lambda tx: tx.execute(past))


def standing(office: Office, paused: holds.Pause) -> tuple[PauseState, dict[str, PointState]]:
    found = office.read(lambda view: holds.status(view, paused.hold, now=office.clock.now()))
    return found.state, {point.point: point.state for point in found.unconfirmed}


def test_a_hold_is_pausing_while_one_guard_may_still_read(office: Office) -> None:
    one, two = leased(office, "one"), leased(office, "two")
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    requested = PointState.REQUESTED
    assert standing(office, paused) == (PauseState.PAUSING, {one: requested, two: requested})
    beat(office, one, paused.hold.epoch, lease=True)
    assert standing(office, paused) == (PauseState.PAUSING, {two: requested})
    beat(office, two, paused.hold.epoch, lease=True)
    assert standing(office, paused) == (PauseState.DRAINED, {})


def test_a_guard_whose_lease_is_over_keeps_nothing_from_being_enforced_and_is_named(office: Office) -> None:
    point = leased(office)
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    over(office, point)
    assert standing(office, paused) == (PauseState.ENFORCED, {point: PointState.EXPIRED})
    office.wait(seconds=points.SILENT_AFTER_S)
    assert standing(office, paused) == (PauseState.ENFORCED, {point: PointState.UNREACHABLE})
    office.wait(seconds=31)
    assert standing(office, paused) == (PauseState.DRAINED, {}), "nobody counts on it any more"


def test_a_hold_that_lets_reads_go_on_does_not_wait_for_readers_that_are_silent(office: Office) -> None:
    point = leased(office)
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW, mode=HoldMode.READ_ONLY)
    over(office, point)
    assert standing(office, paused) == (PauseState.DRAINED, {point: PointState.EXPIRED})


def test_no_clock_on_the_wall_ends_a_lease(office: Office) -> None:
    point = leased(office)
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    office.wait(seconds=3600)
    assert standing(office, paused) == (PauseState.PAUSING, {point: PointState.REQUESTED})


def test_a_guard_that_always_asks_is_told_or_late_or_gone(office: Office) -> None:
    point, _ = office.write(partial(points.register, workflow=WORKFLOW, name="embedded"))
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    assert standing(office, paused) == (PauseState.PAUSING, {point: PointState.REQUESTED})
    office.wait(seconds=points.LATE_AFTER_S)
    assert standing(office, paused) == (PauseState.DRAINED, {point: PointState.EXPIRED})


def test_a_lease_says_what_is_free_under_the_controls_that_its_epoch_names(office: Office) -> None:
    point = leased(office)
    manifests = office.inst.manifests
    office.pause(ScopeKind.TOOL, READ)
    pulse = office.write(lambda tx: points.heartbeat(tx, manifests, point=point, epoch=0, lease=True))
    assert pulse.lease is not None
    assert (READ in pulse.lease.free, pulse.epoch) == (False, 1)


# --- reports ------------------------------------------------------------------------------------------------


def read(run: str, call: str = "call_r1", **changes: Any) -> LeasedRead:
    usual: dict[str, Any] = {
        "tool": READ,
        "args": {"account_id": "acme"},
        "version": 1,
        "epoch": 0,
        "began_ago_s": 5.0,
        "took_s": 2.0,
        "outcome": Outcome.SUCCEEDED,
        "result": {"name": "Acme"},
    }
    return LeasedRead(run=run, call=call, **(usual | changes))


def report(office: Office, point: str, *told: LeasedRead, actor: Principal = AGENT) -> ReadsReported:
    manifests = office.inst.manifests
    return office.write(lambda tx: reads.report(tx, manifests, point=point, reads=told), actor=actor)


def call_of(office: Office, call: str = "call_r1") -> Call:
    return office.read(lambda view: view.need(Call, call))


def test_a_reported_read_is_a_call_like_any_other(office: Office) -> None:
    point, run = leased(office), office.begin()
    report(office, point, read(run))
    found = call_of(office)
    began = office.clock.now() - timedelta(seconds=5)
    assert (found.verdict, found.outcome, found.result, found.point) == (
        Verdict.ALLOW,
        Outcome.SUCCEEDED,
        {"name": "Acme"},
        point,
    )
    assert (found.began_at, found.permitted_at, found.finished_at) == (
        began,
        began,
        began + timedelta(seconds=2),
    )
    assert office.read(lambda view: view.need(Run, run)).calls == 1, "the budget knows of it"


def test_a_report_is_counted_once_however_often_it_is_made(office: Office) -> None:
    point, run = leased(office), office.begin()
    for _ in range(2):
        report(office, point, read(run), read(run, "call_r2"))
    assert office.read(lambda view: view.need(Run, run)).calls == 2


def test_a_read_that_is_reported_running_is_in_flight_until_its_end_is_told(office: Office) -> None:
    point, run = leased(office), office.begin()
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    report(office, point, read(run, outcome=None, result=None))
    beat(office, point, paused.hold.epoch)
    assert standing(office, paused)[0] is PauseState.ENFORCED
    report(office, point, read(run))
    assert standing(office, paused)[0] is PauseState.DRAINED


def test_a_read_whose_guard_is_gone_is_given_up_as_unknown(office: Office) -> None:
    point, run = leased(office), office.begin()
    report(office, point, read(run, outcome=None, result=None))
    over(office, point)
    office.wait(seconds=400)
    assert call_of(office).outcome is Outcome.UNKNOWN


def test_what_has_run_is_never_refused_a_place_in_the_record(office: Office) -> None:
    point, run = leased(office), office.begin()
    office.write(partial(runs.finish, run=run, status=RunStatus.SUCCEEDED))
    office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    report(office, point, read(run))
    assert call_of(office).outcome is Outcome.SUCCEEDED


def test_a_run_that_nobody_knows_is_named_and_keeps_nothing_else_out(office: Office) -> None:
    point, run = leased(office), office.begin()
    told = report(office, point, read("run_nobody", "call_x"), read(run))
    assert told.unknown == ("call_x",)
    assert call_of(office).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tool": "crm.create_task"}, "lets a guard decide"),
        ({"tool": "crm.magic"}, "lets a guard decide"),
        ({"epoch": 99}, "has not come yet"),
    ],
    ids=["a change", "a tool that is not declared", "controls that have not come"],
)
def test_what_no_lease_can_have_let_run_is_refused(office: Office, changes: dict[str, Any], why: str) -> None:
    point, run = leased(office), office.begin()
    with pytest.raises(Invalid, match=why):
        report(office, point, read(run, **changes))


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("mail.send", {"to": "someone@customer.test"}),
        ("crm.update_account", {"account_id": "acme", "renewal": "2026-09-01"}),
        (READ, {"account_id": "acme"}),
    ],
    ids=["a call that waits", "a change that has not begun", "a read that was permitted"],
)
def test_a_report_says_nothing_of_a_call_that_was_asked_for(
    office: Office, tool: str, args: dict[str, Any]
) -> None:
    point, run = leased(office), office.begin()
    asked = office.ask(run, tool, point=point, session="guard-1", **args)
    with pytest.raises(Invalid, match="is another call"):
        report(office, point, read(run, asked.call, tool=tool, args=args))
    found = call_of(office, asked.call)
    assert (found.verdict, found.outcome, found.result) == (asked.verdict, None, None)


def test_a_report_says_nothing_of_a_read_with_other_arguments(office: Office) -> None:
    point, run = leased(office), office.begin()
    report(office, point, read(run, outcome=None, result=None))
    with pytest.raises(Invalid, match="is another call"):
        report(office, point, read(run, args={"account_id": "globex"}))
    assert call_of(office).outcome is None


def test_the_agent_of_another_workflow_reports_nothing_here(office: Office) -> None:
    point, run = leased(office), office.begin()
    with pytest.raises(Denied):
        report(office, point, read(run), actor=Principal(kind=PrincipalKind.AGENT, id="other"))
