"""Contract of backfills: a missed run is made up for once, by a person's order, while every check passes, and repeats nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.backfilling import BACKFILL, ClaimBackfills, ClaimedBackfill
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.records import Backfill, BackfillCheck, Call, Incident, Run
from stopwork.ledger.words import (
    BackfillState,
    CheckState,
    IncidentType,
    Outcome,
    RunStatus,
    ScopeKind,
    Stage,
    StepKind,
    Verdict,
)
from stopwork.operations import backfills, holds, incidents, returning, runs
from stopwork.sdk import CallDenied, Stopwork
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.fsck import fsck
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, START, WORKFLOW, Office

DUE = "2026-03-02T08:00"
WITH_SOURCES = MANIFEST.replace(
    "tools:\n",
    "sources:\n  crm: {trust: internal, fresh_within: 2h}\n  wiki: {trust: internal}\ntools:\n",
    1,
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A place where the run of Monday, 08:00 in New York, was not started."""
    with Office(tmp_path, manifest=WITH_SOURCES) as made:
        made.wait(hours=1)
        yield made


def check(office: Office, occasion: str = DUE, **given: Any) -> backfills.Checked:
    return office.read(
        lambda view: backfills.check(
            view,
            office.inst.manifests,
            workflow=WORKFLOW,
            occasion=occasion,
            now=office.clock.now(),
            **given,
        )
    )


def order(office: Office, occasion: str = DUE, *, who: Any = DANA, **given: Any) -> Backfill:
    work = partial(
        backfills.order,
        manifests=office.inst.manifests,
        workflow=WORKFLOW,
        occasion=occasion,
        reason="the sheet is needed today",
        **({"why": "nothing was imported since"} | given),
    )
    return office.write(work, actor=who)


def claim(office: Office, session: str = "one") -> tuple[ClaimedBackfill, ...]:
    work = partial(backfills.claim, manifests=office.inst.manifests, workflow=WORKFLOW, session=session)
    return office.write(work, actor=AGENT)


def begin(office: Office, claimed: ClaimedBackfill) -> str:
    work = partial(
        runs.start,
        manifests=office.inst.manifests,
        workflow=WORKFLOW,
        trigger=BACKFILL,
        trigger_id=claimed.trigger_id,
        run=claimed.run,
    )
    return office.write(work).run


def look(office: Office, backfill: str) -> Backfill:
    return office.read(lambda view: view.need(Backfill, backfill))


def end(office: Office, run: str, status: RunStatus = RunStatus.SUCCEEDED) -> None:
    office.write(partial(runs.finish, run=run, status=status))


def read_at(office: Office, run: str, as_of: datetime) -> None:
    work = partial(runs.step, run=run, kind=StepKind.RETRIEVAL, name="accounts", source="crm", as_of=as_of)
    office.write(work)


def against(found: backfills.Checked) -> set[BackfillCheck]:
    return {each.check for each in found.against}


def task(office: Office, run: str, title: str = "call acme") -> Verdict:
    return office.do(run, "crm.create_task", account_id="acme", title=title).verdict


# --- checks ------------------------------------------------------------------------------------------


def test_a_source_of_which_nobody_recorded_the_age_needs_a_persons_word(office: Office) -> None:
    found = check(office)
    assert against(found) == {BackfillCheck.FRESHNESS}
    assert found.against[0].text.startswith("nobody recorded how old crm is")
    assert found.due == START
    with pytest.raises(Conflict, match="nobody recorded how old crm is"):
        order(office, why="")
    ordered = order(office)
    assert ordered.state is BackfillState.ORDERED
    [finding] = [each for each in ordered.findings if each.check is BackfillCheck.FRESHNESS]
    assert (finding.state, finding.about) == (CheckState.ATTESTED, "crm")


def test_a_stale_source_keeps_it_back_until_it_is_known_to_be_fresh(office: Office) -> None:
    run = office.begin("last week", trigger="manual")
    read_at(office, run, START - timedelta(hours=3))
    end(office, run)
    stale = check(office, why="it will do")
    assert against(stale) == {BackfillCheck.FRESHNESS}
    assert "at most 2 hours is allowed" in stale.against[0].text
    fresh = check(office, as_of={"crm": START})
    assert fresh.against == ()
    with pytest.raises(Invalid, match="no source"):
        check(office, as_of={"erp": START})
    with pytest.raises(Invalid, match="later time than now"):
        check(office, as_of={"crm": START + timedelta(hours=2)})


