"""The pages tell a real installation's story: what each shows is what the records hold, for the person who looks.

One incident is walked from its first duplicate to its end; at every step the page names the next one, and posts to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from stopwork.kernel.errors import Invalid, NotFound
from stopwork.ledger import records as r
from stopwork.ledger.events import EVENT_TYPES
from stopwork.ledger.words import (
    ContainmentState,
    HoldMode,
    ItemState,
    Phase,
    ReenableCheck,
    RunStatus,
    ScopeKind,
    Severity,
)
from stopwork.operations import (
    approvals,
    audits,
    containment,
    evidence,
    incidents,
    messages,
    planning,
    postmortems,
    preparedness,
    recovering,
    returning,
    runs,
)
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders import board, controls, incident, journal, workflow
from stopwork.server.pages.builders import incidents as listing
from stopwork.server.pages.builders.look import Look, field_changes
from stopwork.server.pages.rendering import Pages
from stopwork.server.pages.sentences import _SENTENCES, sentence
from stopwork.storage.transaction import Tx
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW, Office

PAGES = Pages()


class Console:
    """The office, looked at by somebody through its pages."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def see(
        self, build: Callable[..., c.Context], *args: str, person: r.Principal = DANA, **query: str
    ) -> Any:
        """Answer the context of a page, after rendering it as this person."""

        def look(view: Any) -> c.Context:
            visit = c.Visit(person=person.id, csrf="csrf", path="/")
            return build(
                Look(
                    view=view,
                    manifests=self.office.inst.manifests,
                    now=self.office.clock.now(),
                    visit=visit,
                    query=query,
                    systems=self.office.inst.systems,
                ),
                *args,
            )

        context = self.office.read(look)
        assert PAGES.render(context)
        return context

    def html(self, build: Callable[..., c.Context], *args: str, person: r.Principal = DANA) -> BeautifulSoup:
        return BeautifulSoup(PAGES.render(self.see(build, *args, person=person)), "html.parser")


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with Office(tmp_path) as office:
        yield Console(office)


def flood(office: Office) -> tuple[str, str]:
    """Let the agent do one thing twice; answer the run and the incident that was opened."""
    run = office.begin()
    office.do(run, "crm.update_account", account_id="acme", renewal="2025-01-01")
    office.do(run, "crm.create_task", account_id="acme", title="Prepare the renewal")
    office.do(run, "crm.create_task", account_id="acme", title="Prepare the renewal", nth=2)
    office.wait(seconds=1, without="preserving")
    (opened,) = office.read(lambda view: list(view.each(r.Incident)))
    return run, opened.id


def test_a_workflow_that_is_only_observed_shows_what_enforcement_would_have_done(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=MANIFEST.replace("title: W", "mode: observe\ntitle: W")) as office:
        office.do(office.begin(), "crm.set_discount", account_id="acme", percent="1")
        told = Console(office).html(workflow.workflow, WORKFLOW).get_text()
    assert "What enforcement would have done" in told
    assert "1 good call would have been stopped." in told


def test_a_workflow_that_is_enforced_has_nothing_to_compare(console: Console) -> None:
    assert console.see(workflow.workflow, WORKFLOW).observed is None


def test_a_calm_board_shows_what_is_due_next(console: Console) -> None:
    shown = console.see(board.board)
    assert [row.workflow.id for row in shown.workflows] == [WORKFLOW]
    assert shown.incidents == ()
    assert shown.workflows[0].next_due is not None


def test_the_board_shows_what_happened_and_what_comes_next(console: Console) -> None:
    _run, opened = flood(console.office)
    shown = console.see(board.board)
    assert [row.incident.id for row in shown.incidents] == [opened]
    assert shown.incidents[0].next_title == "Seal the evidence"
    assert shown.workflows[0].holds == (shown_hold(console),)
    assert "Held: tool crm.create_task" in console.html(board.board).get_text()
    assert shown.frame.counts == c.Counts(incidents=1, approvals=0, holds=1)


def test_the_worst_incident_is_on_the_board_however_many_were_opened_since(console: Console) -> None:
    opening = partial(incidents.open_by_hand, manifests=console.office.inst.manifests, workflow=WORKFLOW)
    worst = console.office.write(partial(opening, severity=Severity.SEV1), actor=DANA)

    def open_more(tx: Tx) -> None:
        for _ in range(board.MAX_SHOWN):
            opening(tx, severity=Severity.SEV3)

    console.office.write(open_more, actor=DANA)
    shown = console.see(board.board).incidents
    assert (len(shown), shown[0].incident.id) == (board.MAX_SHOWN, worst.id)


