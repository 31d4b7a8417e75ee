"""Contract of the missed-run detector: an occasion without a start, or without an end in time, is told once.

The clock changes of New York stand for all: on 8 March 2026 02:00 becomes 03:00, on 1 November 02:00 becomes 01:00.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from stopwork.detect.detector import Finding
from stopwork.detect.missed_run import MissedRun, State, next_due, occasions
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger.words import IncidentType, ScopeKind
from stopwork.manifest.duration import Duration
from stopwork.manifest.model import Manifest, Schedule
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import Story, rules_of

DETECTOR = MissedRun()
MONDAY_8_NEW_YORK = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
SUNDAY = MONDAY_8_NEW_YORK - timedelta(days=1)
WEEKLY = {
    "cron": "0 8 * * MON",
    "timezone": "America/New_York",
    "start_within": "10m",
    "finish_within": "45m",
}
RULES = rules_of(manifest(schedule=WEEKLY))


def watched(tell: Callable[[Story], Story], rules: Rulebook = RULES) -> State:
    state = DETECTOR.start()
    for entry in tell(Story(SUNDAY).applied()).entries:
        state, found = DETECTOR.step(state, entry, rules)
        assert not found
    return state


def looked(state: State, *looks: datetime, rules: Rulebook = RULES) -> list[Finding]:
    found: list[Finding] = []
    for now in looks:
        state, new = DETECTOR.tick(state, now, rules)
        found += new
    return found


def at(clock: str) -> Callable[[Story], Story]:
    """Move the story to a time of that Monday, in New York."""
    hours, minutes = map(int, clock.split(":"))

    def move(story: Story) -> Story:
        story.now = MONDAY_8_NEW_YORK.replace(hour=hours + 5, minute=minutes)
        return story

    return move


def _of_another(story: Story) -> Story:
    story.workflow = "another"
    return story


EVENING = MONDAY_8_NEW_YORK + timedelta(hours=10)
# Each case: its name, then story of the week, what is said on Monday evening.
CASES: dict[str, tuple[Callable[[Story], Story], list[str]]] = {
    "nothing started": (lambda s: s, ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"]),
    "in time": (lambda s: at("8:30")(at("8:01")(s).run("r1")).finished("r1"), []),
    "a little early": (lambda s: at("8:30")(at("7:57")(s).run("r1")).finished("r1"), []),
    "by hand, not by schedule": (
        lambda s: at("8:30")(at("8:01")(s).run("r1", trigger="manual")).finished("r1"),
        ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"],
    ),
    "never finished": (
        lambda s: at("8:01")(s).run("r1"),
        ["the run due 2026-03-02 13:00 UTC had not finished 45 minutes later"],
    ),
    "finished late": (
        lambda s: at("8:59")(at("8:01")(s).run("r1")).finished("r1"),
        ["the run due 2026-03-02 13:00 UTC finished 14 minutes late"],
    ),
    "started late, and finished in time all the same": (
        lambda s: at("8:40")(at("8:11")(s).run("r1")).finished("r1"),
        ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"],
    ),
    "started and finished late": (
        lambda s: at("9:10")(at("8:50")(s).run("r1")).finished("r1"),
        [
            "the run due 2026-03-02 13:00 UTC had not started 10 minutes later",
            "the run due 2026-03-02 13:00 UTC finished 25 minutes late",
        ],
    ),
    "finished in the last moment": (lambda s: at("8:45")(at("8:10")(s).run("r1")).finished("r1"), []),
    "started twice, once in time": (
        lambda s: at("8:30")(at("8:02")(at("7:58")(s).run("r1")).run("r2")).finished("r2"),
        [],
    ),
    "told of twice": (
        lambda s: at("8:30")(at("8:01")(s).run("r1").run("r1")).finished("r1").finished("r1"),
        [],
    ),
    "of another workflow": (
        lambda s: at("8:30")(at("8:01")(_of_another(s)).run("r1")).finished("r1"),
        ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"],
    ),
    "failed, and its retry finished in time": (
        lambda s: at("8:40")(
            at("8:20")(at("8:01")(s).run("r1")).finished("r1").run("r2", retry_of="r1")
        ).finished("r2"),
        [],
    ),
    "the end seen before the start": (lambda s: at("8:01")(at("8:30")(s).finished("r1")).run("r1"), []),
    "held": (lambda s: at("7:00")(s).hold("h1", ScopeKind.WORKFLOW, "weekly-renewal-risk"), []),
    "everything held": (lambda s: at("7:00")(s).hold("h1", ScopeKind.EVERYTHING), []),
    "its schedule held": (
        lambda s: at("7:00")(s).hold("h1", ScopeKind.TRIGGER, "schedule", "weekly-renewal-risk"),
        [],
    ),
    "another workflow held": (
        lambda s: at("7:00")(s).hold("h1", ScopeKind.WORKFLOW, "other"),
        ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"],
    ),
    "one tool held": (
        lambda s: at("7:00")(s).hold("h1", ScopeKind.TOOL, "crm.create_task"),
        ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"],
    ),
    "a hold lifted long before": (
        lambda s: at("6:00")(at("5:00")(s).hold("h1", ScopeKind.EVERYTHING)).lifted("h1"),
        ["the run due 2026-03-02 13:00 UTC had not started 10 minutes later"],
    ),
    "held half way through": (
        lambda s: at("8:20")(at("8:01")(s).run("r1")).hold("h1", ScopeKind.EVERYTHING),
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_says_what_was_missed(name: str) -> None:
    tell, expected = CASES[name]
    assert [finding.summary for finding in looked(watched(tell), EVENING)] == expected


@pytest.mark.parametrize("name", CASES)
def test_says_it_once_however_often_one_looks(name: str) -> None:
    tell, expected = CASES[name]
    looks = [MONDAY_8_NEW_YORK + timedelta(hours=9, minutes=minutes) for minutes in range(0, 120, 7)]
    assert len(looked(watched(tell), *looks)) == len(expected)


def test_nothing_is_missed_before_its_time_has_passed() -> None:
    state = watched(lambda s: s)
    assert not looked(state, MONDAY_8_NEW_YORK + timedelta(minutes=9, seconds=59))
    (found,) = looked(state, MONDAY_8_NEW_YORK + timedelta(minutes=10))
    assert found.type is IncidentType.MISSED_WORKFLOW
    assert (found.facts["rule"], found.facts["threshold"]) == ("start_within", 600)
    assert found.occurred_at == MONDAY_8_NEW_YORK + timedelta(minutes=10)


def test_what_fell_due_before_the_manifest_is_not_missed() -> None:
    state = DETECTOR.start()
    for entry in Story(MONDAY_8_NEW_YORK + timedelta(minutes=1)).applied().entries:
        state, _ = DETECTOR.step(state, entry, RULES)
    assert not looked(state, EVENING)


def test_many_missed_runs_are_one_finding() -> None:
    rules = rules_of(manifest(schedule={"cron": "*/5 * * * *", "timezone": "UTC", "start_within": "2m"}))
    (found,) = looked(watched(lambda s: s), SUNDAY + timedelta(hours=1), rules=rules)
    assert len(found.facts["due"]) == 11
    assert found.summary.endswith("(11 runs missed since 2026-03-01 13:05 UTC)")


def test_a_long_silence_is_caught_up_in_bounded_steps() -> None:
    rules = rules_of(manifest(schedule={"cron": "* * * * *", "timezone": "UTC", "start_within": "1m"}))
    month = SUNDAY + timedelta(days=1)
    found = looked(watched(lambda s: s), *[month] * 10, rules=rules)
    assert sum(len(finding.facts["due"]) for finding in found) == 24 * 60 - 1
    assert max(len(finding.facts["due"]) for finding in found) == 200


@pytest.mark.parametrize(
    ("name", "cron", "after", "expected"),
    [
        ("winter", "0 8 * * MON", "2026-03-02T00:00", ["2026-03-02T13:00", "2026-03-09T12:00"]),
        ("skipped hour", "30 2 * * *", "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-09T06:30"]),
        ("repeated hour", "30 1 * * *", "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        ("every hour, spring", "0 * * * *", "2026-03-08T05:30", ["2026-03-08T06:00", "2026-03-08T07:00"]),
        ("every hour, autumn", "0 * * * *", "2026-11-01T04:30", ["2026-11-01T05:00", "2026-11-01T06:00"]),
    ],
)
def test_occasions_follow_the_clock_of_the_zone(
    name: str, cron: str, after: str, expected: list[str]
) -> None:
    schedule = Schedule(cron=cron, timezone="America/New_York", start_within=Duration(minutes=10))
    due = occasions(schedule, after=datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert [next(due) for _ in expected] == [
        datetime.fromisoformat(e).replace(tzinfo=UTC) for e in expected
    ], name


def test_next_due_is_the_first_occasion() -> None:
    assert next_due(Schedule(cron="0 8 * * MON"), after=SUNDAY) == datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "started"),
    [("2026-03-08T07:00", "2026-03-08T07:01"), ("2026-11-01T05:30", "2026-11-01T05:31")],
)
def test_a_run_on_the_day_of_a_clock_change_counts(change: str, started: str) -> None:
    cron = "30 2 * * *" if change.startswith("2026-03") else "30 1 * * *"
    rules = rules_of(manifest(schedule={"cron": cron, "timezone": "America/New_York"}))
    due = datetime.fromisoformat(change).replace(tzinfo=UTC)
    ran = Story(due - timedelta(hours=1)).applied()
    ran.now = datetime.fromisoformat(started).replace(tzinfo=UTC)
    state = DETECTOR.start()
    for entry in ran.run("r1").finished("r1").entries:
        state, _ = DETECTOR.step(state, entry, rules)
    assert not looked(state, due + timedelta(hours=3), rules=rules)


def test_runs_that_follow_each_other_closely_are_each_of_their_own_time() -> None:
    """Every five minutes, and that of 13:10 does not come: those before and after it do not stand in for it."""
    rules = rules_of(
        manifest(
            schedule={"cron": "*/5 * * * *", "timezone": "UTC", "start_within": "2m", "finish_within": "3m"}
        )
    )
    story = Story(MONDAY_8_NEW_YORK + timedelta(minutes=2)).applied()
    for minute in (5, 15, 20):
        story.now = MONDAY_8_NEW_YORK + timedelta(minutes=minute, seconds=2)
        story.run(f"r{minute}").after(minutes=1).finished(f"r{minute}")
    state = DETECTOR.start()
    found: list[Finding] = []
    for entry in story.entries:
        state, new = DETECTOR.tick(state, entry.at, rules)
        state, _ = DETECTOR.step(state, entry, rules)
        found += new
    found += looked(state, MONDAY_8_NEW_YORK + timedelta(minutes=24), rules=rules)
    assert [finding.facts["due"] for finding in found] == [["2026-03-02T13:10:00+00:00"]]


@pytest.mark.parametrize(
    ("name", "cron", "night", "runs", "missed"),
    [
        ("02:30 that never comes, and its run", "30 2 * * *", "2026-03-08", ["07:00"], []),
        ("02:30 that never comes, and no run", "30 2 * * *", "2026-03-08", [], ["07:00"]),
        ("01:30 that comes twice, its run at the first", "30 1 * * *", "2026-11-01", ["05:30"], []),
        ("01:30 that comes twice, its run at the second", "30 1 * * *", "2026-11-01", ["06:30"], ["05:30"]),
        ("01:30 that comes twice, a run at both", "30 1 * * *", "2026-11-01", ["05:30", "06:30"], []),
        ("hourly through spring", "0 * * * *", "2026-03-08", ["05:00", "06:00", "07:00", "08:00"], []),
        (
            "hourly through autumn",
            "0 * * * *",
            "2026-11-01",
            ["05:00", "06:00", "08:00"],
            ["07:00"],
        ),
    ],
)
def test_the_night_of_a_clock_change(
    name: str, cron: str, night: str, runs: list[str], missed: list[str]
) -> None:
    rules = rules_of(manifest(schedule={"cron": cron, "timezone": "America/New_York"}))

    def moment_of(clock: str) -> datetime:
        return datetime.fromisoformat(f"{night}T{clock}:00+00:00")

    story = Story(moment_of("04:30")).applied()
    for clock in runs:
        story.now = moment_of(clock) + timedelta(minutes=1)
        story.run(clock).finished(clock)
    state = DETECTOR.start()
    for entry in story.entries:
        state, _ = DETECTOR.step(state, entry, rules)
    found = looked(state, moment_of("08:30"), rules=rules)
    assert [due for each in found for due in each.facts["due"]] == [
        moment_of(clock).isoformat() for clock in missed
    ], name


DAILY = WEEKLY | {"cron": "0 8 * * *"}
FRIDAY_NOON = datetime(2026, 3, 6, 17, tzinfo=UTC)


def applied_anew(state: State, rules: Rulebook, at: datetime) -> State:
    for entry in Story(at).applied().entries:
        state, _ = DETECTOR.step(state, entry, rules)
    return state


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("another schedule", manifest(schedule=WEEKLY)),
        ("no schedule before", manifest()),
        (
            "the rule was off",
            manifest(schedule=DAILY, alerts={"missed_run": {"enabled": False}}),
        ),
    ],
)
def test_what_was_not_due_before_a_change_was_not_missed(name: str, before: Manifest) -> None:
    old, new = rules_of(before), rules_of(manifest(schedule=DAILY))
    state = watched(lambda s: at("8:30")(at("8:01")(s).run("r1")).finished("r1"), old)
    state, found = DETECTOR.tick(state, FRIDAY_NOON - timedelta(seconds=1), old)
    assert not found, name
    # The manifest is in force a moment before its entry is read.
    state, found = DETECTOR.tick(state, FRIDAY_NOON, new)
    assert not found, name
    state = applied_anew(state, new, FRIDAY_NOON)
    assert not looked(
        state, FRIDAY_NOON + timedelta(seconds=1), FRIDAY_NOON + timedelta(hours=12), rules=new
    ), name
    [missed] = looked(state, FRIDAY_NOON + timedelta(days=1), rules=new)
    assert missed.facts["due"] == ["2026-03-07T13:00:00+00:00"], name


def test_a_version_with_the_same_schedule_excuses_nothing() -> None:
    state, _ = DETECTOR.tick(watched(lambda s: s), MONDAY_8_NEW_YORK, RULES)
    state = applied_anew(state, RULES, MONDAY_8_NEW_YORK + timedelta(minutes=5))
    [missed] = looked(state, EVENING, rules=RULES)
    assert missed.facts["due"] == ["2026-03-02T13:00:00+00:00"]


def test_a_workflow_whose_state_was_lost_is_watched_again_from_its_next_run_on() -> None:
    state = DETECTOR.start()
    for entry in Story(SUNDAY).run("r0", trigger="manual").entries:
        state, _ = DETECTOR.step(state, entry, RULES)
    [missed] = looked(state, EVENING)
    assert missed.facts["due"] == ["2026-03-02T13:00:00+00:00"]
