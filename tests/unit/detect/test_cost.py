"""Contract of the cost detector: each limit of each unit is told once, when it is neared, reached, or out of proportion."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from stopwork.detect.cost import Cost
from stopwork.detect.registry import Watch, restore
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger.words import EffectKind, RunStatus, ScopeKind, Severity, Verdict
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story, findings, rules_of

DETECTOR = Cost()
RULES = rules_of(manifest(budget={"run_usd": 2.5, "day_usd": 6, "run_calls": 3}))
UNLIMITED = rules_of(manifest())
PAID_BY_USE = {
    **TOOLS,
    "web.open": {"effect": "read", "unit": "browser"},
    "leads.enrich": {"effect": "read", "unit": "enrichment"},
    "maps.find": {"effect": "read", "unit": "api"},
}
BY_USE = rules_of(
    manifest(
        tools=PAID_BY_USE,
        alerts={
            "cost": {
                "run": {"browser": 4, "retrieval": 5, "runtime": "30m"},
                "day": {"enrichment": 3, "runtime": "1h"},
            }
        },
    )
)
NOT_LIMITED_BY_USE = rules_of(manifest(tools=PAID_BY_USE))


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


# --- what is paid by use ----------------------------------------------------------------------------


def used(story: Story, tool: str, times: int, run: str = "r1") -> Story:
    for number in range(times):
        story.call(f"{run}-{tool}-{number}", run, tool, EffectKind.READ, n=number)
    return story


def runs_that_use(story: Story, tool: str, times: int, *, runs: int = 5) -> Story:
    for number in range(runs):
        story.after(days=1).run(f"old{number}")
        used(story, tool, times, f"old{number}").after(minutes=10).finished(f"old{number}")
    return story.after(days=1)


def took(story: Story, minutes: float, run: str = "r1", status: RunStatus = RunStatus.SUCCEEDED) -> Story:
    return story.run(run).after(minutes=minutes).finished(run, status)


BY_USE_CASES: dict[str, tuple[Rulebook, Callable[[Story], Story], list[str]]] = {
    "few browser runs": (BY_USE, lambda s: used(s, "web.open", 3), []),
    "browser runs up to their limit": (BY_USE, lambda s: used(s, "web.open", 6), ["run_browser_reached"]),
    "retrievals": (
        BY_USE,
        lambda s: s.retrieval("a").retrieval("a").retrieval("a").retrieval("a").retrieval("a"),
        ["run_retrieval_near", "run_retrieval_reached"],
    ),
    "enrichments of a day of runs": (
        BY_USE,
        lambda s: used(used(s, "leads.enrich", 1, "r1"), "leads.enrich", 2, "r2"),
        ["day_enrichment_reached"],
    ),
    "enrichments of two days": (
        BY_USE,
        lambda s: used(used(s, "leads.enrich", 2, "r1").after(days=1), "leads.enrich", 2, "r2"),
        [],
    ),
    "a unit without a limit": (BY_USE, lambda s: used(s, "maps.find", 150), []),
    "a tool without a unit": (BY_USE, lambda s: used(s, "crm.list_accounts", 30), []),
    "a short run": (BY_USE, lambda s: took(s, 20), []),
    "a long run": (BY_USE, lambda s: took(s, 31), ["run_runtime_s_reached"]),
    "a long run that was abandoned": (BY_USE, lambda s: took(s, 59, status=RunStatus.ABANDONED), []),
    "a run whose start nobody saw": (BY_USE, lambda s: s.after(minutes=90).finished("r1"), []),
    "a run that waited for people": (
        BY_USE,
        lambda s: s.run("r1").call("A", verdict=Verdict.WAIT).after(hours=9).call("A").finished("r1"),
        [],
    ),
    "the time of a day of runs": (
        BY_USE,
        lambda s: took(took(took(s, 22, "r1"), 22, "r2"), 22, "r3"),
        ["day_runtime_s_reached"],
    ),
    "as much as usual": (
        NOT_LIMITED_BY_USE,
        lambda s: used(runs_that_use(s, "web.open", 30), "web.open", 60),
        [],
    ),
    "more than usual": (
        NOT_LIMITED_BY_USE,
        lambda s: used(runs_that_use(s, "web.open", 30), "web.open", 120),
        ["run_browser_unusual"],
    ),
    "more than usual, and little": (
        NOT_LIMITED_BY_USE,
        lambda s: used(runs_that_use(s, "web.open", 2), "web.open", 19),
        [],
    ),
    "what no run before has used": (
        NOT_LIMITED_BY_USE,
        lambda s: used(runs_that_use(s, "crm.list_accounts", 1), "web.open", 120),
        [],
    ),
    "longer than usual": (
        NOT_LIMITED_BY_USE,
        lambda s: took(runs_that_use(s, "web.open", 1), 45),
        ["run_runtime_s_unusual"],
    ),
    "longer than usual, and short": (
        NOT_LIMITED_BY_USE,
        lambda s: took(runs_that_use(s, "web.open", 1), 29),
        [],
    ),
}


@pytest.mark.parametrize("name", BY_USE_CASES)
def test_tells_of_what_is_paid_by_use(name: str) -> None:
    rules, tell, expected = BY_USE_CASES[name]
    assert [finding.facts["rule"] for finding in findings(DETECTOR, tell(Story()), rules)] == expected


def test_the_words_say_which_unit_how_much_and_against_what() -> None:
    limit, of_run = findings(DETECTOR, used(Story(), "web.open", 4), BY_USE), Story()
    assert limit[0].summary == "4 browser runs spent this run, which uses up the limit of 4 browser runs"
    assert (limit[0].facts["unit"], limit[0].facts["value"], limit[0].facts["threshold"]) == ("browser", 4, 4)
    unusual = findings(
        DETECTOR, used(runs_that_use(of_run, "web.open", 30), "web.open", 91), NOT_LIMITED_BY_USE
    )
    assert unusual[0].summary == "91 browser runs spent this run, where 30 browser runs is usual"
    long = findings(DETECTOR, took(Story(), 45), BY_USE)
    assert long[0].summary == "45 minutes spent this run, which uses up the limit of 30 minutes"


def test_what_is_used_more_than_usual_follows_the_work_and_holds_nothing() -> None:
    """A limit that somebody wrote down does."""
    reached = findings(DETECTOR, used(Story(), "web.open", 4), BY_USE)[0]
    assert (reached.hold, reached.severity) == (ScopeKind.WORKFLOW, Severity.SEV2)
    story = used(runs_that_use(Story(), "web.open", 30), "web.open", 91)
    unusual = findings(DETECTOR, story, NOT_LIMITED_BY_USE)[0]
    assert (unusual.hold, unusual.severity) == (None, Severity.SEV3)


def test_a_run_that_goes_on_is_told_of_once_when_its_time_is_up() -> None:
    story = Story().run("r1")
    watch, _, _ = Watch(detectors=[DETECTOR]).follow(story.entries, BY_USE)
    told = []
    for _ in range(4):
        watch, found, _ = restore(watch.dump(), [DETECTOR]).tick(story.after(minutes=10).now, BY_USE)
        told += [finding.facts["rule"] for finding in found]
    watch, found, _ = watch.follow(story.finished("r1").entries[1:], BY_USE)
    assert [*told, *(finding.facts["rule"] for finding in found)] == ["run_runtime_s_reached"]
    assert watch.tick(story.after(hours=1).now, BY_USE)[1] == ()


def test_a_run_that_goes_on_is_not_compared_with_what_is_usual() -> None:
    """Its agent may have died; when that is known it is told as a failed run."""
    story = runs_that_use(Story(), "web.open", 1).run("r1")
    watch, _, _ = Watch(detectors=[DETECTOR]).follow(story.entries, NOT_LIMITED_BY_USE)
    assert watch.tick(story.after(hours=9).now, NOT_LIMITED_BY_USE)[1] == ()