def test_a_run_shows_each_call_with_its_reason_and_each_field_before_and_after(console: Console) -> None:
    run, _opened = flood(console.office)
    console.office.do(run, "crm.create_task", account_id="acme", title="Another")
    shown = console.see(workflow.run, run)
    calls = [moment.call for moment in shown.moments if moment.call]
    assert [row.call.verdict.value for row in calls] == ["allow", "allow", "allow", "deny"]
    (field,) = calls[0].effects[0].fields
    assert (field.name, field.before, field.after) == ("renewal", "2026-06-01", "2025-01-01")
    assert {field.name for field in calls[1].effects[0].fields} == {"account_id", "title"}
    assert calls[3].call.reasons[0].source == shown_hold(console).id
    assert shown.incident is not None


def shown_hold(console: Console) -> r.Hold:
    (row,) = console.see(controls.holds).active
    assert isinstance(row, c.HoldRow)
    return row.hold


def test_a_hold_counts_what_it_stopped(console: Console) -> None:
    run, _opened = flood(console.office)
    console.office.do(run, "crm.create_task", account_id="acme", title="Another")
    row = console.see(controls.hold, shown_hold(console).id).row
    assert row.stopped_calls == 1
    assert row.covers == "Every call of the tool crm.create_task in renewals."


def test_a_page_of_calls_continues_where_the_last_one_ended(console: Console) -> None:
    run = console.office.begin()
    for number in range(workflow.CALLS_A_PAGE + 3):
        console.office.ask(run, "crm.read_account", account_id=str(number))
    first = console.see(workflow.run, run)
    assert len(first.moments) == workflow.CALLS_A_PAGE
    after = first.paging.older.partition("after=")[2]
    second = console.see(workflow.run, run, after=after)
    assert len(second.moments) == 3
    assert second.paging.newest == f"/runs/{run}"


def test_the_pause_page_proposes_the_smallest_scope_and_counts_its_effect(console: Console) -> None:
    _run, opened = flood(console.office)
    first = console.see(controls.pause, workflow=WORKFLOW, tool="crm.update_account").options[0]
    assert first.recommended
    assert str(first.proposal.scope) == "tool crm.update_account of renewals"
    assert (first.impact.calls_stopped, first.impact.calls_kept) == (1, 2)
    held = console.see(controls.pause, incident=opened).options[0]
    assert held.held == shown_hold(console)
    assert not held.recommended, "what is held already is not proposed again"
    wide = console.see(controls.pause)
    assert [str(option.proposal.scope) for option in wide.options] == ["workflow renewals", "everything"]


def test_an_option_of_the_pause_page_comes_back_as_its_scope(console: Console) -> None:
    for option in console.see(controls.pause, workflow=WORKFLOW).options:
        scope, mode = controls.chosen_hold(option.value, WORKFLOW)
        assert (scope, mode) == (option.proposal.scope, option.proposal.mode)
    with pytest.raises(Invalid):
        controls.chosen_hold("tool", WORKFLOW)
    scope, mode = controls.chosen_hold("everything:block:", "")
    assert (scope.kind, scope.name, mode) == (ScopeKind.EVERYTHING, "", HoldMode.BLOCK)


def test_a_question_is_shown_to_who_may_answer_and_explained_to_others(console: Console) -> None:
    office = console.office
    run = office.begin()
    permit = office.ask(run, "mail.send", to="someone@example.test")
    assert permit.approval
    assert [row.approval.id for row in console.see(controls.approvals).waiting] == [permit.approval]
    (other,) = console.see(controls.approvals, person=LEE).others
    assert "dana@acme.test" in other.why_not
    page = console.html(controls.approval, permit.approval)
    assert page.find("button", value="approve") is not None
    assert (
        console.html(controls.approval, permit.approval, person=LEE).find("button", value="approve") is None
    )
    office.write(partial(approvals.decide, approval=permit.approval, approve=False, note="no"), actor=DANA)
    assert [each.id for each in console.see(controls.approvals).decided] == [permit.approval]


