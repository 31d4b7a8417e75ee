"""Contract: the rule about injection is on from the start; what asks less often loosens, and a source is held only by rules about one."""

from __future__ import annotations

import pytest

from stopwork.manifest.diff import diff
from stopwork.manifest.load import load
from stopwork.manifest.parts import AutoHold, InjectionGate

HEAD = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
sources: {inbox: {trust: external}}
tools: {mail.read: {effect: read, source: inbox}, mail.send: {effect: send}}
"""


def with_rule(rule: str = "{}") -> str:
    return f"{HEAD}alerts: {{prompt_injection: {rule}}}\n"


def test_a_new_workflow_needs_no_line() -> None:
    rule = load(HEAD).manifest.alerts.prompt_injection
    assert (rule.enabled, rule.gate, rule.score, rule.hold) == (True, InjectionGate.ASK, 2.5, AutoHold.NONE)


@pytest.mark.parametrize(
    ("before", "after", "loosens"),
    [
        ("{gate: deny}", "{gate: ask}", True),
        ("{gate: ask}", "{gate: 'off'}", True),
        ("{gate: 'off'}", "{gate: deny}", False),
        ("{score: 2.5}", "{score: 4}", True),
        ("{score: 2.5}", "{score: 1.5}", False),
        ("{}", "{enabled: false}", True),
        ("{hold: source}", "{}", True),
    ],
)
def test_what_asks_less_often_loosens(before: str, after: str, *, loosens: bool) -> None:
    (change,) = diff(load(with_rule(before)).manifest, load(with_rule(after)).manifest)
    assert change.loosens is loosens


def test_only_rules_about_what_was_read_hold_a_source() -> None:
    assert load(with_rule("{hold: source}")).manifest.alerts.prompt_injection.hold is AutoHold.SOURCE
    with pytest.raises(Exception, match="no source to pause"):
        load(f"{HEAD}alerts: {{cost: {{hold: source}}}}\n")


@pytest.mark.parametrize("rule", ["{score: 0}", "{score: 21}", "{gate: maybe}"])
def test_what_makes_no_sense_is_refused(rule: str) -> None:
    with pytest.raises(Exception, match="prompt_injection"):
        load(with_rule(rule))