@pytest.mark.parametrize(
    ("occasion", "said"),
    [
        ("2026-03-02T08:30", "nothing was due"),
        ("yesterday", "is no time"),
        (" ", "name the occasion"),
    ],
)
def test_an_occasion_is_a_time_at_which_the_schedule_falls_due(
    office: Office, occasion: str, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        check(office, occasion)


def test_one_that_may_still_start_by_itself_is_not_made_up_for(office: Office) -> None:
    assert BackfillCheck.OCCASION in against(check(office, "2026-03-09T08:00", why="x"))
    assert check(office, "2026-03-02T13:00:00+00:00", why="x").against == ()


def test_where_there_is_no_schedule_the_occasion_is_an_id(tmp_path: Path) -> None:
    manifest = MANIFEST.replace(
        'schedule: {cron: "0 8 * * MON", timezone: America/New_York, finish_within: 45m}\n', ""
    ).replace("[schedule, manual]", "[manual]")
    with Office(tmp_path, manifest=manifest) as office:
        done = office.begin("2026-W10", trigger="manual")
        assert against(check(office, "2026-W10")) == {BackfillCheck.DUPLICATES}
        end(office, done, RunStatus.FAILED)
        assert check(office, "2026-W10").trigger_id == "2026-W10"


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.SUCCEEDED])
def test_an_occasion_that_was_met_is_not_met_again(tmp_path: Path, status: RunStatus) -> None:
    with Office(tmp_path) as office:
        run = office.begin("2026-W10")
        if status is not RunStatus.RUNNING:
            end(office, run, status)
        office.clock.advance(timedelta(minutes=20))  # type: ignore[attr-defined]
        found = check(office)
        assert against(found) == {BackfillCheck.DUPLICATES}
        assert found.against[0].records == (run,)