def test_a_question_is_shown_with_what_it_is_decided_by(console: Console) -> None:
    office = console.office
    run = office.begin()
    permit = office.ask(run, "mail.send", to="someone@example.test", copies=1, urgent=False, cc=[])
    page = console.html(controls.approval, permit.approval or "")
    assert "not seen before" in page.find(id="origins").parent.text  # type: ignore[union-attr]
    assert page.find("input", attrs={"name": "arg:to"})["value"] == "someone@example.test"  # type: ignore[index]
    assert page.find("select", attrs={"name": "arg:urgent"}) is not None
    assert page.find("textarea", attrs={"name": "arg:cc"}).text.strip() == "[]"  # type: ignore[union-attr]
    assert page.find("button", value="edit") is not None
    office.pause(ScopeKind.TOOL, "mail.send", workflow=WORKFLOW)
    stopped = console.html(controls.approval, permit.approval or "")
    assert "would not count any more" in stopped.text
    assert stopped.find("button", value="approve") is None
    assert stopped.find("button", value="reject") is not None


def test_lists_filter_by_their_address(console: Console) -> None:
    run, opened = flood(console.office)
    assert [row.incident.id for row in console.see(listing.incidents).incidents] == [opened]
    assert console.see(listing.incidents, status="closed").incidents == ()
    assert console.see(workflow.workflow, WORKFLOW, status="failed").runs == ()
    assert [each.id for each in console.see(workflow.workflow, WORKFLOW, status="nonsense").runs] == [run]
    about = console.see(journal.journal, incident=opened)
    assert {row.line.kind for row in about.rows} >= {"incident.opened", "hold.set"}
    assert all(row.body.get("incident") == opened for row in about.rows)


def test_what_is_not_there_is_said_so(console: Console) -> None:
    for build in (workflow.run, workflow.workflow, incident.incident, controls.hold, controls.approval):
        with pytest.raises(NotFound):
            console.see(build, "nothing")


def test_every_event_has_a_sentence() -> None:
    assert set(EVENT_TYPES) == set(_SENTENCES)


def test_a_call_of_which_the_journal_tells_is_named_by_its_tool(console: Console) -> None:
    office = console.office
    _run, _opened = flood(office)

    lines = office.read(lambda view: [sentence(entry.event, view) for entry in view.entries()])
    assert "crm.create_task is about to run" in lines
    assert not [line for line in lines if "call_" in line]


def test_an_image_that_nobody_took_is_not_called_empty() -> None:
    (field,) = field_changes(r.Image.unknown("timed out"), r.Image.present({"title": "a"}))
    assert (field.before_known, field.after_known, field.after) == (False, True, "a")
    assert field_changes(r.Image.unknown(""), r.Image.unknown("")) == ()


