"""Contract of the duplicate detector: a second permit for the same action is found at once, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stopwork.detect.duplicate_action import MOST_SIGHTINGS, DuplicateAction
from stopwork.ledger.records import Effect, Image, ObjectRef
from stopwork.ledger.words import EffectKind, IncidentType, Operation, Outcome, ScopeKind, Verdict
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import START, Story, finding_of, findings, rules_of

RULES = rules_of(
    manifest(alerts={"duplicate_action": {"key": ["args.same"], "window": "7d", "hold": "tool"}})
)
DETECTOR = DuplicateAction()

EFFECT = Effect(
    id="e1",
    call="A",
    run="r1",
    workflow="weekly-renewal-risk",
    tool="crm.create_task",
    object=ObjectRef(system="crm", type="task", id="7"),
    operation=Operation.CREATED,
    before=Image.absent(),
    after=Image.present({"title": "x"}),
    at=START,
    source="scan",
    object_key="crm/task/7",
)

# Each case: its name, then story, calls at which something is found.
CASES: dict[str, tuple[Callable[[Story], Story], list[str]]] = {
    "one call": (lambda s: s.run("r1").call("A", same="acme"), []),
    "two different actions": (lambda s: s.run("r1").call("A", same="acme").call("B", same="bolt"), []),
    "second permit while the first is in flight": (
        lambda s: s.run("r1").call("A", same="acme").call("B", same="acme"),
        ["B"],
    ),
    "second permit after a time-out": (
        lambda s: s.run("r1").call("A", same="acme").timed_out("A").call("B", same="acme"),
        ["B"],
    ),
    "second permit after success": (
        lambda s: s.run("r1").call("A", same="acme").outcome("A").call("B", same="acme"),
        ["B"],
    ),
    "a retry after a clean failure": (
        lambda s: s.run("r1").call("A", same="acme").failed("A").call("B", same="acme"),
        [],
    ),
    "a retry after a failure that wrote all the same": (
        lambda s: (
            s.run("r1").call("A", same="acme").outcome("A", Outcome.FAILED, (EFFECT,)).call("B", same="acme")
        ),
        ["B"],
    ),
    "a time-out that turns out to have failed": (
        lambda s: s.run("r1").call("A", same="acme").timed_out("A").failed("A").call("B", same="acme"),
        [],
    ),
    "a refused second call": (
        lambda s: s.run("r1").call("A", same="acme").call("B", same="acme", verdict=Verdict.DENY),
        [],
    ),
    "a replayed second call": (
        lambda s: s.run("r1").call("A", same="acme").call("B", same="acme", verdict=Verdict.REPLAY),
        [],
    ),
    "across runs within the window": (
        lambda s: s.run("r1").call("A", same="acme").after(days=6).run("r2").call("B", "r2", same="acme"),
        ["B"],
    ),
    "across runs beyond the window": (
        lambda s: s.run("r1").call("A", same="acme").after(days=8).run("r2").call("B", "r2", same="acme"),
        [],
    ),
    "reads are never duplicates": (
        lambda s: (
            s.run("r1")
            .call("A", effect=EffectKind.READ, same="acme")
            .call("B", effect=EffectKind.READ, same="acme")
        ),
        [],
    ),
    "a declared key holds for updates too": (
        lambda s: (
            s.run("r1")
            .call("A", effect=EffectKind.UPDATE, same="acme")
            .call("B", effect=EffectKind.UPDATE, same="acme")
        ),
        ["B"],
    ),
    "without a key, the same update twice is harmless": (
        lambda s: (
            s.run("r1").call("A", effect=EffectKind.UPDATE, x=1).call("B", effect=EffectKind.UPDATE, x=1)
        ),
        [],
    ),
    "without a key, the same creation twice in one run": (
        lambda s: s.run("r1").call("A", x=1).call("B", x=1),
        ["B"],
    ),
    "without a key, a retry of the same occasion": (
        lambda s: s.run("r1").call("A", x=1).run("r2", retry_of="r1").call("B", "r2", x=1),
        ["B"],
    ),
    "without a key, in other words": (
        lambda s: (
            s.run("r1")
            .call("A", account="A-1", title="Call Acme about the renewal")
            .call("B", account="A-1", title="Call ACME about renewal.")
            .after(minutes=2)
            .call("C", account="A-1", title="call Acme about renewal")
        ),
        ["B", "C"],
    ),
    "without a key, in other words by a retry": (
        lambda s: (
            s.run("r1")
            .call("A", title="Call Acme about the renewal")
            .run("r2", retry_of="r1")
            .call("B", "r2", title="Call Acme about renewals")
        ),
        ["B"],
    ),
    "without a key, in other words on another occasion": (
        lambda s: (
            s.run("r1", occasion="mon")
            .call("A", title="Call Acme about the renewal")
            .run("r2", occasion="tue")
            .call("B", "r2", title="Call Acme about renewals")
        ),
        [],
    ),
    "in other words about something else": (
        lambda s: (
            s.run("r1")
            .call("A", account="A-1", title="Call them about the renewal")
            .call("B", account="A-2", title="Call them about renewals")
            .call("C", account="A-1", title="Call Acme")
            .call("D", account="A-1", title="Call Apex")
        ),
        [],
    ),
    "in other words after a clean failure": (
        lambda s: (
            s.run("r1")
            .call("A", title="Call Acme about the renewal")
            .failed("A")
            .call("B", title="Call Acme about renewals")
        ),
        [],
    ),
    "an update in other words": (
        lambda s: (
            s.run("r1")
            .call("A", effect=EffectKind.UPDATE, note="Call Acme about the renewal")
            .call("B", effect=EffectKind.UPDATE, note="Call Acme about renewals")
        ),
        [],
    ),
    "without a key, the same words every day": (
        lambda s: (
            s.run("r1", occasion="mon")
            .call("A", x=1)
            .after(days=1)
            .run("r2", occasion="tue")
            .call("B", "r2", x=1)
        ),
        [],
    ),
    "the same entry told twice": (
        lambda s: s.run("r1").call("A", same="acme").call("A", same="acme"),
        [],
    ),
    "a failure that arrives before its permit": (
        lambda s: _failure_first(s).call("B", same="acme"),
        [],
    ),
    "a late entry from before the first": (
        lambda s: s.run("r1").call("A", same="acme").after(hours=-1).call("B", same="acme"),
        ["B"],
    ),
    "a flood is told once a minute": (
        lambda s: (
            s.run("r1")
            .call("A", same="acme")
            .call("B", same="acme")
            .call("C", same="acme")
            .after(minutes=2)
            .call("D", same="acme")
        ),
        ["B", "D"],
    ),
}

# What each of several equal updates found in an account's balance and what it left; the calls at which something is found.
UPDATES: dict[str, tuple[list[tuple[int, int]], list[str]]] = {
    "it left the world as it was": ([(0, 5), (5, 5)], []),
    "it changed the same again": ([(0, 5), (5, 10)], ["c1"]),
    "a switch, on and off": ([(0, 1), (1, 0)], ["c1"]),
    "somebody has set it back in between": ([(0, 5), (0, 5)], []),
    "somebody has set it otherwise in between, then it came again": ([(0, 5), (2, 7), (7, 12)], ["c2"]),
    "the copy was undone, and it came again": ([(0, 5), (5, 10), (5, 10)], ["c1", "c2"]),
}


@pytest.mark.parametrize("name", UPDATES)
def test_without_a_key_an_equal_update_counts_when_it_changes_the_same_again(name: str) -> None:
    seen, expected = UPDATES[name]
    found = findings(DETECTOR, _updates(seen), RULES)
    assert [finding.call for finding in found] == expected
    for finding in found:
        assert (finding.hold, finding.facts["compared"]) == (None, "arguments and changes")
        assert finding.facts["original"] in ("c0", "c1")


def test_what_an_update_makes_anew_each_time_was_done_twice() -> None:
    made = [
        replace(EFFECT, call=call, object=ObjectRef(system="crm", type="task", id=name))
        for call, name in (("A", "7"), ("B", "8"))
    ]
    story = Story().run("r1")
    for effect in made:
        story.call(effect.call, effect=EffectKind.UPDATE, x=1).outcome(
            effect.call, Outcome.SUCCEEDED, (effect,)
        )
    assert finding_of(DETECTOR, story, RULES).facts["copies"] == ["B"]


def test_other_fields_of_the_object_may_change_in_between() -> None:
    story = Story().run("r1")
    for call, before, after in (
        ("A", {"balance": 0, "note": ""}, {"balance": 5, "note": ""}),
        ("B", {"balance": 5, "note": "vip"}, {"balance": 10, "note": "vip"}),
    ):
        story.call(call, effect=EffectKind.UPDATE, x=1).outcome(
            call, Outcome.SUCCEEDED, (_changed(call, before, after),)
        )
    assert finding_of(DETECTOR, story, RULES).call == "B"


def test_an_equal_update_on_another_occasion_is_its_own() -> None:
    story = Story().run("r1", occasion="mon").call("A", effect=EffectKind.UPDATE, x=1)
    story.outcome("A", Outcome.SUCCEEDED, (_changed("A", {"balance": 0}, {"balance": 5}),))
    story.run("r2", occasion="tue").call("B", "r2", effect=EffectKind.UPDATE, x=1)
    story.outcome("B", Outcome.SUCCEEDED, (_changed("B", {"balance": 5}, {"balance": 10}),))
    assert not findings(DETECTOR, story, RULES)


def _updates(seen: list[tuple[int, int]]) -> Story:
    story = Story().run("r1")
    for number, (before, after) in enumerate(seen):
        call = f"c{number}"
        effects = () if before == after else (_changed(call, {"balance": before}, {"balance": after}),)
        story.after(minutes=2).call(call, effect=EffectKind.UPDATE, x=1)
        story.outcome(call, Outcome.SUCCEEDED, effects)
    return story


def _changed(call: str, before: object, after: object) -> Effect:
    return replace(
        EFFECT,
        call=call,
        operation=Operation.MODIFIED,
        before=Image.present(before),
        after=Image.present(after),
    )


def _failure_first(story: Story) -> Story:
    story.run("r1").call("A", same="acme")
    permit = story.entries.pop()
    story.failed("A")
    story.entries.append(permit)
    return story


@pytest.mark.parametrize("name", CASES)
def test_finds_the_second_permit_and_nothing_else(name: str) -> None:
    tell, expected = CASES[name]
    assert [finding.call for finding in findings(DETECTOR, tell(Story()), RULES)] == expected


def test_a_finding_answers_rule_threshold_value_original_and_copies() -> None:
    story = Story().run("r1").call("A", same="acme").timed_out("A").after(seconds=12).call("B", same="acme")
    found = finding_of(DETECTOR, story, RULES)
    assert found.type is IncidentType.DUPLICATE_WORK
    assert (found.key, found.hold, found.run) == ("crm.create_task", ScopeKind.TOOL, "r1")
    assert found.facts["rule"] == "duplicate_action"
    assert (found.facts["threshold"], found.facts["value"]) == (1, 2)
    assert (found.facts["original"], found.facts["copies"]) == ("A", ["B"])
    assert found.summary == (
        "crm.create_task was permitted 2 times for the same action in one run, 12 seconds from first to last"
    )


def test_a_late_entry_becomes_the_original() -> None:
    story = Story().run("r1").call("A", same="acme").after(hours=-1).call("B", same="acme")
    facts = finding_of(DETECTOR, story, RULES).facts
    assert (facts["original"], facts["copies"]) == ("B", ["A"])


def test_a_rule_switched_off_finds_nothing() -> None:
    off = rules_of(manifest(alerts={"duplicate_action": {"enabled": False}}))
    assert not findings(DETECTOR, Story().run("r1").call("A", x=1).call("B", x=1), off)


def test_a_workflow_nobody_registered_is_left_alone() -> None:
    assert not findings(DETECTOR, Story().run("r1").call("A", x=1).call("B", x=1), lambda _workflow: None)


def test_the_state_stays_bounded_and_the_count_true_under_a_flood() -> None:
    story = Story().run("r1")
    for number in range(300):
        story.after(seconds=1).call(f"c{number}", same="acme")
    last = findings(DETECTOR, story, RULES)[-1]
    assert last.facts["original"] == "c0"
    assert len(last.facts["copies"]) == MOST_SIGHTINGS - 1
    assert last.facts["value"] == int(str(last.call)[1:]) + 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(("ok", "failed", "unknown", ""))), max_size=12)
)
def test_agrees_with_counting_by_hand(calls: list[tuple[str, str]]) -> None:
    """Far enough apart that nothing is quiet: a call is found exactly when a living call with its key came before."""
    story, living, expected = Story().run("r1"), [], []
    for number, (key, end) in enumerate(calls):
        name = f"c{number}"
        story.after(minutes=2).call(name, same=key)
        if key in living:
            expected.append(name)
        if end == "failed":
            story.failed(name)
        else:
            living.append(key)
            _ = end and (story.outcome(name) if end == "ok" else story.timed_out(name))
    assert [finding.call for finding in findings(DETECTOR, story, RULES)] == expected


def test_other_words_hold_nothing_and_are_said_to_be_such() -> None:
    story = Story().run("r1").call("A", title="Call Acme about the renewal")
    reworded = finding_of(DETECTOR, story.call("B", title="Call Acme about renewal"), RULES)
    assert reworded.summary.startswith(
        "crm.create_task was permitted 2 times in one run for what is the same"
    )
    assert (reworded.hold, reworded.facts["compared"], reworded.facts["alike"]) == (
        None,
        "similar arguments",
        0.92,
    )
    story = Story().run("r1").call("A", title="Call Acme about the renewal")
    same = finding_of(DETECTOR, story.call("B", title="call Acme, about the renewal!"), RULES)
    assert (same.hold, same.facts["alike"]) == (ScopeKind.TOOL, 1.0)


def test_the_rule_says_how_alike_other_words_have_to_be() -> None:
    story = Story().run("r1").call("A", title="Call Acme about the renewal")
    story.call("B", title="Call Acme about renewal")
    exact = rules_of(manifest(alerts={"duplicate_action": {"alike": 1.0}}))
    assert findings(DETECTOR, story, exact) == []
