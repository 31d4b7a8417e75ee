"""Contract of the policy detector: what a rule or a guardrail prevented is logged, and alarming when one run does it
again and again; what went through is alarming at once, and so is a call that surely did more than is declared; a person's no, a hold, a stage and a budget are no
violations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stopwork.detect.policy_violation import MOST_RECORDS, PolicyViolation
from stopwork.ledger.records import Effect, Image, ObjectRef, Reason
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    Operation,
    Outcome,
    ReasonKind,
    ScopeKind,
    Severity,
    SignalKind,
    Verdict,
)
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import Story, finding_of, findings, rules_of, signs

RULES = rules_of(manifest())
DETECTOR = PolicyViolation()
ALLOW, DENY, DRAFT, WAIT = Verdict.ALLOW, Verdict.DENY, Verdict.DRAFT, Verdict.WAIT


def because(
    kind: ReasonKind, verdict: Verdict = DENY, text: str = "denied when args.x > 1"
) -> tuple[Reason, ...]:
    return (Reason(kind=kind, verdict=verdict, text=text, source="tools.crm.create_task.deny_when"),)


CONDITION, RISK = because(ReasonKind.CONDITION), because(ReasonKind.RISK)


def refused(story: Story, call: str, run: str = "r1", reasons: tuple[Reason, ...] = CONDITION) -> Story:
    return story.call(call, run, verdict=DENY, reasons=reasons)


def undeclared(story: Story, call: str, verdict: Verdict = DENY) -> Story:
    reasons = because(ReasonKind.REGISTRATION, text="tool 'bank.close' is not declared in version 1")
    return story.call(call, tool="bank.close", verdict=verdict, would=DENY, reasons=reasons)


def exceeding(
    story: Story,
    call: str,
    source: str = "capture",
    *,
    declared: EffectKind | None = EffectKind.READ,
    outcome: Outcome = Outcome.SUCCEEDED,
) -> Story:
    """A call that changed a task, by what is declared for its tool; ``None`` where that is as it should be."""
    effect = Effect(
        id=f"effect of {call}",
        call=call,
        run="r1",
        workflow=story.workflow,
        tool="crm.list_accounts",
        object=ObjectRef(system="crm", type="task", id="7"),
        operation=Operation.MODIFIED,
        before=Image.present({"title": "x"}),
        after=Image.present({"title": "y"}),
        at=story.now,
        source=source,
        object_key="crm/task/7",
        exceeds=declared,
    )
    return story.call(call, tool="crm.list_accounts", effect=EffectKind.READ).outcome(
        call, outcome, (effect,)
    )


def observed(story: Story, call: str, **how: Any) -> Story:
    return story.call(call, would=DENY, reasons=CONDITION, **how)


# Each case: its name, then story, what is found; a "?" marks what is only logged.
CASES: dict[str, tuple[Callable[[Story], Story], list[str]]] = {
    "an allowed call": (lambda s: s.run("r1").call("A"), []),
    "refused by a condition": (lambda s: refused(s.run("r1"), "A"), ["A?"]),
    "a tool that is blocked": (lambda s: refused(s.run("r1"), "A", reasons=RISK), ["A?"]),
    "a tool that is not declared": (lambda s: undeclared(s.run("r1"), "A"), ["A?"]),
    "one that is not declared, again and again": (
        lambda s: undeclared(undeclared(undeclared(s.run("r1"), "A"), "B"), "C"),
        ["A?", "C"],
    ),
    "one that is not declared, where all is only observed": (
        lambda s: undeclared(s.run("r1"), "A", verdict=ALLOW),
        [],
    ),
    "a run that nothing declared has started": (
        lambda s: refused(s.run("r1"), "A", reasons=because(ReasonKind.REGISTRATION)),
        [],
    ),
    "refused by a hold": (lambda s: refused(s.run("r1"), "A", reasons=because(ReasonKind.HOLD)), []),
    "refused by the stage": (lambda s: refused(s.run("r1"), "A", reasons=because(ReasonKind.STAGE)), []),
    "refused by the budget": (lambda s: refused(s.run("r1"), "A", reasons=because(ReasonKind.BUDGET)), []),
    "rejected by a person": (
        lambda s: refused(
            s.run("r1"), "A", reasons=because(ReasonKind.GATE, WAIT) + because(ReasonKind.GATE)
        ),
        [],
    ),
    "refused by a hold and a condition": (
        lambda s: refused(s.run("r1"), "A", reasons=because(ReasonKind.HOLD) + CONDITION),
        ["A?"],
    ),
    "refused three times in one run": (
        lambda s: refused(refused(refused(s.run("r1"), "A"), "B"), "C"),
        ["A?", "C"],
    ),
    "refused three times in three runs": (
        lambda s: refused(refused(refused(s, "A", "r1").after(hours=1), "B", "r2").after(hours=1), "C", "r3"),
        ["A?", "B?", "C?"],
    ),
    "one call asked about three times": (
        lambda s: refused(refused(refused(s.run("r1"), "A"), "A"), "A"),
        ["A?"],
    ),
    "a flood": (
        lambda s: refused(
            refused(refused(refused(refused(s.run("r1"), "A"), "B"), "C"), "D").after(minutes=2), "E"
        ),
        ["A?", "C", "E"],
    ),
    "observed: a write that ran": (lambda s: observed(s.run("r1"), "A"), ["A"]),
    "observed: a read that ran": (lambda s: observed(s.run("r1"), "A", effect=EffectKind.READ), ["A?"]),
    "observed: drafted by the stage": (lambda s: observed(s.run("r1"), "A", verdict=DRAFT), ["A?"]),
    "observed: waiting, then run": (
        lambda s: observed(observed(s.run("r1"), "A", verdict=WAIT), "A"),
        ["A"],
    ),
    "a guardrail that is content": (lambda s: s.run("r1").guardrail("pii", blocked=False, score=0.1), []),
    "a guardrail that blocked": (lambda s: s.run("r1").guardrail("pii", blocked=True), ["guardrail pii?"]),
    "a guardrail that saw and blocked nothing": (
        lambda s: s.run("r1").guardrail("pii", violated=True),
        ["guardrail pii"],
    ),
    "a guardrail that saw and blocked": (
        lambda s: s.run("r1").guardrail("pii", violated=True, blocked=True),
        ["guardrail pii?"],
    ),
    "a guardrail that blocked three times": (
        lambda s: (
            s.run("r1")
            .guardrail("pii", blocked=True)
            .guardrail("pii", blocked=True)
            .guardrail("pii", blocked=True)
        ),
        ["guardrail pii?", "guardrail pii"],
    ),
    "a guardrail that says it in words of its own": (
        lambda s: s.run("r1").guardrail("pii", blocked="yes"),
        [],
    ),
    "a read that wrote": (lambda s: exceeding(s.run("r1"), "A"), ["A"]),
    "a read that failed and wrote": (lambda s: exceeding(s.run("r1"), "A", outcome=Outcome.FAILED), ["A"]),
    "a write that did what is declared": (lambda s: exceeding(s.run("r1"), "A", declared=None), []),
    "a read during which something changed": (lambda s: exceeding(s.run("r1"), "A", "scan"), ["A?"]),
    "three reads during which something changed": (
        lambda s: exceeding(exceeding(exceeding(s.run("r1"), "A", "scan"), "B", "scan"), "C", "scan"),
        ["A?", "C"],
    ),
    "in a run whose beginning nobody saw": (lambda s: refused(s, "A"), ["A?"]),
    "after the end of its run": (lambda s: refused(s.run("r1").finished("r1"), "A"), ["A?"]),
    "the same entries told twice": (
        lambda s: refused(refused(s.run("r1"), "A"), "B").told_twice(),
        ["A?"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_tells_what_was_prevented_from_what_went_through(name: str) -> None:
    tell, expected = CASES[name]
    assert signs(findings(DETECTOR, tell(Story()), RULES)) == expected


def test_a_finding_answers_which_rule_threshold_and_value() -> None:
    story = refused(refused(refused(Story().run("r1"), "A"), "B"), "C")
    logged, alarming = findings(DETECTOR, story, RULES)
    assert (alarming.type, alarming.kind) == (IncidentType.TOOL_MISUSE, SignalKind.POLICY_VIOLATION)
    assert (alarming.key, alarming.run, alarming.severity) == ("crm.create_task", "r1", Severity.SEV2)
    assert alarming.facts["rule"] == "tools.crm.create_task.deny_when"
    assert (alarming.facts["threshold"], alarming.facts["value"]) == (3, 3)
    assert alarming.facts["records"] == ["A", "B", "C"]
    assert alarming.summary == "crm.create_task was refused: denied when args.x > 1, 3 times in this run"
    assert (logged.severity, logged.summary) == (
        Severity.SEV3,
        "crm.create_task was refused: denied when args.x > 1",
    )


def test_what_is_only_observed_is_said_to_be_and_holds_nothing() -> None:
    rules = rules_of(manifest(alerts={"policy_violation": {"hold": "tool"}}))
    found = finding_of(DETECTOR, observed(Story().run("r1"), "A"), rules)
    assert (found.hold, found.facts["went_through"]) == (None, True)
    assert (found.facts["verdict"], found.facts["would"]) == ("allow", "deny")
    assert found.summary == (
        "crm.create_task ran although a rule refuses it, because the workflow is only observed: "
        "denied when args.x > 1"
    )


def test_what_exceeds_the_declaration_names_it_and_what_was_changed() -> None:
    sure = finding_of(DETECTOR, exceeding(Story().run("r1"), "A"), RULES)
    assert (sure.type, sure.severity, sure.call) == (IncidentType.POLICY_DRIFT, Severity.SEV2, "A")
    assert sure.summary == "crm.list_accounts is declared as read, and it modified crm/task/7"
    assert sure.title == "crm.list_accounts does more than it declares"
    assert (sure.facts["rule"], sure.facts["objects"]) == ("tools.crm.list_accounts.effect", ["crm/task/7"])
    unsure = finding_of(DETECTOR, exceeding(Story().run("r1"), "A", "scan"), RULES)
    assert (unsure.severity, unsure.facts["certain"]) == (Severity.SEV3, False)
    assert "somebody else may have done it meanwhile" in unsure.summary


def test_a_guardrail_names_its_rule_and_the_tool_it_is_about() -> None:
    story = (
        Story()
        .run("r1", trigger="manual")
        .guardrail("pii", blocked=True, rule="no health data", tool="mail.send")
    )
    found = finding_of(DETECTOR, story, RULES)
    assert (found.facts["rule"], found.facts["tool"]) == ("no health data", "mail.send")
    assert (found.facts["guardrail"], found.facts["trigger"]) == ("pii", "manual")
    assert found.summary == "the guardrail pii blocked something (no health data)"


@pytest.mark.parametrize(
    ("alert", "alarming", "severity", "hold"),
    [
        ({}, False, Severity.SEV3, None),
        ({"severity": "sev3"}, False, Severity.SEV3, None),
        ({"severity": "sev1"}, True, Severity.SEV1, None),
        ({"hold": "tool"}, True, Severity.SEV3, ScopeKind.TOOL),
    ],
)
def test_a_rule_that_asks_for_more_is_given_it_at_the_first_time(
    alert: dict[str, str], alarming: bool, severity: Severity, hold: ScopeKind | None
) -> None:
    rules = rules_of(manifest(alerts={"policy_violation": alert}))
    found = finding_of(DETECTOR, refused(Story().run("r1"), "A"), rules)
    assert (found.alarming, found.severity, found.hold) == (alarming, severity, hold)


def test_a_rule_switched_off_and_an_unknown_workflow_find_nothing() -> None:
    off = rules_of(manifest(alerts={"policy_violation": {"enabled": False}}))
    story = refused(Story().run("r1"), "A")
    assert findings(DETECTOR, story, off) == findings(DETECTOR, story, lambda _workflow: None) == []


def test_the_list_stays_bounded_and_the_count_true_under_a_flood() -> None:
    story = Story().run("r1")
    for number in range(2 * MOST_RECORDS):
        refused(story.after(minutes=2), f"c{number}")
    facts = findings(DETECTOR, story, RULES)[-1].facts
    assert (len(facts["records"]), facts["value"]) == (MOST_RECORDS, 2 * MOST_RECORDS)
