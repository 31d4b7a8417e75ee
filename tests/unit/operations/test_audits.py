"""Contract of an audit's scope: which calls it is about, what it can know, what followed, and which past calls are like the bad ones."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pytest

from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.records import Audit, AuditFollowed, AuditLink, AuditScope, ObjectRef, Principal
from stopwork.ledger.words import AuditLinkKind, Outcome, PrincipalKind, Question, SystemSight, Verdict
from stopwork.operations import (
    audits,
    cases,
    evidence,
    following,
    incidents,
    manifests,
    outcomes,
    permits,
    planning,
    plans,
    runs,
    similarities,
)
from tests.support.office import DANA, LEE, MANIFEST, START, WORKFLOW, Office

READER = """\
workflow: reports
title: Reports about accounts
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  crm.look_up: {effect: read, risk: low, permission: crm.read, object: {system: crm, type: account, id: args.id}}
  crm.list: {effect: read, risk: low, permission: crm.read, object: {system: crm, type: account, id: "result.items.map(i, i.id)"}}
  report.write:
    effect: create
    permission: reports.write
    object: {system: reports, type: report, id: args.name}
downstream: [{name: report-mailer, tools: [report.write], does: Mails the report.}]
"""
REPORTER = Principal(kind=PrincipalKind.AGENT, id="reports")


def opened(office: Office, *of: str) -> str:
    return office.write(
        partial(incidents.open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW, runs=of),
        actor=LEE,
    ).id


def audit(office: Office, incident: str, **scope: Any) -> Audit:
    return audits.audit(office.inst, LEE, incident=incident, scope=AuditScope(**scope))


def calls_of(found: Audit) -> set[str]:
    return next(set(each.records) for each in found.answers if each.question is Question.TOOL_CALLS)


def update(office: Office, run: str, account: str, renewal: str) -> str:
    return office.do(run, "crm.update_account", account_id=account, renewal=renewal).call


def account(name: str) -> ObjectRef:
    return ObjectRef(system="crm", type="account", id=name)


def test_without_a_scope_it_is_about_the_runs_of_the_incident(office: Office) -> None:
    one, other = office.begin("monday"), office.begin("tuesday")
    bad = update(office, one, "acme", "2025-01-01")
    update(office, other, "globex", "2025-02-01")
    found = audit(office, opened(office, one))
    assert (calls_of(found), found.objects, found.runs) == ({bad}, 1, (one,))


def test_runs_tools_objects_and_times_say_which_calls_it_is_about(office: Office) -> None:
    one, other = office.begin("monday"), office.begin("tuesday")
    first = update(office, one, "acme", "2025-01-01")
    task = office.do(one, "crm.create_task", account_id="acme", title="Call").call
    office.wait(seconds=60)
    middle = office.clock.now()
    second = update(office, other, "globex", "2025-02-01")
    incident = opened(office, one)
    assert calls_of(audit(office, incident, tools=("crm.create_task",))) == {task}
    assert calls_of(audit(office, incident, objects=(account("acme"),))) == {first}
    assert calls_of(audit(office, incident, runs=(other,))) == {second}
    assert calls_of(audit(office, incident, since=middle)) == {second}
    assert calls_of(audit(office, incident, until=middle)) == {first, task}
    assert calls_of(audit(office, incident, since=START, tools=("crm.update_account",))) == {first, second}


def test_a_version_is_about_every_call_that_was_made_under_it(office: Office) -> None:
    one = office.begin("monday")
    before = update(office, one, "acme", "2025-01-01")
    office.wait(seconds=1)
    changed = MANIFEST.replace("Weekly renewal preparation", "Renewals")
    office.write(lambda tx: manifests.apply(tx, changed, reason="another title"), actor=LEE)
    office.wait(seconds=1)
    other = office.begin("tuesday")
    after = [update(office, one, "globex", "2025-03-01"), update(office, other, "acme", "2025-04-01")]
    incident = opened(office, one)
    assert calls_of(audit(office, incident, versions=(1,))) == {before}
    assert calls_of(audit(office, incident, versions=(2,))) == set(after)
    assert calls_of(audit(office, incident, versions=(1, 2))) == {before, *after}


def test_a_scope_that_makes_no_sense_is_refused_with_the_field(office: Office) -> None:
    incident = opened(office, office.begin())
    for scope, field in (
        ({"versions": (9,)}, "versions"),
        ({"tools": ("nosuch",)}, "tools"),
        ({"since": START, "until": START}, "until"),
    ):
        with pytest.raises(Invalid) as refused:
            audit(office, incident, **scope)
        assert refused.value.fields["field"] == field
    with pytest.raises(NotFound):
        audit(office, incident, runs=("run-9",))


def test_a_plan_is_proposed_for_what_the_newest_audit_is_about(office: Office) -> None:
    run, other = office.begin("monday"), office.begin("tuesday")
    update(office, run, "acme", "2025-01-01")
    office.do(run, "crm.create_task", account_id="acme", title="Call")
    update(office, other, "globex", "2025-02-01")
    incident = opened(office, run)
    evidence.seal(office.inst, LEE, incident=incident)
    audit(office, incident, tools=("crm.create_task",))
    plan = planning.plan(office.inst, LEE, incident=incident)
    assert {item.object.type for item in office.read(lambda view: plans.items_of(view, plan.id))} == {"task"}
    office.wait(seconds=1)
    audit(office, incident, runs=(run, other))
    with pytest.raises(Conflict, match="beyond the incident's runs"):
        planning.plan(office.inst, LEE, incident=incident)
    evidence.seal(office.inst, LEE, incident=incident)
    plan = planning.plan(office.inst, LEE, incident=incident)
    found = {item.object.id for item in office.read(lambda view: plans.items_of(view, plan.id))}
    assert found == {"acme", "globex", "task-1"}


def test_it_says_which_calls_the_guard_decided_and_what_it_cannot_see(office: Office) -> None:
    run = office.begin()
    update(office, run, "acme", "2025-01-01")
    lost = office.ask(run, "crm.update_account", account_id="globex", renewal="2025-02-01")
    office.attempt(lost)
    office.finish(lost, Outcome.UNKNOWN)
    known = audit(office, opened(office, run)).completeness
    assert known is not None
    assert (known.calls, known.enforced, known.observed, known.reported) == (2, 2, 0, 0)
    assert known.ends_unseen == (lost.call,)
    assert known.unfinished == (run,)
    assert [(each.system, each.sight) for each in known.systems] == [("crm", SystemSight.DECLARED)]
    assert any("Nobody has seen how 1 call ended" in said for said in known.says)


def test_what_comes_in_while_it_looks_is_not_in_it_and_it_says_what_it_goes_by(office: Office) -> None:
    run = office.begin()
    lost = office.ask(run, "crm.update_account", account_id="acme", renewal="2025-02-01")
    office.attempt(lost)
    office.finish(lost, Outcome.UNKNOWN)
    incident = opened(office, run)
    known = office.read(lambda view: view.last_seq())
    late: list[str] = []

    def meanwhile(ref: ObjectRef) -> None:
        if ref == account("acme") and not late:
            late.append("")
            late.append(update(office, run, "globex", "2025-03-01"))

    office.crm.before_read = meanwhile
    found = audit(office, incident)
    assert late[1:]
    assert (calls_of(found), found.tree_size) == ({lost.call}, known)
    assert [each.object for each in found.seen] == [account("acme")]


def _report(office: Office, tool: str, result: Any = None, *, run: str = "", **args: Any) -> tuple[str, str]:
    """Let the other workflow make one call, and answer it and its run."""
    run = (
        run
        or office.write(
            lambda tx: runs.start(
                tx, office.inst.manifests, workflow="reports", trigger="manual", trigger_id=f"at {tx.now}"
            ),
            actor=REPORTER,
        ).run
    )
    permit = office.write(
        lambda tx: permits.ask(tx, office.inst.manifests, run=run, tool=tool, args=args, session="s"),
        actor=REPORTER,
    )
    assert permit.verdict is Verdict.ALLOW, permit.reasons
    if tool in ("report.write", "crm.update_account"):
        office.write(lambda tx: permits.attempt(tx, call=permit.call, before=(), session="s"), actor=REPORTER)
    office.write(
        lambda tx: outcomes.finish(
            tx, office.inst.manifests, call=permit.call, outcome=Outcome.SUCCEEDED, result=result, session="s"
        ),
        actor=REPORTER,
    )
    return permit.call, run


def _links(found: Audit) -> dict[str, AuditLink]:
    assert found.followed is not None
    return {link.call: link for link in found.followed.links}


def test_what_followed_is_found_over_reads_and_writes_of_any_workflow(office: Office) -> None:
    office.write(lambda tx: manifests.apply(tx, READER, reason="first"), actor=LEE)
    early, _ = _report(office, "crm.look_up", id="acme")
    office.wait(seconds=1)
    bad_run = office.begin("monday")
    bad = update(office, bad_run, "acme", "2025-01-01")
    office.wait(seconds=1)
    other, _ = _report(office, "crm.look_up", id="globex")
    listed, run = _report(office, "crm.list", {"items": [{"id": "globex"}, {"id": "acme"}]})
    office.wait(seconds=1)
    wrote, _ = _report(office, "report.write", run=run, name="weekly")
    again, _ = _report(office, "report.write", name="weekly")
    later = update(office, office.begin("tuesday"), "acme", "2025-05-05")
    found = audit(office, opened(office, bad_run), followed=True)
    links = _links(found)
    assert set(links) == {listed, wrote, again, later}
    assert early not in links
    assert other not in links
    assert bad not in links
    assert links[listed].kind is AuditLinkKind.READ
    assert links[wrote].path == ("crm/account/acme", listed, wrote)
    assert links[again].path == ("crm/account/acme", listed, wrote, "reports/report/weekly", again)
    assert links[later].kind is AuditLinkKind.CHANGED
    assert found.objects == 1
    assert found.followed is not None
    assert found.followed.automations == ("report-mailer of reports, after report.write (Mails the report.)",)
    assert any("crm.read_account of renewals" in each for each in found.followed.missing)


def _followed(office: Office, incident: str, most: int) -> AuditFollowed:
    rules = office.inst.manifests
    return office.read(
        lambda view: following.followed(view, rules, cases.gather(view, rules, incident), most=most)
    )


def test_more_later_calls_than_are_listed_are_told_of(office: Office) -> None:
    bad = office.begin("monday")
    update(office, bad, "acme", "2025-01-01")
    later = [update(office, office.begin(f"day {n}"), "acme", f"2026-0{n}-02") for n in range(1, 6)]
    incident = opened(office, bad)
    some, every = _followed(office, incident, 3), _followed(office, incident, len(later))
    assert (len(some.links), some.cut) == (3, "Only 3 later calls are listed; there are more.")
    assert ({link.call for link in every.links}, every.cut) == (set(later), "")


def test_reads_by_a_tool_that_was_renamed_since_are_found(office: Office) -> None:
    office.write(lambda tx: manifests.apply(tx, READER, reason="first"), actor=LEE)
    bad = office.begin("monday")
    update(office, bad, "acme", "2025-01-01")
    office.wait(seconds=1)
    read, _ = _report(office, "crm.look_up", id="acme")
    for name in ("fetch", "get"):
        office.wait(seconds=7200)
        renamed = READER.replace("crm.look_up", f"crm.{name}")
        office.write(lambda tx, text=renamed: manifests.apply(tx, text, reason="renamed"), actor=DANA)  # type: ignore[misc]
    assert set(_links(audit(office, opened(office, bad), followed=True))) == {read}


def test_later_calls_that_were_to_change_an_affected_object_and_changed_nothing_are_found(
    office: Office,
) -> None:
    bad = office.begin("monday")
    update(office, bad, "acme", "2025-01-01")
    office.wait(seconds=1)
    later = office.begin("tuesday")
    same = update(office, later, "acme", "2025-01-01")
    failed = office.ask(later, "crm.update_account", account_id="acme", renewal="2027-01-01")
    office.attempt(failed)
    office.finish(failed, Outcome.FAILED)
    other = office.ask(later, "crm.update_account", account_id="globex", renewal="2027-01-01")
    office.attempt(other)
    office.finish(other, Outcome.FAILED)
    links = _links(audit(office, opened(office, bad), followed=True))
    assert {name: link.kind for name, link in links.items()} == {
        same: AuditLinkKind.NAMED,
        failed.call: AuditLinkKind.NAMED,
    }


def test_past_calls_like_a_bad_one_are_ranked_and_say_why(office: Office) -> None:
    run = office.begin("monday")
    bad = update(office, run, "acme", "2025-01-01")
    near = update(office, office.begin("tuesday"), "acme", "2025-02-01")
    far = update(office, office.begin("friday"), "globex", "2025-03-01")
    office.do(run, "crm.create_task", account_id="acme", title="Call")
    found = office.read(lambda view: similarities.similar_calls(view, [bad]))
    assert [each.call.id for each in found.calls] == [near, far]
    assert found.calls[0].why == (
        "same tool, crm.update_account",
        "same arguments by name and kind",
        "same value of 1 argument: account_id",
    )
    page = office.read(lambda view: similarities.similar_calls(view, [bad], limit=1))
    rest = office.read(
        lambda view: similarities.similar_calls(view, [bad], limit=1, after=page.calls[-1].call.id)
    )
    assert [each.call.id for each in (*page.calls, *rest.calls)] == [near, far]
    assert page.found == rest.found == 2


def test_calls_of_another_workflow_take_no_place_among_the_compared(office: Office) -> None:
    bad = update(office, office.begin("monday"), "acme", "2025-01-01")
    like = update(office, office.begin("tuesday"), "globex", "2025-02-01")
    writer = READER.replace(
        "tools:\n", "tools:\n  crm.update_account: {effect: update, permission: crm.accounts.write}\n", 1
    )
    office.write(lambda tx: manifests.apply(tx, writer, reason="first"), actor=LEE)
    office.wait(seconds=1)
    run = ""
    for number in range(4):
        _, run = _report(office, "crm.update_account", {}, run=run, account_id="acme", renewal=f"203{number}")

    def like_it(*, compared: int = 9, looked: int = 9) -> tuple[list[str], str]:
        found = office.read(
            lambda view: similarities.similar_calls(view, [bad], compared=compared, looked=looked)
        )
        return [each.call.id for each in found.calls], found.cut

    assert like_it(compared=2) == ([like], "")
    assert like_it(compared=1) == (
        [like],
        "Only the newest calls are compared: 1 of crm.update_account by renewals.",
    )
    assert like_it(looked=4) == (
        [],
        "Only the newest calls are compared: 0 of crm.update_account by renewals.",
    )


def test_a_moment_counts_and_the_end_does_not(office: Office) -> None:
    run = office.begin()
    call = update(office, run, "acme", "2025-01-01")
    at: datetime = office.call(call).requested_at
    incident = opened(office, run)
    assert calls_of(audit(office, incident, since=at)) == {call}
    assert calls_of(audit(office, incident, until=at)) == set()
