"""Contract of pause tests: each of the four levels is proved on the live permit path by a probe of which nothing remains; every live
guard has to confirm; what was found, with its time, is the answer of preparedness; and what failed or is overdue is a signal.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from stopwork.incidents.prepare import Readiness
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Denied, NotFound
from stopwork.ledger.events import name_of
from stopwork.ledger.records import Approval, Call, Day, Hold, Incident, Key, PauseTest, Run, Signal, Workflow
from stopwork.ledger.words import CheckState, IncidentType, Outcome, PreparednessCheck, ScopeKind, Verdict
from stopwork.operations import manifests, pause_tests, points, preparedness
from stopwork.storage.fsck import fsck
from tests.support.office import AGENT, DANA, LEE, MANIFEST, WORKFLOW, Office

FOUR_LEVELS = [ScopeKind.WORKFLOW, ScopeKind.TRIGGER, ScopeKind.TOOL, ScopeKind.PERMISSION]


def prove(office: Office, *, within_s: float = 0.0) -> PauseTest:
    return pause_tests.run(office.inst, LEE, workflow=WORKFLOW, within_s=within_s)


def pause_control(office: Office) -> Readiness:
    found = office.read(
        lambda view: preparedness.assess(
            view, office.inst.manifests, workflow=WORKFLOW, now=office.clock.now()
        )
    )
    return next(each for each in found.checks if each.check is PreparednessCheck.PAUSE_CONTROL)


def guard(office: Office, name: str) -> str:
    return office.write(lambda tx: points.register(tx, workflow=WORKFLOW, name=name))[0]


def confirm(office: Office, point: str) -> None:
    epoch = office.read(points.current_epoch)
    office.write(lambda tx: points.heartbeat(tx, point=point, epoch=epoch))


def pass_time(office: Office, time: timedelta) -> None:
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(time)


def kinds(office: Office) -> list[str]:
    return [name_of(entry.event) for entry in office.read(lambda view: view.entries())]


def test_each_of_the_four_levels_stops_the_probe_and_lets_it_go_again(office: Office) -> None:
    found = prove(office)
    assert [each.level for each in found.levels] == FOUR_LEVELS
    assert {each.state for each in found.levels} == {CheckState.PASSED}
    assert found.passed
    assert all(each.refused_after_s is not None and each.refused_after_s >= 0 for each in found.levels)


def test_nothing_of_a_probe_remains_and_nothing_is_stopped(office: Office) -> None:
    run = office.begin()
    before = office.read(lambda view: [view.count(kind) for kind in (Run, Call, Key, Day, Hold, Approval)])
    assert prove(office).passed
    after = office.read(lambda view: [view.count(kind) for kind in (Run, Call, Key, Day, Hold, Approval)])
    assert after == before
    assert kinds(office)[-2:] == ["pause_test.began", "pause_test.finished"]
    assert (
        office.do(run, "crm.update_account", account_id="acme", renewal="2026-06-02").verdict is Verdict.ALLOW
    )
    assert fsck(office.store).clean


def test_a_call_in_flight_is_not_disturbed(office: Office) -> None:
    permit = office.ask(office.begin(), "crm.update_account", account_id="acme", renewal="2026-06-02")
    assert prove(office).passed
    office.attempt(permit)
    office.finish(permit, Outcome.SUCCEEDED)


def test_what_the_manifest_does_not_name_cannot_be_paused_and_that_is_said(tmp_path: Path) -> None:
    without = "\n".join(line for line in MANIFEST.splitlines() if "permission:" not in line) + "\n"
    without = without.replace("crm.create_task:", "crm.read_account: {effect: read}\n  crm.create_task:", 1)
    with Office(tmp_path, manifest=without) as office:
        found = prove(office)
        assert (found.levels[-1].state, found.passed) == (CheckState.UNKNOWN, True)
        assert "none to pause" in found.levels[-1].text


def test_a_workflow_that_is_held_already_can_be_prove(office: Office) -> None:
    held = office.pause(ScopeKind.WORKFLOW, WORKFLOW).hold
    assert prove(office).passed
    assert office.hold(held.id).active


def test_a_live_guard_that_does_not_confirm_fails_the_test_and_is_named(office: Office) -> None:
    confirm(office, guard(office, "worker-1"))
    found = prove(office)
    assert (found.passed, found.points, found.unconfirmed) == (False, 1, ("worker-1",))


def test_guards_that_confirm_are_waited_for(office: Office) -> None:
    point = guard(office, "worker-1")
    found = pause_tests.run(
        office.inst, LEE, workflow=WORKFLOW, within_s=5.0, sleep=lambda _s: confirm(office, point)
    )
    assert (found.passed, found.points, found.unconfirmed) == (True, 1, ())
    assert "1 guard confirmed within" in pause_control(office).found


def test_a_silent_guard_is_named_and_not_waited_for(office: Office) -> None:
    guard(office, "worker-1")
    pass_time(office, timedelta(seconds=points.SILENT_AFTER_S))
    found = prove(office, within_s=60.0)
    assert (found.passed, found.silent) == (True, ("worker-1",))


def test_an_agent_may_not_and_what_nobody_declared_cannot_be_prove(office: Office) -> None:
    with pytest.raises(Denied, match="cannot test what stops it"):
        pause_tests.run(office.inst, AGENT, workflow=WORKFLOW)
    with pytest.raises(NotFound, match="no workflow 'nobody'"):
        pause_tests.run(office.inst, LEE, workflow="nobody")


def test_preparedness_names_the_test_and_its_time_until_the_next_is_due(office: Office) -> None:
    assert (pause_control(office).state, pause_control(office).todo) == (
        CheckState.FAILED,
        f"Prove it: stopwork pause-test {WORKFLOW}",
    )
    prove(office)
    assert pause_control(office).state is CheckState.PASSED
    assert pause_control(office).found.startswith(
        "Tested on 2026-03-02 13:00 UTC: workflow, trigger, tool and permission stopped a call within"
    )
    pass_time(office, timedelta(days=30))
    assert pause_control(office).state is CheckState.FAILED
    assert "a test is due every 30d" in pause_control(office).found


def test_a_new_version_of_the_manifest_keeps_what_was_prove(office: Office) -> None:
    prove(office)
    changed = MANIFEST + "pause_test: {every: 7d}\n"
    office.write(partial(manifests.apply, text=changed, reason="test more often"), actor=DANA)
    assert office.read(lambda view: view.need(Workflow, WORKFLOW)).pause_test is not None


def test_an_enforced_workflow_is_tested_by_itself_on_its_first_day_and_every_thirty(office: Office) -> None:
    office.wait(hours=23)
    assert "pause_test.finished" not in kinds(office)
    office.wait(hours=2)
    office.wait(days=29)
    assert kinds(office).count("pause_test.finished") == 1
    office.wait(days=1)
    assert kinds(office).count("pause_test.finished") == 2
    assert {each.detector for each in office.read(lambda view: list(view.each(Signal)))} == {"missed_run"}


def test_a_workflow_that_is_only_observed_is_not_tested_by_itself(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=f"mode: observe\n{MANIFEST}") as office:
        office.wait(days=40)
        assert "pause_test.finished" not in kinds(office)
        assert [each.detector for each in office.read(lambda view: list(view.each(Signal)))] == ["missed_run"]


def test_a_failed_test_opens_an_incident_and_the_next_one_that_fails_joins_it(office: Office) -> None:
    point = guard(office, "worker-1")
    for _ in range(2):
        confirm(office, point)
        prove(office)
        office.wait(seconds=1)
    (incident,) = office.read(lambda view: list(view.each(Incident)))
    assert (incident.type, incident.severity) == (IncidentType.POLICY_DRIFT, "sev2")
    assert incident.title == "Weekly renewal preparation may not be stopped by a pause"
    signals = office.read(lambda view: list(view.each(Signal)))
    assert [(each.detector, each.incident) for each in signals] == [("pause_test", incident.id)] * 2
    assert "worker-1 did not confirm" in signals[0].summary