def test_a_call_whose_end_nobody_saw_is_settled_first(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin("2026-W10")
        permit = office.ask(run, "crm.create_task", account_id="acme", title="call")
        office.attempt(permit)
        office.finish(permit, Outcome.UNKNOWN)
        end(office, run, RunStatus.FAILED)
        office.clock.advance(timedelta(minutes=20))  # type: ignore[attr-defined]
        assert "settle them first" in check(office).against[0].text


def test_what_is_held_or_only_reads_is_not_made_up_for(office: Office) -> None:
    held = office.pause(ScopeKind.TRIGGER, "schedule", workflow=WORKFLOW).hold
    assert against(check(office, why="x")) == {BackfillCheck.HOLDS}
    office.write(partial(holds.lift, hold=held.id, reason="fine"), actor=KIM)
    lower = partial(returning.change_stage, workflow=WORKFLOW, stage=Stage.READ_ONLY, reason="caution")
    office.write(lower, actor=LEE)
    assert against(check(office, why="x")) == {BackfillCheck.STAGE}


# --- ordering ----------------------------------------------------------------------------------------


def test_it_is_ordered_once_and_by_people(office: Office) -> None:
    with pytest.raises(Denied):
        order(office, who=AGENT)
    first = order(office)
    with pytest.raises(Conflict, match="ordered already"):
        order(office)
    office.write(partial(backfills.withdraw, backfill=first.id, reason="wrong day"), actor=LEE)
    assert look(office, first.id).state is BackfillState.WITHDRAWN
    with pytest.raises(Conflict, match="is withdrawn"):
        office.write(partial(backfills.withdraw, backfill=first.id, reason="again"), actor=LEE)
    assert order(office).id != first.id


def test_of_an_incident_its_business_owner_orders_it(office: Office) -> None:
    opened = partial(
        incidents.open_by_hand,
        manifests=office.inst.manifests,
        workflow=WORKFLOW,
        type=IncidentType.MISSED_WORKFLOW,
    )
    office.write(opened, actor=LEE)
    home = office.read(lambda view: view.first(Incident, workflow=WORKFLOW))
    assert home is not None
    with pytest.raises(Denied, match="only the business owner"):
        order(office, who=LEE, incident=home.id)
    assert order(office, incident=home.id).incident == home.id


# --- carrying out ------------------------------------------------------------------------------------


def test_a_guard_takes_it_up_once_and_its_run_ends_it(office: Office) -> None:
    ordered = order(office)
    [taken] = claim(office)
    assert claim(office) == (taken,), "the same session, after a lost answer"
    assert claim(office, "two") == ()
    run = begin(office, taken)
    assert claim(office) == ()
    assert task(office, run) is Verdict.ALLOW
    end(office, run)
    done = look(office, ordered.id)
    assert (done.state, done.ended, done.run) == (BackfillState.FINISHED, RunStatus.SUCCEEDED, run)
    assert against(check(office, why="x")) == {BackfillCheck.DUPLICATES}
    assert claim(office) == ()
    assert fsck(office.store).clean


def test_whoever_takes_it_and_begins_nothing_loses_it(office: Office) -> None:
    order(office)
    [late] = claim(office)
    office.clock.advance(timedelta(minutes=2))  # type: ignore[attr-defined]
    [taken] = claim(office, "two")
    assert taken.run != late.run
    assert task(office, begin(office, late)) is Verdict.DENY
    assert task(office, begin(office, taken)) is Verdict.ALLOW


def test_an_order_that_nobody_takes_expires(office: Office) -> None:
    ordered = order(office)
    office.wait(days=1)
    assert look(office, ordered.id).state is BackfillState.EXPIRED
    assert claim(office) == ()


def test_a_backfill_that_nobody_ordered_reads_and_changes_nothing(office: Office) -> None:
    run = office.begin(DUE, trigger=BACKFILL)
    assert office.ask(run, "crm.read_account", account_id="acme").verdict is Verdict.ALLOW
    refused = office.ask(run, "crm.create_task", account_id="acme", title="call")
    assert refused.verdict is Verdict.DENY
    assert "nobody has ordered" in refused.reasons[0].text


def test_what_was_done_before_it_failed_is_replayed(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        missed = office.begin("2026-W10")
        assert task(office, missed) is Verdict.ALLOW
        end(office, missed, RunStatus.FAILED)
        office.clock.advance(timedelta(minutes=20))  # type: ignore[attr-defined]
        found = check(office)
        assert found.trigger_id == "2026-W10"
        assert any("will be replayed" in each.text for each in found.findings)
        order(office, why="")
        [taken] = claim(office)
        run = begin(office, taken)
        assert task(office, run) is Verdict.REPLAY
        assert task(office, run, "call globex") is Verdict.ALLOW
        assert len(office.crm.tasks) == 2


@pytest.mark.parametrize("meanwhile", ["stale", "met", "withdrawn", "held"])
def test_what_changes_meanwhile_denies(office: Office, meanwhile: str) -> None:
    ordered = order(office, why="", as_of={"crm": office.clock.now()})
    [taken] = claim(office)
    run = begin(office, taken)
    assert task(office, run) is Verdict.ALLOW
    match meanwhile:
        case "stale":
            office.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
            read_at(office, run, START - timedelta(days=1))
        case "met":
            office.begin("late", trigger="schedule")
        case "withdrawn":
            office.write(partial(backfills.withdraw, backfill=ordered.id, reason="no"), actor=LEE)
        case _:
            office.pause(ScopeKind.TRIGGER, "schedule", workflow=WORKFLOW)
    assert task(office, run, "call globex") is Verdict.DENY


def test_an_order_whose_checks_fail_by_now_is_not_given_out(office: Office) -> None:
    order(office, why="", as_of={"crm": office.clock.now()})
    office.clock.advance(timedelta(hours=3))  # type: ignore[attr-defined]
    assert claim(office) == ()


def test_an_agents_process_carries_it_out(office: Office) -> None:
    order(office)
    guard = Stopwork.at(LocalDesk(office.inst))
    made: list[str] = []

    @guard.tool("crm.create_task")
    def create_task(account_id: str, title: str) -> dict[str, str]:
        made.append(title)
        return {"id": f"task-{len(made)}"}

    for each in guard.backfills(WORKFLOW):
        assert each.occasion == START.astimezone(UTC).isoformat()
        with each.run():
            create_task("acme", "call")
    assert made == ["call"]
    assert list(guard.backfills(WORKFLOW)) == []
    with pytest.raises(CallDenied), guard.run(WORKFLOW, trigger=BACKFILL, trigger_id=DUE):
        create_task("acme", "call again")
    assert made == ["call"]
    [run] = office.read(lambda view: [run for run in view.each(Run) if run.backfill])
    assert run.status is RunStatus.SUCCEEDED
    assert office.read(lambda view: view.count(Call, run=run.id)) == 1
    guard._heartbeat.close()


def test_another_workflows_agent_takes_nothing(office: Office) -> None:
    order(office)
    stranger = AGENT.__class__(kind=AGENT.kind, id="another")
    with pytest.raises(Denied):
        office.write(
            partial(backfills.claim, manifests=office.inst.manifests, workflow=WORKFLOW, session="x"),
            actor=stranger,
        )
    assert ClaimBackfills(workflow=WORKFLOW, session="x").address() == "/v1/backfills/claim"
