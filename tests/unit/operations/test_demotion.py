"""Contract of demotion: while autonomy is being given back, a grave signal takes it away again in its own transaction, with its reason on
record and as binding as a hold; full autonomy goes only to the rules that the manifest names; and up again takes the owner.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.detect.detector import Finding
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.events import StageChanged, name_of
from stopwork.ledger.records import Workflow
from stopwork.ledger.words import IncidentType, RunStatus, Severity, SignalKind, Stage, Verdict
from stopwork.operations import incidents, returning, runs, signals
from stopwork.operations.points import current_epoch
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, WORKFLOW, Office
from tests.support.trouble import Trouble
from tests.unit.operations.test_returning import clean_run, ready, up


def found(severity: Severity = Severity.SEV1, **changes: Any) -> Finding:
    usual: dict[str, Any] = {
        "type": IncidentType.TOOL_MISUSE,
        "kind": SignalKind.POLICY_VIOLATION,
        "detector": "policy_violation",
        "key": "crm.set_discount",
        "workflow": WORKFLOW,
        "summary": "it does what it should not",
        "facts": {},
        "severity": severity,
    }
    return Finding(**(usual | changes))


def raised(office: Office, finding: Finding) -> signals.Raised:
    return office.write(lambda tx: signals.raise_finding(tx, office.inst.manifests, finding))


def noticed(office: Office, severity: Severity = Severity.SEV1, **changes: Any) -> signals.Raised:
    return raised(office, found(severity, occurred_at=office.clock.now(), **changes))


def workflow(office: Office) -> Workflow:
    return office.read(lambda view: view.need(Workflow, WORKFLOW))


def at_approved_writes(office: Office) -> Trouble:
    trouble = Trouble(office)
    ready(trouble)
    up(trouble)
    for occasion in ("tuesday", "wednesday"):
        clean_run(office, occasion)
        up(trouble)
    assert workflow(office).stage is Stage.APPROVED_WRITES
    return trouble


def test_a_grave_signal_on_the_way_back_takes_autonomy_away_and_says_why(office: Office) -> None:
    at_approved_writes(office)
    before = office.read(current_epoch)
    known = noticed(office)
    assert (known.stage, workflow(office).stage) == (Stage.READ_ONLY, Stage.READ_ONLY)
    assert workflow(office).stage_reason == "by itself, for a signal at SEV1: it does what it should not"
    assert office.read(current_epoch) > before
    entries = office.read(
        lambda view: view.entries(incident=known.incident or "", kinds=[name_of(StageChanged)])
    )
    [event] = [entry.event for entry in entries]
    assert isinstance(event, StageChanged)
    assert (event.before, event.after) == (Stage.APPROVED_WRITES, Stage.READ_ONLY)


def test_a_lesser_signal_changes_nothing(office: Office) -> None:
    at_approved_writes(office)
    assert noticed(office, Severity.SEV2).stage is None
    assert workflow(office).stage is Stage.APPROVED_WRITES


def test_what_anybody_could_have_said_takes_no_autonomy(office: Office) -> None:
    at_approved_writes(office)
    mailed = noticed(office, verified=False)
    assert (mailed.incident is not None, mailed.stage) == (True, None)
    assert workflow(office).stage is Stage.APPROVED_WRITES
    assert noticed(office).stage is Stage.READ_ONLY


def test_a_second_signal_finds_nothing_left_to_take(office: Office) -> None:
    at_approved_writes(office)
    noticed(office)
    since = workflow(office).stage_epoch
    assert noticed(office, key="crm.create_task").stage is None
    assert workflow(office).stage_epoch == since


def test_an_incident_that_a_person_opens_counts_as_well(office: Office) -> None:
    at_approved_writes(office)
    office.write(
        partial(
            incidents.open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW, severity=Severity.SEV1
        ),
        actor=KIM,
    )
    assert workflow(office).stage is Stage.READ_ONLY


def test_full_autonomy_that_nobody_is_giving_back_stays(office: Office) -> None:
    assert noticed(office).stage is None
    assert workflow(office).stage is Stage.NORMAL


def test_the_manifest_names_rules_and_the_stage(tmp_path: Path) -> None:
    text = MANIFEST + "stages: {demote: {on: [policy_violation], to: approved_writes}}\n"
    with Office(tmp_path, manifest=text) as office:
        run = office.begin()
        permit = office.ask(run, "crm.update_account", account_id="acme", renewal="2026-06-02")
        assert noticed(office, Severity.SEV2).stage is Stage.APPROVED_WRITES
        with pytest.raises(Conflict, match="renewals is at stage approved_writes"):
            office.attempt(permit)
        after = office.ask(run, "crm.update_account", account_id="globex", renewal="2026-06-02")
        assert after.verdict is Verdict.WAIT


def test_any_person_may_take_autonomy_away_and_only_the_owner_gives_it_back(office: Office) -> None:
    lower = partial(returning.change_stage, workflow=WORKFLOW, reason="caution")
    office.write(partial(lower, stage=Stage.DRAFT_ONLY), actor=KIM)
    with pytest.raises(Conflict, match="no run has succeeded at the stage draft_only yet"):
        office.write(partial(lower, stage=Stage.APPROVED_WRITES), actor=DANA)
    office.wait(seconds=1)
    done = office.begin("after")
    office.write(partial(runs.finish, run=done, status=RunStatus.SUCCEEDED))
    with pytest.raises(Denied, match="only the business owner"):
        office.write(partial(lower, stage=Stage.APPROVED_WRITES), actor=LEE)
    with pytest.raises(Conflict, match="one stage at a time"):
        office.write(partial(lower, stage=Stage.NORMAL), actor=DANA)
    office.wait(seconds=1)
    office.write(partial(lower, stage=Stage.APPROVED_WRITES), actor=DANA)
    assert workflow(office).stage is Stage.APPROVED_WRITES
    with pytest.raises(Conflict, match="no run has succeeded at the stage approved_writes yet"):
        office.write(partial(lower, stage=Stage.LIMITED), actor=DANA)
    with pytest.raises(Denied):
        office.write(partial(lower, stage=Stage.READ_ONLY), actor=AGENT)


def test_while_an_incident_is_open_autonomy_comes_back_through_it_only(office: Office) -> None:
    lower = partial(returning.change_stage, workflow=WORKFLOW, reason="caution")
    office.write(partial(lower, stage=Stage.DRAFT_ONLY), actor=KIM)
    office.wait(seconds=1)
    office.write(partial(runs.finish, run=office.begin("after"), status=RunStatus.SUCCEEDED))
    raised(office, found(occurred_at=office.clock.now(), type=IncidentType.DUPLICATE_WORK, key="one"))
    with pytest.raises(Conflict, match="through its re-enable"):
        office.write(partial(lower, stage=Stage.DRAFT_ONLY), actor=DANA)


def test_after_a_demotion_the_owner_climbs_again_and_what_comes_then_takes_it_again(office: Office) -> None:
    trouble = at_approved_writes(office)
    raised(office, found(occurred_at=office.clock.now(), type=IncidentType.DUPLICATE_WORK, key="late"))
    first = workflow(office).stage_epoch
    with pytest.raises(Conflict):
        up(trouble)
    assert workflow(office).stage_epoch == first
