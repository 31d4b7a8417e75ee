"""Contract of the cost detector: each limit is told once, when it is neared, reached, or out of proportion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stopwork.detect.cost import Cost
from stopwork.detect.registry import Watch, restore
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger.words import EffectKind, ScopeKind, Severity, Verdict
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import Story, findings, rules_of

DETECTOR = Cost()
RULES = rules_of(manifest(budget={"run_usd": 2.5, "day_usd": 6, "run_calls": 3}))
UNLIMITED = rules_of(manifest())


def five_runs_of(story: Story, *, cost_usd: float) -> Story:
    for number in range(5):
        story.after(days=1).run(f"old{number}").step(f"old{number}", tokens=100, cost_usd=cost_usd)
        story.finished(f"old{number}")
    return story.after(days=1)


# Each case: its name, then rules, story, what is told.
CASES: dict[str, tuple[Rulebook, Callable[[Story], Story], list[str]]] = {
    "little": (RULES, lambda s: s.step(cost_usd=0.5), []),
    "near": (RULES, lambda s: s.step(cost_usd=2.0), ["run_usd_near"]),
    "reached": (RULES, lambda s: s.step(cost_usd=2.5), ["run_usd_reached"]),
    "near, then reached": (
        RULES,
        lambda s: s.step(cost_usd=2.0).step(cost_usd=0.1).step(cost_usd=0.5).step(cost_usd=0.5),
        ["run_usd_near", "run_usd_reached"],
    ),
    "a day of runs": (
        RULES,
        lambda s: s.step("r1", cost_usd=1.9).step("r2", cost_usd=1.9).step("r3", cost_usd=1.9),
        ["day_usd_near"],
    ),
    "two days": (
        RULES,
        lambda s: s.step("r1", cost_usd=1.9).step("r2", cost_usd=1.9).after(days=1).step("r3", cost_usd=1.9),
        [],
    ),
    "calls": (RULES, lambda s: s.call("A").call("B").call("C"), ["run_calls_reached"]),
    "refused calls cost nothing": (
        RULES,
        lambda s: s.call("A").call("B").call("C", verdict=Verdict.DENY).call("D", verdict=Verdict.DENY),
        [],
    ),
    "without history": (UNLIMITED, lambda s: s.step(cost_usd=50), []),
    "usual": (UNLIMITED, lambda s: five_runs_of(s, cost_usd=0.2).step(cost_usd=0.4), []),
    "unusual": (UNLIMITED, lambda s: five_runs_of(s, cost_usd=0.2).step(cost_usd=0.7), ["run_usd_unusual"]),
    "unusual but not worth a word": (
        UNLIMITED,
        lambda s: five_runs_of(s, cost_usd=0.001).step(cost_usd=0.05),
        [],
    ),
    "unusual in tokens": (
        UNLIMITED,
        lambda s: five_runs_of(s, cost_usd=0.2).step(tokens=20_000),
        ["run_tokens_unusual"],
    ),
    "one wild run does not make the next look usual": (
        UNLIMITED,
        lambda s: (
            five_runs_of(s, cost_usd=0.2)
            .step("wild", cost_usd=9)
            .finished("wild")
            .after(days=1)
            .step(cost_usd=9)
        ),
        ["run_usd_unusual", "run_usd_unusual"],
    ),
}


def weeks_of(story: Story, spend_usd: Sequence[float], times: int) -> Story:
    """Tell so many weeks, each of one run a day."""
    for week in range(times):
        for day, cost_usd in enumerate(spend_usd):
            story.after(days=1).run(f"w{week}d{day}").step(f"w{week}d{day}", cost_usd=cost_usd)
            story.finished(f"w{week}d{day}")
    return story


def test_heavy_mondays_are_a_habit_once_they_have_come_three_times() -> None:
    week = [0.2, 0.2, 0.2, 0.2, 0.2, 0.05, 2.0]
    told = findings(DETECTOR, weeks_of(Story(), week, times=8), UNLIMITED)
    assert [finding.run for finding in told] == ["w0d6", "w1d6", "w2d6"]
    told = findings(DETECTOR, weeks_of(Story(), week, times=4).step(cost_usd=4.5), UNLIMITED)
    assert [finding.run for finding in told][3:] == ["r1"]


def test_work_that_varies_is_not_out_of_proportion() -> None:
    """Four times the median is nothing, where runs commonly lie that far apart."""
    varied = [0.1, 0.9, 0.2, 0.7, 0.15, 0.3, 0.5]
    story = weeks_of(Story(), varied, times=2)
    assert findings(DETECTOR, story.step(cost_usd=1.2), UNLIMITED) == []
    assert len(findings(DETECTOR, story.step(cost_usd=8.0), UNLIMITED)) == 1


def test_a_limit_that_was_told_stays_told_through_a_restart() -> None:
    entries = Story().step(cost_usd=2.6).step(cost_usd=0.1).step(cost_usd=0.1).entries
    watch, told, _ = Watch(detectors=[DETECTOR]).follow(entries[:1], RULES)
    again = restore(watch.dump(), [DETECTOR]).follow(entries[1:], RULES)[1]
    assert (len(told), again) == (1, ())


@pytest.mark.parametrize("name", CASES)
def test_tells_each_limit_once(name: str) -> None:
    rules, tell, expected = CASES[name]
    assert [finding.facts["rule"] for finding in findings(DETECTOR, tell(Story()), rules)] == expected


def test_the_words_hold_amount_and_limit() -> None:
    near, reached = findings(DETECTOR, Story().step(cost_usd=2.0).step(cost_usd=0.6), RULES)
    assert near.summary == "USD 2.00 spent this run, which is 80% of the budget of USD 2.50"
    assert reached.summary == "USD 2.60 spent this run, which uses up the budget of USD 2.50"


def test_a_warning_asks_for_no_hold_and_a_breach_does() -> None:
    near, reached = findings(DETECTOR, Story().step(cost_usd=2.0).step(cost_usd=0.6), RULES)
    assert (near.hold, near.severity) == (None, Severity.SEV3)
    assert (reached.hold, reached.severity) == (ScopeKind.WORKFLOW, Severity.SEV2)


def test_what_has_no_price_is_said() -> None:
    story = Story().step(tokens=10).step(tokens=10).step(cost_usd=2.5)
    assert findings(DETECTOR, story, RULES)[0].facts["steps_without_price"] == 2


def test_writes_are_counted_apart_from_reads() -> None:
    rules = rules_of(manifest(budget={"run_writes": 2}))
    story = Story().call("A", effect=EffectKind.READ).call("B").call("C", effect=EffectKind.READ).call("D")
    assert [finding.facts["value"] for finding in findings(DETECTOR, story, rules)] == [2]
