"""Contract of the offers: smallest first, each with what it would have stopped, and what is set already is not recommended again."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from stopwork.control.holds import answer, covers
from stopwork.kernel.errors import Conflict, NotFound
from stopwork.ledger.records import Call, Incident, Scope
from stopwork.ledger.words import HoldMode, IncidentType, PauseRisk, ScopeKind, Verdict
from stopwork.operations import manifests
from stopwork.operations.proposing import Offer, offers
from tests.support.office import LEE, MANIFEST, START, WORKFLOW, Office

TOOL = "crm.create_task"
OTHER = MANIFEST.replace("workflow: renewals", "workflow: invoices")


def offered(
    office: Office,
    *,
    workflow: str = WORKFLOW,
    incident: str | None = None,
    risk: PauseRisk | None = None,
    **facts: str,
) -> tuple[Offer, ...]:
    return office.read(
        lambda view: offers(
            view,
            office.inst.manifests,
            workflow=workflow,
            now=office.clock.now(),
            incident=incident,
            risk=risk,
            facts=facts,
        )
    )


def repeat_a_task(office: Office) -> Incident:
    run = office.begin()
    for nth in (1, 2):
        office.do(run, TOOL, nth=nth, account_id="acme", title="Call them")
    office.do(run, "crm.update_account", account_id="acme", renewal="2026-06-02")
    office.wait(seconds=1)
    (incident,) = office.read(lambda view: list(view.each(Incident)))
    assert incident.type is IncidentType.DUPLICATE_WORK
    return incident


def test_the_smallest_that_removes_the_risk_comes_first_with_its_effect(office: Office) -> None:
    office.do(office.begin(), TOOL, account_id="acme", title="Call them")
    first, *_, widest = offered(office, tool=TOOL)
    assert first.proposal.scope == Scope(kind=ScopeKind.TOOL, name=TOOL, workflow=WORKFLOW)
    assert first.recommended
    assert (first.impact.calls_stopped, first.impact.runs_stopped) == (1, 0)
    assert widest.proposal.scope.kind is ScopeKind.EVERYTHING
    assert (widest.impact.calls_kept, widest.impact.runs_stopped) == (0, 1)


def test_where_there_are_too_many_the_newest_are_looked_at_and_it_is_said_since_when(office: Office) -> None:
    for occasion in ("first", "second"):
        office.do(office.begin(occasion), "crm.read_account", account_id="acme")
        office.wait(hours=1)
    look = partial(offers, manifests=office.inst.manifests, workflow=WORKFLOW, now=office.clock.now())
    (every, *_), (newest, *_) = (office.read(partial(look, most=most)) for most in (2, 1))
    assert (every.impact.calls_stopped + every.impact.calls_kept, every.impact.calls_since) == (2, None)
    assert newest.impact.calls_stopped + newest.impact.calls_kept == 1
    assert newest.impact.calls_since == START + timedelta(hours=1)


def test_every_call_of_the_last_seven_days_counts_and_no_older_one(office: Office) -> None:
    office.do(office.begin("old"), "crm.read_account", account_id="acme")
    office.wait(days=7, seconds=1)
    run = office.begin("new")
    office.do(run, TOOL, account_id="acme", title="Call them")
    for nth in range(1, 6):
        office.do(run, "crm.read_account", nth=nth, account_id="acme")
    found = {each.proposal.scope: each.impact for each in offered(office, tool=TOOL)}
    of_tool = found[Scope(kind=ScopeKind.TOOL, name=TOOL, workflow=WORKFLOW)]
    assert (of_tool.calls_stopped, of_tool.calls_kept) == (1, 5)


def test_a_hold_is_said_to_stop_what_it_would_cover(office: Office) -> None:
    """Counted together, and compared with every call that was looked at by itself."""
    run = office.begin()
    office.do(run, TOOL, account_id="acme", title="Call them")
    office.do(run, "crm.read_account", account_id="acme")
    office.do(run, "mail.send", to="owner@acme.test", subject="Renewal", body="Soon")
    calls = office.read(lambda view: tuple(view.each(Call, workflow=WORKFLOW)))
    assert len(calls) == 3
    for each in offered(office, risk=PauseRisk.EXTERNAL_SEND, destination="owner@acme.test", tool=TOOL):
        scope, mode = each.proposal.scope, each.proposal.mode
        stopped = sum(
            covers(scope, call) and answer(mode, call.effect) is not Verdict.ALLOW for call in calls
        )
        assert (each.impact.calls_stopped, each.impact.calls_kept) == (stopped, 3 - stopped), scope


def test_a_risk_names_the_scope_where_no_incident_does(office: Office) -> None:
    first = offered(office, risk=PauseRisk.EXTERNAL_SEND)[0]
    assert (first.proposal.scope.name, first.proposal.mode) == ("mail.send", HoldMode.APPROVAL_REQUIRED)
    assert first.recommended
    assert not any(each.recommended for each in offered(office))


def test_an_incident_brings_its_facts_and_what_is_held_is_said(office: Office) -> None:
    first, *others = offered(office, incident=repeat_a_task(office).id)
    assert first.proposal.scope == Scope(kind=ScopeKind.TOOL, name=TOOL, workflow=WORKFLOW)
    assert first.held is not None, "the alert rule has held the tool"
    assert not any(each.recommended for each in (first, *others))
    assert all(each.held is None for each in others)


def test_an_incident_is_of_its_own_workflow(office: Office) -> None:
    office.write(lambda tx: manifests.apply(tx, OTHER, reason="another one"), actor=LEE)
    incident = repeat_a_task(office)
    with pytest.raises(Conflict):
        offered(office, workflow="invoices", incident=incident.id)
    with pytest.raises(NotFound):
        offered(office, workflow="nothing")