def test_the_incident_page_leads_through_all_ten_phases(console: Console) -> None:
    office = console.office
    _run, opened = flood(office)
    inst = office.inst

    def page(person: r.Principal = DANA) -> c.IncidentContext:
        shown = console.see(incident.incident, opened, person=person)
        assert isinstance(shown, c.IncidentContext)
        return shown

    def asks(phase: Phase, one_click: str = "") -> c.IncidentContext:
        shown = page()
        assert shown.next is not None
        assert (shown.next.phase, shown.one_click) == (phase, one_click)
        return shown

    assert asks(Phase.PRESERVE, "seal").unsettled.empty
    evidence.seal(inst, LEE, incident=opened)
    assert asks(Phase.CONTAIN, "containment/propose").evidence.bundle is not None

    office.write(partial(containment.checklist, manifests=inst.manifests, incident=opened), actor=LEE)
    for item in asks(Phase.CONTAIN).containment:
        office.write(
            partial(containment.record, item=item.id, state=ContainmentState.DONE, verified_how="looked"),
            actor=LEE,
        )
    asks(Phase.AUDIT, "audit")
    office.write(partial(audits.complete, manifests=inst.manifests, incident=opened), actor=LEE)
    shown = asks(Phase.RECOVER, "plan")
    assert len(shown.audit.objects) == 3

    office.write(
        partial(planning.propose, manifests=inst.manifests, systems=inst.systems, incident=opened), actor=LEE
    )
    plan = asks(Phase.RECOVER).recover
    assert plan.may_approve
    assert page(LEE).recover.why_not == "Only dana@acme.test approves a recovery."
    assert plan.plan is not None
    office.crm.accounts["acme"]["renewal"] = "2027-01-01"
    known = plan.plan
    office.write(partial(planning.approve, plan=known.id, digest=known.digest), actor=DANA)
    asks(Phase.RECOVER, "recover")
    recovering.run(inst, LEE, plan=known.id)
    shown = asks(Phase.RECOVER, "plan")
    (conflict,) = [row for row in shown.recover.items if row.item.state is ItemState.CONFLICT]
    assert [(field.before, field.after, field.now) for field in conflict.fields] == [
        ("2026-06-01", "2025-01-01", "2027-01-01")
    ]
    second = office.write(
        partial(planning.propose, manifests=inst.manifests, systems=inst.systems, incident=opened), actor=LEE
    )
    left = [row.item.id for row in page().recover.items]
    office.write(
        partial(
            planning.approve,
            plan=second.id,
            digest=second.digest,
            items=(),
            accept=left,
            note="dana set it since",
        ),
        actor=DANA,
    )
    if page().one_click == "recover":
        recovering.run(inst, LEE, plan=second.id)

    asks(Phase.COMMUNICATE, "messages/draft")
    office.write(partial(messages.draft, manifests=inst.manifests, incident=opened), actor=LEE)
    for row in asks(Phase.COMMUNICATE).audiences:
        assert row.message is not None
        message = row.message
        office.write(partial(messages.approve, message=message.id, digest=message.digest), actor=DANA)
        messages.send(inst, DANA, message=message.id)
    assert not asks(Phase.LEARN).learn.root_cause
    office.write(partial(incidents.record_root_cause, incident=opened, text="a retry had no key"), actor=LEE)
    learn = asks(Phase.LEARN).learn
    fields = {field.name: field.value or "nothing more" for field in learn.fields}
    assert any(field.prefilled for field in learn.fields)
    office.write(
        partial(postmortems.save, incident=opened, fields=fields, follow_ups=learn.follow_ups),
        actor=LEE,
    )
    office.write(partial(postmortems.close, manifests=inst.manifests, incident=opened), actor=LEE)

    assert asks(Phase.REENABLE).reenable.next_stage is not None
    answer_everything(office, page, opened)
    shown = page()
    assert shown.reenable.may_raise, shown.reenable.why_not
    assert not page(LEE).reenable.may_raise
    office.write(partial(returning.raise_stage, manifests=inst.manifests, incident=opened), actor=DANA)
    assert console.see(controls.holds).active == ()
    while page().workflow.stage.value != "normal":
        office.wait(minutes=5)
        clean = office.begin("again", trigger="manual")
        office.write(partial(runs.finish, run=clean, status=RunStatus.SUCCEEDED))
        office.write(partial(returning.raise_stage, manifests=inst.manifests, incident=opened), actor=DANA)

    asks(Phase.PREPARE, "prepare")
    office.write(
        partial(preparedness.record, manifests=inst.manifests, workflow=WORKFLOW, incident=opened), actor=LEE
    )
    assert page().ready_to_close
    office.write(partial(returning.close, incident=opened, reason="done"), actor=LEE)
    assert page().next is None
    assert console.html(incident.incident, opened).select(".phases form") == []
    assert ("Status", "closed") in console.see(listing.incident_report, opened).lines
    assert console.see(board.board).closed_recently[0].id == opened


def answer_everything(office: Office, page: Callable[..., c.IncidentContext], opened: str) -> None:
    """Answer each open check as the person whose answer counts; the owner signs last."""
    for check in sorted(ReenableCheck, key=lambda each: each is ReenableCheck.OWNER_APPROVED):
        (row,) = [row for row in page().reenable.checks if row.view.check is check]
        if row.answer:
            office.write(
                partial(
                    returning.answer,
                    manifests=office.inst.manifests,
                    incident=opened,
                    check=check,
                    note="seen",
                ),
                actor=DANA,
            )


def test_a_hold_is_lifted_by_somebody_else(console: Console) -> None:
    paused = console.office.pause(ScopeKind.WORKFLOW, WORKFLOW, actor=LEE)
    assert console.see(controls.hold, paused.hold.id, person=LEE).why_not_lift
    assert console.see(controls.hold, paused.hold.id, person=KIM).why_not_lift == ""
    assert (
        console.html(controls.hold, paused.hold.id, person=KIM).select_one('form[action$="/lift"]')
        is not None
    )
