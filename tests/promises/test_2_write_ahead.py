"""Promise: the intent of every call that changes something is durable before the call runs. An agent that dies in between leaves a
call in flight, which becomes *unknown* with what its objects held before: never nothing.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock, SystemClock
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.records import Call, Effect, Image, ObjectRef, Observed, Run
from stopwork.ledger.words import ImageState, Operation, Outcome, RunStatus, Verdict
from stopwork.operations import outcomes, points
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from stopwork.worker.crew import ABANDON_AFTER, GIVE_UP_AFTER, Crew
from tests.support.doomed import agent_that_hangs, doomed, start_ledger, wait_for
from tests.support.office import WORKFLOW, Office

ACME = ObjectRef(system="crm", type="account", id="acme")
AGENTS_WORK = Image.present({"renewal": "2025-01-01", "owner": "lee"})
BEFORE = Image.present({"renewal": "2026-06-01", "owner": "lee"})


@pytest.mark.parametrize("after_the_change", [False, True])
def test_an_agent_killed_inside_its_tool_leaves_its_intent_and_what_was_there_before(
    tmp_path: Path, after_the_change: bool
) -> None:
    start_ledger(tmp_path)
    with doomed(agent_that_hangs, tmp_path, after_the_change=after_the_change) as agent:
        wait_for((tmp_path / "running").exists, agent)
        agent.kill()
        agent.join(10)

    clock = ManualClock(SystemClock().now())
    with Installation.open(tmp_path / "data", clock=clock) as inst:
        (call,) = inst.store.read(lambda view: list(view.each(Call)))
        assert (call.verdict, call.outcome, call.in_flight) == (Verdict.ALLOW, None, True)
        assert call.attempted_at is not None
        assert [(each.object, each.image) for each in call.before] == [(ACME, BEFORE)]

        Crew(inst).catch_up()
        assert inst.store.read(lambda view: view.need(Call, call.id)).in_flight, "too early to give up"

        clock.advance(timedelta(seconds=61) + GIVE_UP_AFTER)
        Crew(inst).catch_up()
        known = inst.store.read(lambda view: view.need(Call, call.id))
        assert (known.outcome, known.in_flight) == (Outcome.UNKNOWN, False)
        (effect,) = inst.store.read(lambda view: list(view.each(Effect, call=call.id)))
        assert (effect.object, effect.before, effect.after.state) == (ACME, BEFORE, ImageState.UNKNOWN)

        clock.advance(ABANDON_AFTER)
        Crew(inst).catch_up()
        (run,) = inst.store.read(lambda view: list(view.each(Run)))
        assert run.status is RunStatus.ABANDONED
        assert fsck(inst.store, vkeys=[inst.signer.vkey]).clean


def test_nothing_runs_without_a_permit_or_after_it_has_run_out(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        denied = office.ask(run, "crm.no_such_tool")
        with pytest.raises(Conflict, match="has no permit"):
            office.attempt(denied)
        with pytest.raises(Conflict, match="has no permit"):
            office.finish(denied)
        late = office.ask(run, "crm.update_account", account_id="acme", renewal="2025-01-01")
        office.wait(seconds=61)
        with pytest.raises(Conflict, match="ran out"):
            office.attempt(late)


def test_what_was_never_attempted_cannot_have_been_done(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        permit = office.ask(run, "crm.create_task", title="call acme")
        for outcome in (Outcome.SUCCEEDED, Outcome.UNKNOWN):
            with pytest.raises(Conflict, match="was never attempted"):
                office.finish(permit, outcome)
        office.finish(permit, Outcome.FAILED)
        office.finish(office.ask(run, "crm.read_account", account_id="acme"))


def test_a_dead_guard_s_calls_end_although_another_guard_of_the_workflow_lives(tmp_path: Path) -> None:
    """The attempted one with an unknown outcome; the other as never started, so that somebody else may do it."""
    with Office(tmp_path) as office:
        register = partial(points.register, workflow=WORKFLOW, name="guard")
        dead, _ = office.write(partial(register, point="point_dead"))
        alive, epoch = office.write(register)
        run = office.begin()
        begun = office.ask(run, "crm.update_account", account_id="acme", renewal="2027-01-01", point=dead)
        office.attempt(begun)
        waiting = office.ask(run, "crm.create_task", title="call acme", point=dead)
        running = office.ask(run, "crm.create_task", title="call globex", point=alive)
        office.attempt(running)
        for _ in range(8):
            office.write(partial(points.heartbeat, point=alive, epoch=epoch))
            office.wait(seconds=30)

        assert office.call(begun.call).outcome is Outcome.UNKNOWN
        ended = office.call(waiting.call)
        assert (ended.outcome, ended.error) == (Outcome.FAILED, "never started: its permit ran out unused")
        assert office.ask(run, "crm.create_task", title="call acme").verdict is Verdict.ALLOW
        assert office.call(running.call).in_flight, "its guard is alive"


def test_a_lost_answer_may_be_asked_for_again_and_nothing_is_recorded_twice(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        permit = office.ask(run, "crm.create_task", call="call_1", title="call acme")
        again = office.ask(run, "crm.create_task", call="call_1", title="call acme")
        assert (again.call, again.verdict) == (permit.call, permit.verdict)
        office.attempt(permit)
        office.attempt(permit)
        office.finish(permit, result={"id": "task-1"})
        office.finish(permit, result={"id": "task-1"})
        with pytest.raises(Conflict, match="has ended"):
            office.finish(permit, Outcome.FAILED)
        known = office.read(lambda view: view.need(Run, run))
        assert (known.calls, known.writes) == (1, 1)


def test_a_guard_that_comes_back_late_still_tells_what_it_knows_once(tmp_path: Path) -> None:
    """The call was given up as unknown; what its guard saw replaces what nobody saw, object by object."""
    with Office(tmp_path) as office:
        run = office.begin()
        permit = office.ask(run, "crm.update_account", account_id="acme", renewal="2025-01-01")
        office.attempt(permit)
        office.wait(minutes=10)
        assert office.call(permit.call).outcome is Outcome.UNKNOWN

        seen = Observed(object=ACME, operation=Operation.MODIFIED, before=BEFORE, after=AGENTS_WORK)
        office.finish(permit, result={"ok": True}, observed=(seen,))
        known = office.call(permit.call)
        assert (known.outcome, known.result, known.effects) == (Outcome.SUCCEEDED, {"ok": True}, 1)
        (effect,) = office.read(lambda view: list(view.each(Effect, call=permit.call)))
        assert (effect.before, effect.after) == (BEFORE, AGENTS_WORK)
        assert fsck(office.store).clean


def test_a_guard_that_did_not_hear_what_to_look_at_hears_it_again(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        permit = office.ask(office.begin(), "crm.create_task", title="call acme")
        office.attempt(permit)
        made = (ObjectRef(system="crm", type="task", id="task-1"),)
        assert office.finish(permit, result={"id": "task-1"}) == made
        assert office.finish(permit, result={"id": "task-1"}) == made


def test_a_late_word_that_the_call_failed_does_not_hide_what_it_changed(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        permit = office.ask(office.begin(), "crm.update_account", account_id="acme", renewal="2025-01-01")
        office.attempt(permit)
        office.wait(minutes=10)

        unchanged = Observed(object=ACME, operation=Operation.MODIFIED, before=BEFORE, after=BEFORE)
        changed = Observed(object=ACME, operation=Operation.MODIFIED, before=BEFORE, after=AGENTS_WORK)
        office.finish(permit, Outcome.FAILED, observed=(changed,))
        assert office.call(permit.call).outcome is Outcome.UNKNOWN, "somebody has to look at it"
        assert office.read(lambda view: list(view.each(Effect, call=permit.call)))[0].after == AGENTS_WORK
        office.finish(permit, Outcome.FAILED, observed=(unchanged,))
        assert office.call(permit.call).outcome is Outcome.FAILED


def test_an_agent_cannot_settle_its_own_unknown_call(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        permit = office.ask(office.begin(), "crm.create_task", title="call acme")
        with pytest.raises(Denied, match="an agent cannot settle"):
            office.write(
                partial(outcomes.reconcile, call=permit.call, outcome=Outcome.FAILED, note="trust me")
            )
