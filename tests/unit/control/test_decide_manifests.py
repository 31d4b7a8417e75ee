"""Contract of the verdict over manifests, controls and calls of all kinds: whatever is declared and whatever is asked, there is an answer
with its reason; and nothing that restricts a workflow further, a hold, a lower stage, a gate, a condition, a smaller budget, a blocked
risk, allows any call more than before.
"""

from __future__ import annotations

import functools
import json
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stopwork.control import stages
from stopwork.control.budget import Usage
from stopwork.control.decide import CallRequest, Controls, Decided, decide
from stopwork.control.keys import KeyStanding, KeyState
from stopwork.control.verdicts import STRICTNESS
from stopwork.ledger.records import Hold
from stopwork.ledger.words import (
    ApprovalState,
    EffectKind,
    HoldMode,
    Mode,
    ReasonKind,
    Risk,
    RunStatus,
    ScopeKind,
    Stage,
    Verdict,
)
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.load import load
from tests.unit.control.world import NOW, approval, controls, hold, request, run, workflow

TOOL = "crm.update"

#: What an expression may do with arguments that are not what its author had in mind: answer, or fail.
CONDITIONS = st.sampled_from(
    [
        None,
        "true",
        "false",
        "args.amount > 1000",
        "args.customer.tier == 'gold'",
        "size(args.to) > 3",
        "run.trigger == 'schedule'",
        "args.items.exists(item, item.price > 10)",
        "100 / int(args.amount) > 5",
        "timestamp(args.due) < now",
    ]
)
SCHEMAS = st.sampled_from(
    [
        {},
        {"properties": {"amount": {"type": "integer", "maximum": 500}}, "required": ["amount"]},
        {"additionalProperties": False},
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ARGS = st.dictionaries(st.sampled_from(["amount", "customer", "to", "items", "due", "id"]), JSON, max_size=5)
LIMITS = st.none() | st.sampled_from([1, 3, 50])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A manifest of one tool, as it is written."""
    tool: dict[str, Any] = {
        "effect": draw(st.sampled_from([effect.value for effect in EffectKind])),
        "risk": draw(st.sampled_from([risk.value for risk in Risk])),
        "permission": "crm.write",
        "source": "inbox",
        "args_schema": draw(SCHEMAS),
    }
    if (condition := draw(CONDITIONS)) is not None:
        tool["deny_when"] = condition
    if (when := draw(CONDITIONS)) is not None:
        tool["gate"] = {"when": when, "approvers": ["business"]}
    budget = {
        name: draw(LIMITS) for name in ("run_calls", "run_writes", "run_tokens", "day_writes", "run_usd")
    }
    return {
        "workflow": "renewals",
        "owners": {"business": "dana@acme.test", "technical": "lee@acme.test"},
        "sources": {"inbox": {"trust": draw(st.sampled_from(["internal", "external"]))}},
        "budget": {name: limit for name, limit in budget.items() if limit is not None},
        "stages": {"limited": {"sample_rate": draw(st.sampled_from([0.0, 0.5, 1.0]))}},
        "tools": {TOOL: tool},
    }


def rules_of(document: dict[str, Any]) -> CompiledManifest:
    """Answer what the document, which may as well be JSON, is compiled to."""
    return _compiled(json.dumps(document))


@functools.lru_cache(10_000)
def _compiled(text: str) -> CompiledManifest:
    return compile_manifest(load(text).manifest)


holds_of = st.builds(
    hold,
    mode=st.sampled_from(HoldMode),
    kind=st.sampled_from(ScopeKind),
    name=st.sampled_from(["renewals", "schedule", TOOL, "crm.write", "inbox", "class:external", "other"]),
    within=st.sampled_from([None, "renewals", "other"]),
    item=st.sampled_from([None, "acme", "4", "mail-17"]),
    active=st.booleans(),
    epoch=st.sampled_from([3, 7, 9]),
)
requests = st.builds(
    request,
    tool=st.sampled_from([TOOL, TOOL, TOOL, "crm.magic"]),
    args=ARGS,
    run=st.builds(run, status=st.sampled_from([RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.FAILED])),
    key=st.sampled_from(["sha256:k", "sha256:l"]),
    source=st.sampled_from([None, "inbox"]),
    destinations=st.sampled_from([(), ("other",), None]),
    draft=st.sampled_from([None, None, "call_0"]),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[str, Any], CallRequest, Controls]:
    document = draw(documents())
    asked = draw(requests)
    answered = approval(
        asked,
        draw(st.sampled_from(ApprovalState)),
        consumed_by=draw(st.sampled_from([None, "call_1", "call_0"])),
        expires_at=NOW + timedelta(minutes=draw(st.sampled_from([-1, 1]))),
    )
    return (
        document,
        asked,
        controls(
            workflow=workflow(mode=draw(st.sampled_from(Mode)), stage=draw(st.sampled_from(Stage))),
            rules=rules_of(document),
            holds=tuple(draw(st.lists(holds_of, max_size=3))),
            key=KeyState(standing=draw(st.sampled_from(KeyStanding)), call="call_0"),
            usage=Usage(
                run_calls=draw(st.sampled_from([0, 2])),
                run_writes=draw(st.sampled_from([0, 2])),
                run_tokens=draw(st.sampled_from([0, 2])),
                run_usd=draw(st.sampled_from([0.0, 2.0])),
            ),
            approval=draw(st.sampled_from([None, answered])),
        ),
    )


def at_least_as_strict(after: Decided, before: Decided) -> None:
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict], (before.reasons, after.reasons)
    assert STRICTNESS[after.would] >= STRICTNESS[before.would], (before.reasons, after.reasons)


Situation = tuple[dict[str, Any], CallRequest, Controls]


@given(situations())
def test_every_call_gets_an_answer_and_a_reason(situation: Situation) -> None:
    _, asked, given_controls = situation
    decided = decide(asked, given_controls, NOW)
    assert decided == decide(asked, given_controls, NOW)
    assert all(reason.text and reason.kind in ReasonKind for reason in decided.reasons)
    if decided.would is not Verdict.ALLOW:
        assert decided.would in {reason.verdict for reason in decided.reasons}
    if (
        decided.verdict is Verdict.ALLOW
        and given_controls.workflow
        and given_controls.workflow.mode is Mode.ENFORCE
    ):
        assert all(reason.verdict is Verdict.ALLOW for reason in decided.reasons)


@given(situations(), holds_of)
def test_one_more_hold_allows_no_more(situation: Situation, more: Hold) -> None:
    _, asked, before = situation
    after = replace(before, holds=(*before.holds, more))
    at_least_as_strict(decide(asked, after, NOW), decide(asked, before, NOW))


@given(situations(), st.sampled_from(Stage))
def test_a_lower_stage_allows_no_more(situation: Situation, stage: Stage) -> None:
    _, asked, before = situation
    assert before.workflow is not None
    if stages.goes_up(before.workflow.stage, stage):
        return
    after = replace(before, workflow=replace(before.workflow, stage=stage))
    at_least_as_strict(decide(asked, after, NOW), decide(asked, before, NOW))


TIGHTER = {
    # Its own gate would take the place of another.
    "a gate where there is none": lambda tool: {"gate": {"when": "true", "approvers": ["business"]}} | tool,
    "a condition that is always true": lambda tool: tool | {"deny_when": "true"},
    "a condition where there is none": lambda tool: {"deny_when": "args.amount > 1"} | tool,
    "a blocked risk": lambda tool: tool | {"risk": "blocked"},
    "no arguments at all": lambda tool: tool | {"args_schema": {"maxProperties": 0}},
}


@given(situations(), st.sampled_from(sorted(TIGHTER)))
def test_a_stricter_tool_allows_no_more(situation: Situation, how: str) -> None:
    document, asked, before = situation
    tool = TIGHTER[how](document["tools"][TOOL])
    after = replace(before, rules=rules_of(document | {"tools": {TOOL: tool}}))
    at_least_as_strict(decide(asked, after, NOW), decide(asked, before, NOW))


@given(situations(), st.sampled_from(["run_calls", "run_writes", "run_tokens", "run_usd"]))
def test_a_smaller_budget_allows_no_more(situation: Situation, name: str) -> None:
    document, asked, before = situation
    after = replace(before, rules=rules_of(document | {"budget": document["budget"] | {name: 1}}))
    at_least_as_strict(decide(asked, after, NOW), decide(asked, before, NOW))


@given(situations())
def test_observing_stops_no_more_than_enforcing(situation: Situation) -> None:
    _, asked, given_controls = situation
    assert given_controls.workflow is not None
    modes = [
        decide(asked, replace(given_controls, workflow=replace(given_controls.workflow, mode=mode)), NOW)
        for mode in (Mode.OBSERVE, Mode.ENFORCE)
    ]
    assert STRICTNESS[modes[0].verdict] <= STRICTNESS[modes[1].verdict]
    assert modes[0].would is modes[1].would
