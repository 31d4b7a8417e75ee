"""Contract of the loop detector: a run that repeats itself and learns nothing is told once, with the round it makes; work, waiting and a slow
poll are not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stopwork.detect.loop import MOST_ACTIONS, Loop
from stopwork.detect.registry import Watch, restore
from stopwork.ledger.words import EffectKind, IncidentType, Severity, Verdict
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import Story, finding_of, findings, rules_of

DETECTOR = Loop()
RULES = rules_of(manifest())


def asked(story: Story, tool: str, answer: object, run: str = "r1", **args: Any) -> Story:
    """Tell of one call and its answer, two seconds after what was before."""
    call = f"c{len(story.entries)}"
    story.after(seconds=2).call(call, run, tool=tool, effect=EffectKind.READ, **args)
    return story.outcome(call, result=answer)


def again_and_again(story: Story, times: int, *, answer: object = "none", pause_s: float = 0) -> Story:
    for _ in range(times):
        asked(story.after(seconds=pause_s), "crm.search", answer, text="acme")
    return story


def in_turn(story: Story, rounds: int, *tools: str) -> Story:
    for _ in range(rounds):
        for tool in tools:
            asked(story, tool, "same", id=1)
    return story


def refused(story: Story, times: int) -> Story:
    for number in range(times):
        story.after(seconds=1).call(f"d{number}", tool="mail.send", verdict=Verdict.DENY, to="csm@acme.test")
    return story


def counting(story: Story, times: int) -> Story:
    for number in range(times):
        asked(story, "export.status", {"done": number}, job=7)
    return story


def accounts(story: Story, number: int) -> Story:
    """Look the same policy up for each account: the agent forgets, and gets on."""
    for account in range(number):
        asked(story, "policy.read", "always the same", name="renewals")
        asked(story, "crm.read_account", {"id": account}, id=account)
    return story


LOOPS: dict[str, Callable[[Story], Story]] = {
    "the same call": lambda s: again_and_again(s, 20),
    "two in turn": lambda s: in_turn(s, 11, "crm.read", "crm.search"),
    "three in turn": lambda s: in_turn(s, 8, "crm.read", "crm.search", "mail.list"),
    "a call that is refused": lambda s: refused(s, 20),
    "after much work": lambda s: again_and_again(accounts(s, 50), 25),
    "a wait without end": lambda s: counting(s, 50),
    "a write that changes nothing": lambda s: in_turn(s, 20, "crm.update_account"),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_run_that_goes_round_in_circles_is_told_once(name: str) -> None:
    story = LOOPS[name](Story().run("r1"))
    # A wait is given ten times as many calls, and in five minutes it makes no more than 150.
    rules = rules_of(manifest(alerts={"loop": {"repeats": 5}})) if name == "a wait without end" else RULES
    finding = finding_of(DETECTOR, story, rules)
    assert (finding.type, finding.severity, finding.run) == (
        IncidentType.COST_RUNAWAY,
        Severity.SEV2,
        "r1",
    )


QUIET: dict[str, Callable[[Story], Story]] = {
    "fewer times": lambda s: again_and_again(s, 19),
    "a poll that is answered something new": lambda s: counting(s, 140),
    "a slow poll": lambda s: again_and_again(s, 300, pause_s=20),
    "something new between two equal calls": lambda s: accounts(s, 100),
    "more different things than are remembered": lambda s: accounts(s, 2 * MOST_ACTIONS),
    "a few rounds of many calls": lambda s: in_turn(s, 3, *(f"crm.read_{n}" for n in range(10))),
    "the same call in many runs": lambda s: [
        asked(s.run(f"r{n}"), "crm.search", "none", run=f"r{n}", text="acme") for n in range(40)
    ][-1],
    "refused for a while": lambda s: refused(s, 19),
}


@pytest.mark.parametrize("name", QUIET)
def test_work_and_waiting_are_no_loop(name: str) -> None:
    assert findings(DETECTOR, QUIET[name](Story().run("r1")), RULES) == []


def test_the_words_name_the_round_that_is_made() -> None:
    finding = finding_of(DETECTOR, in_turn(Story(), 12, "crm.read", "crm.search"), RULES)
    assert finding.summary == (
        "the run goes round in circles: crm.read → crm.search → crm.read, 10 times in 36 seconds, "
        "and was answered the same each time"
    )
    assert finding.facts["cycle"] == ["crm.read", "crm.search"]
    assert (finding.facts["threshold"], finding.facts["value"]) == (20, 20)
    assert finding.facts["calls"][-1] == finding.call


def test_the_words_say_that_it_was_refused() -> None:
    finding = finding_of(DETECTOR, refused(Story(), 30), RULES)
    assert finding.summary == (
        "mail.send was called 20 times with the same arguments in 19 seconds, and was refused each time"
    )


def test_the_rule_says_how_often_and_how_fast() -> None:
    often = rules_of(manifest(alerts={"loop": {"repeats": 100}}))
    slow = rules_of(manifest(alerts={"loop": {"within": "1h"}}))
    off = rules_of(manifest(alerts={"loop": {"enabled": False}}))
    assert findings(DETECTOR, again_and_again(Story(), 99), often) == []
    assert len(findings(DETECTOR, again_and_again(Story(), 30, pause_s=60), slow)) == 1
    assert findings(DETECTOR, again_and_again(Story(), 99), off) == []


@pytest.mark.parametrize("restart_after", [1, 20, 38, 39])
def test_a_restart_and_entries_told_twice_change_nothing(restart_after: int) -> None:
    entries = again_and_again(Story(), 20).entries
    watch, before, _ = Watch(detectors=[DETECTOR]).follow(entries[:restart_after], RULES)
    again = [*entries[restart_after - 1 :], *entries[-6:]]
    found = restore(watch.dump(), [DETECTOR]).follow(again, RULES)[1]
    assert len([*before, *found]) == 1


def test_a_run_that_has_ended_is_forgotten() -> None:
    story = again_and_again(Story(), 15).finished("r1")
    watch = Watch(detectors=[DETECTOR]).follow(story.entries, RULES)[0]
    assert b"crm.search" not in watch.dump()
