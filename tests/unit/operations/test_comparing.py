"""Contract of the comparisons: an observed workflow is told what enforcement would do, and a bad run is put beside a good one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from stopwork.incidents.change import Part
from stopwork.kernel.errors import Invalid, NotFound
from stopwork.ledger.records import Incident, Run
from stopwork.ledger.words import RunStatus, Verdict
from stopwork.operations import comparing, manifests, runs
from tests.support.office import LEE, MANIFEST, START, WORKFLOW, Office

OBSERVED = MANIFEST.replace("title: W", "mode: observe\ntitle: W")
TITLE = "Prepare the renewal"


def good_run(office: Office, occasion: str = "first") -> str:
    run = office.begin(occasion)
    office.do(run, "crm.read_account", account_id="acme")
    office.write(lambda tx: runs.finish(tx, run=run, status=RunStatus.SUCCEEDED))
    office.wait(seconds=1)
    return run


def bad_run(office: Office) -> tuple[str, str]:
    """Let the agent do one thing twice; answer the run and the incident that was opened."""
    run = office.begin("second")
    office.do(run, "crm.create_task", account_id="acme", title=TITLE)
    office.do(run, "crm.create_task", account_id="acme", title=TITLE, nth=2)
    office.wait(seconds=1)
    (opened,) = office.read(lambda view: list(view.each(Incident)))
    return run, opened.id


def test_what_ran_while_observed_is_told_with_what_enforcement_would_have_said(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=OBSERVED) as office:
        run = office.begin()
        mailed = office.do(run, "mail.send", to="someone@example.test")
        office.do(run, "crm.set_discount", account_id="acme", percent="1")
        office.do(run, "crm.set_discount", account_id="acme", percent="10")
        found = office.read(lambda view: comparing.enforcement(view, workflow=WORKFLOW, since=START))
        assert (found.calls, found.stopped, found.asked, found.good_stopped) == (3, 1, 1, 1)
        denied, asked = found.divergences
        assert (denied.tool, denied.would) == ("crm.set_discount", Verdict.DENY)
        assert denied.examples[0].args["percent"] == "1"
        assert asked.examples[0].call == mailed.call
        later = START + timedelta(days=1)
        assert office.read(lambda v: comparing.enforcement(v, workflow=WORKFLOW, since=later)).calls == 0


def test_of_too_many_calls_the_newest_are_looked_at(office: Office) -> None:
    good_run(office)
    newest = good_run(office, "second")
    found = office.read(lambda view: comparing.enforcement(view, workflow=WORKFLOW, since=START, most=1))
    assert found.calls == 1
    assert found.since == office.read(lambda view: view.need(Run, newest)).started_at


def test_an_unknown_workflow_has_no_report(office: Office) -> None:
    with pytest.raises(NotFound, match="no workflow 'payroll'"):
        office.read(lambda view: comparing.enforcement(view, workflow="payroll", since=START))


def test_an_incident_is_compared_with_the_last_good_run(office: Office) -> None:
    good_run(office, "long ago")
    good = good_run(office)
    bad, incident = bad_run(office)
    found = office.read(
        lambda view: comparing.since_last_good(view, office.inst.manifests, incident=incident)
    )
    assert (found.before.id, found.after.id) == (good, bad)
    tools = {each.name for each in found.differences if each.part is Part.TOOLS}
    assert tools == {"crm.read_account", "crm.create_task"}
    assert found == office.read(
        lambda view: comparing.runs(view, office.inst.manifests, before=good, after=bad)
    )


def test_without_a_good_run_it_says_so(office: Office) -> None:
    _bad, incident = bad_run(office)
    with pytest.raises(NotFound, match="no run before"):
        office.read(lambda view: comparing.since_last_good(view, office.inst.manifests, incident=incident))


def test_runs_of_two_workflows_are_not_compared(office: Office) -> None:
    other = MANIFEST.replace("workflow: renewals", "workflow: invoices")
    office.write(lambda tx: manifests.apply(tx, other, reason="another one"), actor=LEE)
    mine = office.begin()
    known = office.inst.manifests
    theirs = office.write(
        lambda tx: runs.start(tx, known, workflow="invoices", trigger="manual"), actor=LEE
    ).run
    with pytest.raises(Invalid, match="is a run of renewals"):
        office.read(lambda view: comparing.runs(view, known, before=mine, after=theirs))
