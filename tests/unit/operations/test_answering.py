"""Contract of what a reported signal answers: for each kind its question, whatever way it came in. What nobody said is said to be so; how a
run failed is told by its own records, whatever was said of it."""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.ledger import records as r
from stopwork.ledger.words import RunStatus, SignalKind
from stopwork.operations import reporting, runs
from stopwork.operations.answering import ASKED, NOT_ENDED, NOT_FAILED, NOT_SAID
from stopwork.operations.reporting import Report
from tests.support.office import KIM, WORKFLOW, Office


def told(office: Office, **said: Any) -> dict[str, Any]:
    """Answer the facts of the signal that a report becomes."""
    usual: dict[str, Any] = {
        "source": "tool",
        "kind": SignalKind.ALERT,
        "summary": "It is odd",
        "workflow": WORKFLOW,
    }
    taken = office.write(
        lambda tx: reporting.report(tx, office.inst.manifests, Report(**usual | said)), actor=KIM
    )
    return office.read(lambda view: view.need(r.Signal, taken.signal)).facts


@pytest.mark.parametrize("workflow", [WORKFLOW, "nobody knows"])
@pytest.mark.parametrize("kind", list(SignalKind), ids=list(SignalKind))
def test_each_kind_answers_its_question_or_says_what_nobody_said(
    office: Office, kind: SignalKind, workflow: str
) -> None:
    facts = told(office, kind=kind, workflow=workflow)
    assert set(ASKED[kind]) <= facts.keys()
    assert {name for name in ASKED[kind] if facts[name] != NOT_SAID} == ({"seen"} & set(ASKED[kind]))
    given = dict.fromkeys(ASKED[kind], "as said")
    assert given.items() <= told(office, kind=kind, workflow=workflow, facts=given, key="other").items()


def test_a_long_report_is_kept_whole_beside_its_summary(office: Office) -> None:
    text = "word " * 1_000
    assert told(office, kind=SignalKind.USER_REPORT, summary=text)["seen"] == text


@pytest.mark.parametrize(
    ("status", "wrote", "how"),
    [
        (RunStatus.FAILED, False, "failed_cleanly"),
        (RunStatus.FAILED, True, "partly_done"),
        (RunStatus.SUCCEEDED, True, NOT_FAILED),
        (None, True, NOT_ENDED),
    ],
    ids=["clean", "partly", "succeeded", "running"],
)
def test_how_a_run_failed_is_told_by_its_records_whatever_was_said(
    office: Office, status: RunStatus | None, wrote: bool, how: str
) -> None:
    run = office.begin()
    if wrote:
        office.do(run, "crm.create_task", account_id="a", title="Call")
    if status:
        office.write(lambda tx: runs.finish(tx, run=run, status=status))
    facts = told(office, kind=SignalKind.FAILED_RUN, run=run, facts={"how": "it just stopped"})
    assert facts["how"] == how
    if wrote and status is RunStatus.FAILED:
        assert len(facts["writes"]) == 1
