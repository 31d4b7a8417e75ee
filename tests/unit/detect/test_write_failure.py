"""Contract of the write detector: a write that did not take hold is told at once, one of unknown outcome when nobody
has settled it; one that failed is a hiccup when it is made good, a note when it is not, and alarming in numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from stopwork.detect.detector import Finding
from stopwork.detect.rulebook import Rulebook
from stopwork.detect.write_failure import WriteFailure
from stopwork.ledger.words import EffectKind, IncidentType, Outcome, RunStatus, ScopeKind, Severity, Verdict
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story, findings, rules_of, signs

VERIFIED = {**TOOLS["crm.create_task"], "verify": "result.status == 'open' && object.id != ''"}
RULES = rules_of(manifest(tools={**TOOLS, "crm.create_task": VERIFIED}))
DETECTOR = WriteFailure()
FAILED, UNKNOWN = Outcome.FAILED, Outcome.UNKNOWN
OPEN = {"id": "7", "status": "open"}
AT_ONCE, IN_A_MINUTE, IN_AN_HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)


def found_in(story: Story, rules: Rulebook = RULES, *, looking_after: timedelta = AT_ONCE) -> list[Finding]:
    """Answer what is found in the story, and in a look so long after its end."""
    state = DETECTOR.start()
    found: list[Finding] = []
    for entry in story.entries:
        state, new = DETECTOR.step(state, entry, rules)
        found += new
    state, late = DETECTOR.tick(state, story.now + looking_after, rules)
    assert DETECTOR.tick(state, story.now + looking_after, rules) == (state, ())
    return [*found, *late]


def many_failed(story: Story, number: int) -> Story:
    story.run("r1")
    for each in range(number):
        story.call(f"c{each}", x=each).failed(f"c{each}")
    return story


# Each case: its name, then story, after which time somebody looks, what is found; a "?" marks what is only logged.
CASES: dict[str, tuple[Callable[[Story], Story], timedelta, list[str]]] = {
    "a good write": (lambda s: s.run("r1").call("A").outcome("A", result=OPEN).finished(), IN_AN_HOUR, []),
    "returned, and not what it should be": (
        lambda s: s.run("r1").call("A").outcome("A", result={"id": "7", "status": "closed"}),
        AT_ONCE,
        ["A"],
    ),
    "returned, and nobody can tell": (
        lambda s: s.run("r1").call("A").outcome("A", result={}),
        AT_ONCE,
        ["A"],
    ),
    "returned, and nothing is declared": (
        lambda s: s.run("r1").call("A", tool="crm.update_account").outcome("A"),
        AT_ONCE,
        [],
    ),
    "returned from a tool that is not declared any more": (
        lambda s: s.run("r1").call("A", tool="crm.merge").outcome("A"),
        AT_ONCE,
        [],
    ),
    "timed out a moment ago": (lambda s: s.run("r1").call("A").timed_out("A"), AT_ONCE, []),
    "timed out, and nobody settles it": (lambda s: s.run("r1").call("A").timed_out("A"), IN_A_MINUTE, ["A"]),
    "timed out, and the run ends": (
        lambda s: s.run("r1").call("A").timed_out("A").finished(),
        AT_ONCE,
        ["A"],
    ),
    "timed out, and settled by its guard": (
        lambda s: s.run("r1").call("A").timed_out("A").outcome("A", result=OPEN).finished(),
        IN_AN_HOUR,
        [],
    ),
    "timed out, and found by its guard not to have taken hold": (
        lambda s: s.run("r1").call("A").timed_out("A").outcome("A", result={"id": "7", "status": "closed"}),
        AT_ONCE,
        ["A"],
    ),
    "timed out, and settled by a person": (
        lambda s: s.run("r1").call("A").timed_out("A").outcome("A", reconciled=True).finished(),
        IN_AN_HOUR,
        [],
    ),
    "given up after its run": (
        lambda s: s.run("r1").call("A").finished(status=RunStatus.ABANDONED).timed_out("A"),
        IN_A_MINUTE,
        ["A"],
    ),
    "still in flight": (lambda s: s.run("r1").call("A").finished(), IN_AN_HOUR, []),
    "failed, and made good": (
        lambda s: s.run("r1").call("A", x=1).failed("A").call("B", x=1).outcome("B", result=OPEN).finished(),
        IN_AN_HOUR,
        [],
    ),
    "failed, and the run goes on": (lambda s: s.run("r1").call("A").failed("A"), IN_A_MINUTE, []),
    "failed, and the run goes on for long": (lambda s: s.run("r1").call("A").failed("A"), IN_AN_HOUR, ["A?"]),
    "failed, and left undone": (lambda s: s.run("r1").call("A").failed("A").finished(), AT_ONCE, ["A?"]),
    "failed, where another write succeeded": (
        lambda s: s.run("r1").call("A", x=1).failed("A").call("B", x=2).outcome("B", result=OPEN).finished(),
        AT_ONCE,
        ["A?"],
    ),
    "failed, and made good by another run": (
        lambda s: (
            s.run("r1").call("A", x=1).failed("A").run("r2").call("B", "r2", x=1).outcome("B", result=OPEN)
        ).finished("r1"),
        AT_ONCE,
        ["A?"],
    ),
    "one write tried three times": (
        lambda s: s.run("r1").call("A").failed("A").call("B").failed("B").call("C").failed("C").finished(),
        AT_ONCE,
        ["C?"],
    ),
    "three writes of one tool": (lambda s: many_failed(s, 3).finished(), AT_ONCE, ["c2"]),
    "three writes of three tools": (
        lambda s: (
            s.run("r1")
            .call("A", tool="crm.create_task")
            .failed("A")
            .call("B", tool="crm.update_account")
            .failed("B")
            .call("C", tool="mail.send")
            .failed("C")
            .finished()
        ),
        AT_ONCE,
        ["A?", "B?", "C?"],
    ),
    "one failed and one timed out": (
        lambda s: s.run("r1").call("A", x=1).failed("A").call("B", x=2).timed_out("B").finished(),
        AT_ONCE,
        ["A?", "B"],
    ),
    "a read that failed": (
        lambda s: s.run("r1").call("A", effect=EffectKind.READ).failed("A").finished(),
        IN_AN_HOUR,
        [],
    ),
    "a refused write": (lambda s: s.run("r1").call("A", verdict=Verdict.DENY).finished(), IN_AN_HOUR, []),
    "an end whose permit nobody saw": (lambda s: _without_permit(s.run("r1").call("A")), IN_AN_HOUR, []),
    "a flood is told once a minute": (
        lambda s: (
            s.run("r1")
            .call("A")
            .outcome("A", result={})
            .after(seconds=30)
            .call("B")
            .outcome("B", result={})
            .after(seconds=30)
            .call("C")
            .outcome("C", result={})
        ),
        AT_ONCE,
        ["A", "C"],
    ),
    "the same entries told twice": (
        lambda s: s.run("r1").call("A").failed("A").call("B", x=1).timed_out("B").finished().told_twice(),
        IN_AN_HOUR,
        ["A?", "B"],
    ),
}


def _without_permit(story: Story) -> Story:
    permit = story.entries.pop()
    story.timed_out("A")
    story.entries.append(permit)
    return story.finished()


@pytest.mark.parametrize("name", CASES)
def test_tells_a_write_that_went_wrong_from_a_hiccup(name: str) -> None:
    tell, after, expected = CASES[name]
    assert signs(found_in(tell(Story()), looking_after=after)) == expected


def summary_of(story: Story) -> str:
    (found,) = found_in(story)
    return found.summary


def test_each_way_of_failing_has_its_words() -> None:
    begun = Story().run("r1").call("A")
    assert summary_of(begun.outcome("A", FAILED, error="HTTP 503").finished()) == (
        "1 write by crm.create_task failed and stayed undone: HTTP 503"
    )
    begun = Story().run("r1").call("A")
    assert summary_of(begun.outcome("A", UNKNOWN, error="no answer in 1 s").finished()) == (
        "1 write by crm.create_task may or may not have happened: no answer in 1 s"
    )
    begun = Story().run("r1").call("A")
    assert summary_of(begun.outcome("A", result=OPEN | {"status": "closed"})) == (
        "crm.create_task returned, but the write did not take hold: "
        "result.status == 'open' && object.id != '' is not true"
    )
    begun = Story().run("r1").call("A")
    assert "cannot be evaluated" in summary_of(begun.outcome("A", result={"id": "7"}))


def test_a_finding_answers_rule_threshold_value_and_calls() -> None:
    (found,) = found_in(many_failed(Story(), 4).finished())
    assert (found.type, found.key, found.run) == (IncidentType.BAD_WRITEBACK, "crm.create_task", "r1")
    assert (found.facts["rule"], found.facts["how"]) == ("write_failure", "failed")
    assert (found.facts["threshold"], found.facts["value"]) == (3, 4)
    assert found.facts["calls"] == ["c0", "c1", "c2", "c3"]
    assert (found.facts["permission"], found.facts["trigger"]) == ("crm.tasks.write", "schedule")


LOST = Story().run("r1").call("A").timed_out("A").finished()
HICCUP = Story().run("r1").call("A").failed("A").finished()


@pytest.mark.parametrize(
    ("story", "alert", "alarming", "severity", "hold"),
    [
        (LOST, {}, True, Severity.SEV2, None),
        (LOST, {"severity": "sev1", "hold": "permission"}, True, Severity.SEV1, ScopeKind.PERMISSION),
        (LOST, {"severity": "sev3"}, True, Severity.SEV2, None),
        (HICCUP, {}, False, Severity.SEV3, None),
        (HICCUP, {"severity": "sev2"}, True, Severity.SEV2, None),
        (HICCUP, {"hold": "tool"}, True, Severity.SEV3, ScopeKind.TOOL),
    ],
)
def test_the_rule_may_ask_for_more_and_never_for_less(
    story: Story, alert: dict[str, Any], alarming: bool, severity: Severity, hold: ScopeKind | None
) -> None:
    (found,) = found_in(story, rules_of(manifest(alerts={"write_failure": alert})))
    assert (found.alarming, found.severity, found.hold) == (alarming, severity, hold)


def test_a_rule_switched_off_and_an_unknown_workflow_find_nothing() -> None:
    off = rules_of(manifest(alerts={"write_failure": {"enabled": False}}))
    assert found_in(LOST, off) == found_in(LOST, lambda _workflow: None) == []


def test_what_came_to_an_end_is_forgotten() -> None:
    state = DETECTOR.start()
    story = many_failed(Story(), 5).call("A").timed_out("A").call("B").outcome("B", result=OPEN).finished()
    for entry in story.entries:
        state, _ = DETECTOR.step(state, entry, RULES)
    assert state.writes == {}
    assert len(findings(DETECTOR, story, RULES)) == 2
