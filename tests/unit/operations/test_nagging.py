"""Contract of nagging: a hold reminds its owner after a day and once a day from then on, with its age and what it cost; no reminder
ever lifts it."""

from __future__ import annotations

import pytest

from stopwork.ledger.events import HoldNagged
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind, ScopeKind
from stopwork.operations import holds
from stopwork.server.pages.sentences import sentence
from tests.support.office import KIM, LEE, WORKFLOW, Office

TOOL = "crm.create_task"


def nags(office: Office) -> list[HoldNagged]:
    entries = office.read(lambda view: view.entries(kinds=("hold.nagged",), limit=100))
    return [entry.event for entry in entries if isinstance(entry.event, HoldNagged)]


def test_it_reminds_after_a_day_and_then_daily_and_stands(office: Office) -> None:
    hold = office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=LEE).hold.id
    office.wait(hours=23)
    assert nags(office) == []
    office.wait(hours=1)
    office.wait(hours=1)
    assert [each.age_s for each in nags(office)] == [24 * 3600]
    office.wait(hours=23)
    assert [each.age_s for each in nags(office)] == [24 * 3600, 48 * 3600]
    known = office.hold(hold)
    assert known.active
    assert known.nag is not None
    assert known.nag.owner == LEE.id


def test_it_tells_what_it_cost(office: Office) -> None:
    run = office.begin()
    office.pause(ScopeKind.WORKFLOW, WORKFLOW)
    for nth in (1, 2):
        office.ask(run, TOOL, nth=nth, account_id="acme", title="Call them")
    office.wait(days=7)
    (nag,) = nags(office)
    assert (nag.calls_stopped, nag.runs_due) == (2, 1)
    said = office.read(lambda view: sentence(nag, view))
    assert said == (
        f"Still held after 7 days: {nag.scope}. 2 calls stopped, 1 scheduled run fell due; reminder to {LEE.id}"
    )


def test_a_held_tool_keeps_no_run_from_starting(office: Office) -> None:
    office.pause(ScopeKind.TOOL, TOOL, workflow=WORKFLOW)
    office.wait(days=7)
    assert [(each.calls_stopped, each.runs_due) for each in nags(office)] == [(0, 0)]


@pytest.mark.parametrize(
    ("kind", "name", "workflow", "owner"),
    [(ScopeKind.TOOL, TOOL, WORKFLOW, LEE.id), (ScopeKind.EVERYTHING, "", None, None)],
)
def test_what_a_duty_holds_is_the_technical_owners_or_everybodys(
    office: Office, kind: ScopeKind, name: str, workflow: str | None, owner: str | None
) -> None:
    duty = Principal(kind=PrincipalKind.SYSTEM, id="detectors")
    office.pause(kind, name, workflow=workflow, actor=duty)
    office.wait(days=1)
    assert [each.owner for each in nags(office)] == [owner]


def test_a_lifted_hold_is_silent(office: Office) -> None:
    hold = office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=LEE).hold.id
    office.write(lambda tx: holds.lift(tx, hold=hold, reason="it was nothing"), actor=KIM)
    office.wait(days=2)
    assert nags(office) == []
