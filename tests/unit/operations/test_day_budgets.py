"""Contract of a day's budget: what is permitted or spent counts on the UTC day on which it is, once, however many runs there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import Day
from stopwork.ledger.words import Outcome, ReasonKind, StepKind, Verdict
from stopwork.operations import runs
from stopwork.storage.fsck import fsck
from stopwork.storage.view import PAGE
from tests.support.office import MANIFEST, WORKFLOW, Office
from tests.support.told import recording, run_started, stepped

BEFORE_MIDNIGHT = datetime(2026, 3, 2, 23, 50, tzinfo=UTC)


def budgeted(folder: Path, budget: str, *, at: datetime = BEFORE_MIDNIGHT) -> Office:
    manifest = MANIFEST.replace("tools:\n", f"budget: {{{budget}}}\ntools:\n", 1)
    return Office(folder, manifest=manifest, clock=ManualClock(at))


def later(office: Office) -> None:
    """Let midnight pass, without the detectors that would hold the workflow over its budget."""
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(minutes=20))


def made(office: Office, run: str, *titles: str) -> list[Verdict]:
    return [office.do(run, "crm.create_task", account_id="acme", title=title).verdict for title in titles]


def test_a_write_counts_on_the_day_it_is_permitted_not_on_that_of_its_run(tmp_path: Path) -> None:
    with budgeted(tmp_path, "day_writes: 2") as office:
        run = office.begin()
        assert made(office, run, "1", "2", "3") == [Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY]
        later(office)
        assert made(office, run, "4", "5", "6") == [Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY]
        assert made(office, office.begin("another"), "7") == [Verdict.DENY]
        assert fsck(office.store).clean


def test_what_is_asked_for_again_or_refused_counts_once_or_not_at_all(tmp_path: Path) -> None:
    with budgeted(tmp_path, "day_writes: 9") as office:
        run = office.begin()
        ask = partial(office.ask, run, "crm.create_task", call="call_1", title="call")
        ask()
        permit = ask()
        office.attempt(permit)
        office.finish(permit, Outcome.FAILED)
        office.ask(run, "crm.magic")
        office.ask(run, "crm.read_account", account_id="acme")
        day = office.read(lambda view: view.need(Day, f"{WORKFLOW}/2026-03-02"))
        assert (day.calls, day.writes) == (2, 1)


@pytest.mark.parametrize(("budget", "spent"), [("day_tokens: 1500", 1), ("day_tokens: 2_000_000", 0)])
def test_no_run_of_the_day_is_overlooked(tmp_path: Path, budget: str, spent: int) -> None:
    with budgeted(tmp_path, budget.replace("_000", "000")) as office:
        many = [f"run_many_{n}" for n in range(PAGE + 600)]
        office.write(recording(*(run_started(run) for run in many)))
        office.write(recording(*(stepped(f"step_{run}", run, tokens=1) for run in many)))
        permit = office.ask(office.begin(), "crm.read_account", account_id="acme")
        assert len([reason for reason in permit.reasons if reason.kind is ReasonKind.BUDGET]) == spent


def test_dollars_and_unpriced_models_count_on_their_day(tmp_path: Path) -> None:
    with budgeted(tmp_path, "day_usd: 1, unpriced: deny") as office:
        run = office.begin()
        step = partial(runs.step, run=run, kind=StepKind.MODEL_CALL, name="plan")
        read = partial(office.ask, run, "crm.read_account", account_id="acme")
        office.write(partial(step, tokens=10, cost_usd=0.4))
        assert read().verdict is Verdict.ALLOW
        office.write(partial(step, tokens=10, cost_usd=0.6))
        assert read().verdict is Verdict.DENY
        later(office)
        assert read().verdict is Verdict.ALLOW
        office.write(partial(step, tokens=10, model="nobody-knows-it"))
        assert "of unknown price" in read().reasons[0].text
