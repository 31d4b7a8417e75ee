"""Contract of the drift detector: what runs and is not what was declared is alarming, a change without a record is logged, or alarming where changes are signed; runs
that do something else after a change are told, once there are enough of them, and runs that differ as runs do are not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from stopwork.detect.behaviour import BY_CHANCE, rank_sum
from stopwork.detect.detector import Finding
from stopwork.detect.drift import Drift
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger import events as e
from stopwork.ledger import words as w
from stopwork.ledger.words import EffectKind, IncidentType, ScopeKind, Severity
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story, findings, rules_of

DETECTOR = Drift()
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
PLAIN = rules_of(manifest(tools=TOOLS))
DECLARED = rules_of(manifest(tools=TOOLS, runtime={"model": "gpt-5-mini", "prompt": A}))
SIGNED = rules_of(manifest(tools=TOOLS, change_control={"approver": "business"}))


class Tale(Story):
    """Runs that say what they are, and do a few calls."""

    runs = 0

    def begin(self, *, version: int = 1, **runtime: Any) -> str:
        self.runs += 1
        run = f"run-{self.runs}"
        self.write(
            e.RunStarted(
                run=run,
                workflow=self.workflow,
                version=version,
                trigger="schedule",
                trigger_id=run,
                attempt=1,
                mode=w.Mode.ENFORCE,
                runtime=runtime,
            )
        )
        return run

    def ran(
        self,
        *,
        reads: int = 3,
        writes: int = 2,
        amount: float = 10,
        words: str = "standard",
        version: int = 1,
        **runtime: Any,
    ) -> Tale:
        """``words`` are the kinds that its writes name, one after the other."""
        run = self.begin(version=version, **runtime)
        for number in range(reads):
            self.call(f"{run}-r{number}", run, tool="crm.list_accounts", effect=EffectKind.READ)
        for number in range(writes):
            self.call(
                f"{run}-w{number}",
                run,
                tool="crm.update_account",
                effect=EffectKind.UPDATE,
                amount=amount + number,
                kind=words.split()[number % len(words.split())],
            )
        self.finished(run)
        self.after(hours=1)
        return self

    def often(self, number: int, **how: Any) -> Tale:
        for count in range(number):
            self.ran(**{"reads": 3 + count % 3} | how)
        return self

    def thinks(self, model: str) -> Tale:
        self.write(
            e.StepRecorded(
                step=f"s{len(self.entries)}",
                run="run-1",
                workflow=self.workflow,
                kind=w.StepKind.MODEL_CALL,
                name="think",
                facts={"model": model},
            )
        )
        return self


def found_in(story: Story, rules: Rulebook = PLAIN, *, restored: bool = False) -> list[Finding]:
    return findings(DETECTOR, story, rules, restored=restored)


def how(found: list[Finding]) -> list[str]:
    return [f"{each.facts['how']}{'' if each.alarming else '?'}" for each in found]


# Each case: its name, the rules, the story, what is found; a "?" marks what is only logged.
CASES: dict[str, tuple[Rulebook, Callable[[Tale], Story], list[str]]] = {
    "as declared": (DECLARED, lambda s: s.ran(model="gpt-5-mini", prompt=A), []),
    "with the date of the model": (DECLARED, lambda s: s.ran(model="openai/gpt-5-mini-2026-01-01"), []),
    "nothing is reported": (DECLARED, lambda s: s.ran(), []),
    "another model": (DECLARED, lambda s: s.ran(model="gpt-5"), ["not_as_declared"]),
    "its smaller sister": (DECLARED, lambda s: s.ran(model="gpt-5-mini-nano"), ["not_as_declared"]),
    "another prompt": (DECLARED, lambda s: s.ran(prompt=B), ["not_as_declared"]),
    "another model in a step": (DECLARED, lambda s: s.thinks("claude"), ["not_as_declared"]),
    "the model in a step": (DECLARED, lambda s: s.thinks("gpt-5-mini"), []),
    "another prompt, nothing declared": (
        PLAIN,
        lambda s: s.ran(prompt=A).ran(prompt=B),
        ["no_change_record?"],
    ),
    "it is told once": (PLAIN, lambda s: s.ran(prompt=A).often(3, prompt=B), ["no_change_record?"]),
    "two versions side by side": (
        PLAIN,
        lambda s: s.ran(prompt=A).ran(prompt=B).ran(prompt=A).ran(prompt=B),
        ["no_change_record?"],
    ),
    "changes have to be signed": (SIGNED, lambda s: s.ran(prompt=A).ran(prompt=B), ["no_change_record"]),
    "with a new version": (SIGNED, lambda s: s.ran(prompt=A).ran(prompt=B, version=2), []),
    "reported for the first time": (PLAIN, lambda s: s.ran().ran(prompt=A), []),
    "a tool says something else": (
        PLAIN,
        lambda s: s.ran(tools={"crm.x": A}).ran(tools={"crm.x": B}),
        ["no_change_record?"],
    ),
    "one more tool is guarded": (PLAIN, lambda s: s.ran(tools={"x": A}).ran(tools={"x": A, "y": B}), []),
    "another connector": (
        PLAIN,
        lambda s: s.ran(connectors={"crm": "1.0"}).ran(connectors={"crm": "1.1"}),
        ["no_change_record?"],
    ),
    "the same behaviour": (PLAIN, lambda s: s.often(20, prompt=A).often(20, prompt=B), ["no_change_record?"]),
    "more writes since": (
        PLAIN,
        lambda s: s.often(20, prompt=A).often(8, prompt=B, writes=9),
        ["no_change_record?", "behaves_otherwise"],
    ),
    "other amounts since": (
        PLAIN,
        lambda s: s.often(20, prompt=A).often(8, prompt=B, amount=500),
        ["no_change_record?", "behaves_otherwise"],
    ),
    "other words since": (
        PLAIN,
        lambda s: s.often(20, prompt=A).often(8, prompt=B, words="express"),
        ["no_change_record?", "behaves_otherwise"],
    ),
    "the same words in another order": (
        PLAIN,
        lambda s: s.often(20, prompt=A, words="express standard").often(
            8, prompt=B, words="standard express"
        ),
        ["no_change_record?"],
    ),
    "too few runs to tell": (
        PLAIN,
        lambda s: s.often(4, prompt=A).often(20, prompt=B, writes=9),
        ["no_change_record?"],
    ),
    "more writes, as the new version says": (
        PLAIN,
        lambda s: s.often(20, prompt=A).often(8, prompt=A, version=2, writes=9),
        ["behaves_otherwise?"],
    ),
    "more writes, and nothing changed": (
        PLAIN,
        lambda s: s.often(20, prompt=A).often(8, prompt=A, writes=9),
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(name: str) -> None:
    rules, story, expected = CASES[name]
    told = Tale()
    story(told)
    assert how(found_in(told, rules)) == expected
    assert how(found_in(told, rules, restored=True)) == expected


def test_the_finding_says_what_is_different_since_when_and_by_how_much() -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts={"drift": {"hold": "trigger"}}))
    *_, found = found_in(Tale().often(20, prompt=A).often(5, prompt=B, amount=500), rules)
    assert (found.type, found.severity, found.hold) == (
        IncidentType.POLICY_DRIFT,
        Severity.SEV2,
        ScopeKind.TRIGGER,
    )
    assert found.facts["unit"] == "mean of crm.update_account.amount"
    assert (found.facts["threshold"], found.facts["value"]) == (10.5, 500.5)
    assert (found.facts["runs_before"], found.facts["runs_after"]) == (20, 5)
    assert found.facts["change"] == "another prompt"


HOLDS = {"drift": {"hold": "trigger"}}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"change_control": {"approver": "business"}}, (ScopeKind.TRIGGER, Severity.SEV2)),
        ({}, (None, Severity.SEV3)),
    ],
    ids=["changes have to be signed", "they do not"],
)
def test_a_change_without_a_record_is_grave_where_changes_have_to_be_signed(
    more: dict[str, Any], expected: tuple[ScopeKind | None, Severity]
) -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts=HOLDS, **more))
    [found] = found_in(Tale().ran(prompt=A).ran(prompt=B), rules)
    assert (found.hold, found.severity) == expected
    assert found.alarming  # whoever writes the rule wants to be told of a slight one as well
    assert "more" not in found.summary
    [found] = found_in(Tale().ran(prompt=A, model="a").ran(prompt=B, model="b"), rules)
    assert found.summary.endswith(", and 1 more")


def test_what_the_new_version_says_is_recorded_and_holds_nothing() -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts=HOLDS))
    [found] = found_in(Tale().often(20, prompt=A).often(8, prompt=A, version=2, writes=9), rules)
    assert (found.hold, found.severity, found.alarming) == (None, Severity.SEV3, True)


def test_the_same_run_told_twice_counts_once() -> None:
    told = Tale().often(20, prompt=A).often(4, prompt=B, writes=9)
    told.entries += told.entries[-12:]
    assert how(found_in(told)) == ["no_change_record?"]


def test_runs_that_vary_as_runs_do_are_quiet_after_most_changes() -> None:
    """A hundred changes that change nothing: less than one in twenty is taken for other behaviour."""
    wrong = 0
    for seed in range(100):
        chance, told = random.Random(seed), Tale()
        for prompt in (A, B):
            for _ in range(20):
                told.ran(
                    reads=chance.randint(1, 9),
                    writes=chance.randint(0, 5),
                    amount=chance.lognormvariate(3, 1),
                    prompt=prompt,
                )
        wrong += "behaves_otherwise" in how(found_in(told))
    assert wrong <= 4


def test_a_rule_that_is_off_finds_nothing() -> None:
    rules = rules_of(
        manifest(tools=TOOLS, runtime={"model": "gpt-5-mini"}, alerts={"drift": {"enabled": False}})
    )
    assert not found_in(Tale().ran(model="gpt-5").thinks("gpt-5"), rules)


@pytest.mark.parametrize(
    ("one", "other", "chance", "larger"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0, 0.5),
        ([1, 1, 1], [1, 1, 1], 1.0, 0.5),
        ([1, 2, 3, 4, 5], [6, 7, 8, 9, 10], 2 / 252, 1.0),
        ([6, 7, 8, 9, 10], [1, 2, 3, 4, 5], 2 / 252, 0.0),
    ],
)
def test_the_rank_sum_test_gives_the_known_answers(
    one: list[float], other: list[float], chance: float, larger: float
) -> None:
    found, share = rank_sum(one, other)
    assert found == pytest.approx(chance, abs=0.05)
    assert share == larger


def test_by_chance_alone_few_groups_are_told_apart() -> None:
    dice = random.Random(7)
    small = 0
    for _ in range(2000):
        chance, _ = rank_sum([dice.random() for _ in range(20)], [dice.random() for _ in range(10)])
        small += chance < BY_CHANCE
    assert small <= 2000 * BY_CHANCE * 2
