"""Promise: after ``pause`` has returned, no permit that the hold covers commits; what it answers is true; and a hold never ends by itself.

The journal is the judge: a transaction's place in it is the order in which things became true.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.control.holds import covers
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import Conflict, Denied, Invalid, StopworkError
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger import events as e
from stopwork.ledger.records import Call, Principal, Scope
from stopwork.ledger.words import HoldMode, PrincipalKind, RunStatus, ScopeKind, Stage, Verdict
from stopwork.operations import holds, incidents, manifests, permits, points, returning, runs
from stopwork.operations.holds import PauseState
from stopwork.operations.scopes import MAX_HOLDS_OF_AN_AGENT
from stopwork.storage.view import PAGE, View
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, WORKFLOW, Office
from tests.support.told import held, recording

SCOPES = [
    Scope(kind=ScopeKind.EVERYTHING),
    Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW),
    Scope(kind=ScopeKind.TRIGGER, name="schedule", workflow=WORKFLOW),
    Scope(kind=ScopeKind.TOOL, name="crm.create_task", workflow=WORKFLOW),
    Scope(kind=ScopeKind.TOOL, name="crm.create_task"),
    Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.write"),
]
HAMMERS = 6


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Office]:
    """An office whose clock runs and whose ids are drawn, for many agents at once."""
    clock = SystemClock()
    with Office(tmp_path, clock=clock, ids=TimeOrderedIds(clock)) as opened:
        yield opened


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_no_covered_permit_commits_after_pause_has_returned(busy: Office, scope: Scope) -> None:
    stop, ready = threading.Event(), threading.Barrier(HAMMERS + 1)

    def hammer(n: int) -> None:
        run = busy.begin(f"occasion-{n}")
        other = busy.begin(f"other-{n}", trigger="manual")
        ready.wait(10)
        count = 0
        while not stop.is_set():
            count += 1
            busy.ask(run, "crm.create_task", title=f"{n}/{count}")
            busy.ask(other, "crm.read_account", account_id="acme")

    threads = [threading.Thread(target=hammer, args=(n,)) for n in range(HAMMERS)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    busy.store.wait_beyond(busy.store.last_seq + 50, timeout_s=10)
    paused = busy.write(partial(holds.pause, scope=scope, reason="it floods"), actor=LEE)
    returned_at = busy.store.last_seq
    busy.store.wait_beyond(returned_at + 50, timeout_s=10)
    stop.set()
    for thread in threads:
        thread.join()

    seen = busy.read(partial(covered_permits, scope=scope))
    set_at = busy.read(lambda view: view.entries(kinds=("hold.set",)))[0].seq
    assert any(seq < set_at for seq in seen), "the agents were not at work before the pause"
    assert [seq for seq in seen if seq > set_at] == []
    assert set_at <= returned_at
    assert paused.hold.active
    # Whatever was permitted before and has not ended is told to the person who paused.
    assert {call.id for call in paused.in_flight} <= busy.read(permitted_before(set_at))
    # What the hold does not cover goes on.
    if scope.kind not in (ScopeKind.EVERYTHING, ScopeKind.WORKFLOW):
        decided = busy.read(lambda view: view.entries(after=set_at, kinds=("call.decided",), limit=10_000))
        assert any(isinstance(x.event, e.CallDecided) and x.event.verdict is Verdict.ALLOW for x in decided)


def covered_permits(view: View, *, scope: Scope) -> list[int]:
    return [
        entry.seq
        for entry in view.entries(kinds=("call.decided",), limit=100_000)
        if isinstance(entry.event, e.CallDecided)
        and entry.event.verdict is Verdict.ALLOW
        and covers(scope, entry.event)
    ]


def permitted_before(seq: int) -> partial[set[str]]:
    return partial(_permitted_before, seq=seq)


def _permitted_before(view: View, *, seq: int) -> set[str]:
    entries = view.entries(before=seq, kinds=("call.decided",), limit=100_000)
    return {x.event.call for x in entries if isinstance(x.event, e.CallDecided)}


def test_a_call_in_flight_is_named_until_it_has_ended(office: Office) -> None:
    run = office.begin()
    permit = office.ask(run, "crm.create_task", title="call acme")
    office.attempt(permit)
    office.ask(run, "crm.read_account", account_id="acme")
    paused = office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    assert [call.id for call in paused.in_flight] == [permit.call]
    assert paused.state is PauseState.ENFORCED

    office.finish(permit, result={"id": "task-1"})
    after = office.read(lambda view: holds.status(view, paused.hold, now=office.clock.now()))
    assert (after.in_flight, after.state) == ((), PauseState.DRAINED)


def test_a_pause_overtakes_permits_whose_tool_has_not_begun(office: Office) -> None:
    """Who asks again is denied; what the hold does not cover goes on, and so does what was approved under an older hold."""
    run = office.begin()
    held = office.ask(run, "crm.create_task", title="call acme")
    free = office.ask(run, "crm.update_account", account_id="acme", renewal="2027-01-01")
    office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    with pytest.raises(Conflict, match="overtaken: held by hold_0001"):
        office.attempt(held)
    assert office.ask(run, "crm.create_task", call=held.call, title="call acme").verdict is Verdict.DENY
    office.attempt(free)


def test_a_lowered_stage_overtakes_permits_whose_tool_has_not_begun(office: Office) -> None:
    permit = office.ask(office.begin(), "crm.create_task", title="call acme")
    lower = partial(returning.change_stage, workflow=WORKFLOW, stage=Stage.READ_ONLY, reason="it floods")
    office.write(lower, actor=LEE)
    with pytest.raises(Conflict, match="is at stage read_only"):
        office.attempt(permit)


def test_a_call_in_flight_is_named_for_the_class_of_its_source(tmp_path: Path) -> None:
    manifest = MANIFEST.replace("tools:\n", "sources:\n  inbox: {trust: external}\ntools:\n", 1)
    with Office(tmp_path, manifest=manifest) as office:
        permit = office.ask(office.begin(), "crm.create_task", title="call acme", source="inbox")
        office.attempt(permit)
        paused = office.pause(ScopeKind.SOURCE, "class:external", workflow=WORKFLOW)
        assert ([call.id for call in paused.in_flight], paused.state) == ([permit.call], PauseState.ENFORCED)


@pytest.mark.parametrize(
    ("to", "verdict"),
    [
        (["kim@acme.test", "ceo@rival.test"], Verdict.DENY),
        (["kim@acme.test"], Verdict.ALLOW),
        ([{"address": "ceo@rival.test"}], Verdict.DENY),
    ],
    ids=["one of several", "another", "not to be read"],
)
def test_a_hold_on_a_destination_is_not_evaded(tmp_path: Path, to: object, verdict: Verdict) -> None:
    manifest = MANIFEST.replace("    external: true\n", "    destination: args.to\n").replace(
        '    gate: {when: "true", approvers: [business], expires: 4h}\n', ""
    )
    with Office(tmp_path, manifest=manifest) as office:
        run = office.begin()
        assert office.ask(run, "mail.send", to=to, text="before").verdict is Verdict.ALLOW
        office.pause(ScopeKind.DESTINATION, "ceo@rival.test")
        assert office.ask(run, "mail.send", to=to, text="after").verdict is verdict


def test_no_call_in_flight_is_overlooked_among_many(office: Office) -> None:
    run = office.begin()
    ask = partial(permits.ask, manifests=office.inst.manifests, run=run, tool="crm.read_account")
    office.write(lambda tx: [ask(tx, args={"account_id": str(n)}) for n in range(PAGE + 10)])
    permit = office.ask(run, "crm.create_task", title="call acme")
    paused = office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    assert [call.id for call in paused.in_flight] == [permit.call]


def test_a_guard_is_named_until_it_has_confirmed_or_is_gone(office: Office) -> None:
    one, _ = office.write(partial(points.register, workflow=WORKFLOW, name="one"))
    two, _ = office.write(partial(points.register, workflow=WORKFLOW, name="two"))
    paused = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    assert ({point.point for point in paused.unconfirmed}, paused.state) == ({one, two}, PauseState.PAUSING)

    def now() -> holds.Pause:
        return office.read(lambda view: holds.status(view, paused.hold, now=office.clock.now()))

    newest = office.write(partial(points.heartbeat, point=one, epoch=0)).epoch
    assert newest == paused.hold.epoch
    assert len(now().unconfirmed) == 2, "being told is not yet confirming"
    with pytest.raises(Invalid, match="has not come yet"):
        office.write(partial(points.heartbeat, point=two, epoch=newest + 1))
    office.write(partial(points.heartbeat, point=one, epoch=newest))
    assert [point.point for point in now().unconfirmed] == [two]
    office.wait(seconds=61)
    assert (now().unconfirmed, now().state) == ((), PauseState.DRAINED)


def test_a_guard_that_was_given_up_is_told_to_register_again(office: Office) -> None:
    point, epoch = office.write(partial(points.register, workflow=WORKFLOW, name="sleepy"))
    office.wait(seconds=61)
    with pytest.raises(StopworkError, match="counted on") as caught:
        office.write(partial(points.heartbeat, point=point, epoch=epoch))
    assert caught.value.status == 404, "what makes a guard register again"


@pytest.mark.parametrize("scope", SCOPES, ids=str)
def test_a_hold_never_ends_by_itself(office: Office, scope: Scope) -> None:
    office.write(partial(holds.pause, scope=scope, reason="it floods"), actor=LEE)
    for _ in range(12):
        office.wait(days=31)
    run = office.begin()
    assert office.ask(run, "crm.create_task", title="after a year").verdict is Verdict.DENY


def test_a_hold_counts_however_many_there_are(office: Office) -> None:
    office.write(
        recording(*(held(f"hold_0000_{n}", epoch=n, tool=f"crm.tool_{n}") for n in range(PAGE + 10)))
    )
    office.pause(ScopeKind.TOOL, "crm.create_task", workflow=WORKFLOW)
    run = office.begin()
    assert office.ask(run, "crm.create_task", title="one more").verdict is Verdict.DENY


def test_pausing_twice_is_one_hold(office: Office) -> None:
    first = office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    assert office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=KIM).hold == first.hold
    other = office.pause(ScopeKind.WORKFLOW, WORKFLOW, mode=HoldMode.READ_ONLY).hold
    assert other.id != first.hold.id


def test_anyone_may_stop_the_work_and_only_a_second_person_lets_it_go_on(office: Office) -> None:
    held = office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=AGENT).hold
    with pytest.raises(Denied, match="only a person"):
        office.write(partial(holds.lift, hold=held.id, reason="I am fine"), actor=AGENT)
    office.write(partial(holds.lift, hold=held.id, reason="looked at it"), actor=LEE)

    own = office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=LEE).hold
    with pytest.raises(Denied, match="does not lift it alone"):
        office.write(partial(holds.lift, hold=own.id, reason="changed my mind"), actor=LEE)
    lifted = office.write(partial(holds.lift, hold=own.id, reason="looked at it"), actor=DANA)
    assert not lifted.active
    assert office.ask(office.begin(), "crm.create_task", title="again").verdict is Verdict.ALLOW


def test_an_agent_stops_its_own_work_only(office: Office) -> None:
    stranger = Principal(kind=PrincipalKind.AGENT, id="payroll")
    with pytest.raises(Denied):
        office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=stranger)
    with pytest.raises(Denied):
        office.pause(ScopeKind.EVERYTHING, actor=AGENT)


@pytest.mark.parametrize(
    ("scope", "meant"),
    [
        (Scope(kind=ScopeKind.TOOL, name="crm.creat_task", workflow=WORKFLOW), "crm.create_task"),
        (Scope(kind=ScopeKind.TOOL, name="create_task"), "crm.create_task"),
        (Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.writes"), "crm.tasks.write"),
        (Scope(kind=ScopeKind.TRIGGER, name="scheduled", workflow=WORKFLOW), "schedule"),
        (Scope(kind=ScopeKind.SOURCE, name="class:extern"), "class:external"),
    ],
    ids=str,
)
def test_a_hold_that_would_hold_nothing_is_not_set(office: Office, scope: Scope, meant: str) -> None:
    with pytest.raises(Invalid, match=f'is named .* Did you mean "{meant}"'):
        office.write(partial(holds.pause, scope=scope, reason="it floods"), actor=LEE)


def test_a_tool_that_nobody_declared_can_be_held_once_it_was_called(office: Office) -> None:
    office.ask(office.begin(), "crm.magic")
    assert office.pause(ScopeKind.TOOL, "crm.magic", workflow=WORKFLOW).hold.active


def test_an_agent_sets_a_few_holds_and_can_always_stop_all_of_its_work(office: Office) -> None:
    run = office.begin()
    for n in range(MAX_HOLDS_OF_AN_AGENT + 1):
        office.ask(run, f"tool_{n}")
    for n in range(MAX_HOLDS_OF_AN_AGENT):
        office.pause(ScopeKind.TOOL, f"tool_{n}", workflow=WORKFLOW, actor=AGENT)
    with pytest.raises(Denied, match="has set 20 holds"):
        office.pause(ScopeKind.TOOL, f"tool_{MAX_HOLDS_OF_AN_AGENT}", workflow=WORKFLOW, actor=AGENT)
    assert office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=AGENT).hold.active
    assert office.pause(ScopeKind.TOOL, f"tool_{MAX_HOLDS_OF_AN_AGENT}", workflow=WORKFLOW).hold.active


def test_an_agent_does_not_pause_an_incident_of_another_workflow(office: Office) -> None:
    other = MANIFEST.replace("workflow: renewals", "workflow: other")
    office.write(partial(manifests.apply, text=other, reason="another one"), actor=LEE)
    opened = office.write(
        partial(incidents.open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW), actor=DANA
    )
    stranger = Principal(kind=PrincipalKind.AGENT, id="other")
    scope = Scope(kind=ScopeKind.TOOL, name="mail.send", workflow="other")
    for who in (stranger, LEE):
        with pytest.raises(Conflict, match="is about renewals, the hold about other"):
            office.write(partial(holds.pause, scope=scope, reason="x", incident=opened.id), actor=who)
    everything = Scope(kind=ScopeKind.EVERYTHING)
    office.write(partial(holds.pause, scope=everything, reason="x", incident=opened.id), actor=LEE)


def test_a_permit_from_before_a_pause_that_has_run_out_is_not_renewed(office: Office) -> None:
    run = office.begin()
    permit = office.ask(run, "crm.create_task", title="late")
    office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    office.wait(seconds=61)
    with pytest.raises(Conflict, match="ran out"):
        office.attempt(permit)
    assert office.ask(run, "crm.create_task", call=permit.call, title="late").verdict is Verdict.DENY
    assert not office.read(lambda view: view.need(Call, permit.call)).in_flight


def test_a_run_may_begin_under_a_hold_and_all_it_asks_is_on_record(office: Office) -> None:
    office.pause(ScopeKind.EVERYTHING)
    run = office.begin()
    for tool in ("crm.create_task", "crm.read_account", "mail.send"):
        permit = office.ask(run, tool, account_id="acme")
        assert (permit.verdict, permit.reasons[0].source) == (Verdict.DENY, "hold_0001")
    ended = office.write(partial(runs.finish, run=run, status=RunStatus.FAILED, error="held"))
    assert ended.writes == 0
