"""Contract of the pause proposals: the smallest scope that removes the risk comes first, and its effect is counted."""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.detect.detector import Finding
from stopwork.incidents.pause import (
    FIRST,
    RISK,
    Alike,
    facts_of,
    impact,
    proposals,
    runs_due,
    scope_asked_for,
)
from stopwork.ledger.records import Call, Scope
from stopwork.ledger.words import EffectKind, HoldMode, IncidentType, PauseRisk, ScopeKind, SignalKind
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import START, WORKFLOW, Story
from tests.unit.incidents.cases import Book, IncidentStory, bad_monday

SCHEDULE = {"cron": "0 8 * * MON", "timezone": "America/New_York"}
DECLARED = manifest(
    schedule=SCHEDULE,
    sources={"crm_export": {"trust": "internal"}, "inbox": {"trust": "external"}},
)
TASK = {"tool": "crm.create_task"}

# Each case: its name, then the type, the facts, and the scope and mode to take first.
CASES: dict[str, tuple[IncidentType, dict[str, Any], str, HoldMode]] = {
    "missed": (IncidentType.MISSED_WORKFLOW, {}, "trigger schedule", HoldMode.BLOCK),
    "duplicates": (IncidentType.DUPLICATE_WORK, TASK, "tool crm.create_task", HoldMode.BLOCK),
    "duplicates, tool not known": (IncidentType.DUPLICATE_WORK, {}, "trigger schedule", HoldMode.BLOCK),
    "stale input": (
        IncidentType.STALE_OR_WRONG_INPUT,
        {"source": "crm_export"},
        "source crm_export",
        HoldMode.BLOCK,
    ),
    "injection": (IncidentType.PROMPT_INJECTION, {}, "source inbox", HoldMode.BLOCK),
    "misuse": (IncidentType.TOOL_MISUSE, TASK, "tool crm.create_task", HoldMode.BLOCK),
    "bypass": (IncidentType.APPROVAL_BYPASS, TASK, "tool crm.create_task", HoldMode.BLOCK),
    "writeback by a known tool": (IncidentType.BAD_WRITEBACK, TASK, "tool crm.create_task", HoldMode.BLOCK),
    "writeback": (IncidentType.BAD_WRITEBACK, {}, "workflow weekly-renewal-risk", HoldMode.DRAFT_ONLY),
    "sent": (IncidentType.EXTERNAL_SEND, {}, "tool mail.send", HoldMode.APPROVAL_REQUIRED),
    "exposure": (IncidentType.SENSITIVE_DATA_EXPOSURE, {"source": "inbox"}, "source inbox", HoldMode.BLOCK),
    "cost": (IncidentType.COST_RUNAWAY, {}, "trigger schedule", HoldMode.BLOCK),
    "drift": (IncidentType.POLICY_DRIFT, {}, "trigger schedule", HoldMode.BLOCK),
}


@pytest.mark.parametrize("name", CASES)
def test_the_smallest_scope_comes_first(name: str) -> None:
    incident_type, facts, scope, mode = CASES[name]
    first = proposals(incident_type, facts, DECLARED)[0]
    assert (str(first.scope).split(" of ")[0], first.mode) == (scope, mode)
    assert first.scope.workflow in (WORKFLOW, None)


@pytest.mark.parametrize("incident_type", IncidentType)
def test_one_can_always_take_more(incident_type: IncidentType) -> None:
    offered = proposals(incident_type, TASK, manifest())
    assert [proposal.scope.kind for proposal in offered][-2:] == [ScopeKind.WORKFLOW, ScopeKind.EVERYTHING]
    assert len({(proposal.scope, proposal.mode) for proposal in offered}) == len(offered)
    assert all(proposal.stops and proposal.keeps_running for proposal in offered)


def test_every_risk_has_a_first_pause_and_every_type_a_risk() -> None:
    assert set(FIRST) == set(PauseRisk)
    assert set(RISK) == set(IncidentType)


def test_a_proposal_says_what_it_stops_and_what_goes_on() -> None:
    tool, *_, everything = proposals(IncidentType.DUPLICATE_WORK, TASK, manifest())
    assert tool.stops == "every call of crm.create_task"
    assert tool.keeps_running == "crm.list_accounts, crm.update_account and mail.send"
    assert everything.keeps_running == "nothing"


def a_finding(hold: ScopeKind | None, **facts: Any) -> Finding:
    return Finding(
        type=IncidentType.DUPLICATE_WORK,
        kind=SignalKind.ALERT,
        detector="d",
        key="k",
        workflow=WORKFLOW,
        summary="",
        occurred_at=START,
        facts=facts,
        hold=hold,
    )


@pytest.mark.parametrize(
    ("hold", "facts", "expected"),
    [
        (None, TASK, None),
        (ScopeKind.TOOL, TASK, Scope(kind=ScopeKind.TOOL, name="crm.create_task", workflow=WORKFLOW)),
        (
            ScopeKind.PERMISSION,
            TASK,
            Scope(kind=ScopeKind.PERMISSION, name="crm.tasks.write", workflow=WORKFLOW),
        ),
        (
            ScopeKind.TRIGGER,
            {"trigger": "manual"},
            Scope(kind=ScopeKind.TRIGGER, name="manual", workflow=WORKFLOW),
        ),
        (ScopeKind.WORKFLOW, {}, Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)),
        (ScopeKind.TOOL, {}, Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)),
        (ScopeKind.TOOL, {"tool": "unknown"}, Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)),
    ],
)
def test_a_rule_that_asks_for_a_hold_gets_one(
    hold: ScopeKind | None, facts: dict[str, Any], expected: Scope | None
) -> None:
    assert scope_asked_for(a_finding(hold, **facts), manifest()) == expected


def calls() -> tuple[Alike, ...]:
    story: Story = IncidentStory().run("r1")
    story.call("R", tool="crm.list_accounts", effect=EffectKind.READ).call("A").call("B", tool="mail.send")
    return tuple(
        Alike(**{name: getattr(call, name) for name in Alike.__struct_fields__ if name != "calls"})
        for call in Book(story.entries).every(Call)
    )


@pytest.mark.parametrize(
    ("kind", "name", "mode", "stopped", "runs"),
    [
        (ScopeKind.TOOL, "crm.create_task", HoldMode.BLOCK, 1, 0),
        (ScopeKind.WORKFLOW, WORKFLOW, HoldMode.READ_ONLY, 2, 0),
        (ScopeKind.WORKFLOW, WORKFLOW, HoldMode.BLOCK, 3, 4),
        (ScopeKind.TRIGGER, "schedule", HoldMode.BLOCK, 3, 4),
        (ScopeKind.EVERYTHING, "", HoldMode.BLOCK, 3, 4),
        (ScopeKind.TOOL, "unknown", HoldMode.BLOCK, 0, 0),
    ],
)
def test_the_effect_of_a_hold_is_counted(
    kind: ScopeKind, name: str, mode: HoldMode, stopped: int, runs: int
) -> None:
    found = impact(Scope(kind=kind, name=name), mode, calls(), runs_due=4)
    assert (found.calls_stopped, found.calls_kept, found.runs_stopped) == (stopped, 3 - stopped, runs)


def test_due_runs_are_those_of_the_next_week() -> None:
    assert runs_due(DECLARED, START) == 1
    assert runs_due(manifest(schedule={"cron": "0 * * * *"}), START) == 7 * 24
    assert runs_due(manifest(), START) == 0


def test_the_facts_of_the_signals_lead_to_the_tool() -> None:
    case = bad_monday().case()
    assert facts_of(case.signals)["tool"] == "crm.create_task"
