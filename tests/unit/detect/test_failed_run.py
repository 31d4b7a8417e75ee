"""Contract of the failed-run detector: it tells clean failures, half-done runs, risky retries and going on apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stopwork.detect.failed_run import FailedRun, answers
from stopwork.ledger.words import EffectKind, RunStatus, Severity, Verdict
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import Story, findings, rules_of

RULES = rules_of(manifest())
DETECTOR = FailedRun()
FAILED = RunStatus.FAILED
READ = EffectKind.READ

# Each case: its name, then story, how it failed and in which words.
CASES: dict[str, tuple[Callable[[Story], Story], list[tuple[str, str]]]] = {
    "a good run": (lambda s: s.run("r1").call("A", x=1).outcome("A").finished(), []),
    "failed before anything": (
        lambda s: s.run("r1").finished(status=FAILED),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
    "failed after a read": (
        lambda s: s.run("r1").call("A", effect=READ).outcome("A").finished(status=FAILED),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
    "failed after a write that failed": (
        lambda s: s.run("r1").call("A", x=1).failed("A").finished(status=FAILED),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
    "the same write failed twice": (
        lambda s: s.run("r1").call("A", x=1).failed("A").call("B", x=1).failed("B").finished(status=FAILED),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
    "failed half way": (
        lambda s: s.run("r1").call("A", x=1).outcome("A").finished(status=FAILED),
        [("partly_done", "a run failed after 1 change")],
    ),
    "failed with a write that timed out": (
        lambda s: s.run("r1").call("A", x=1).timed_out("A").finished(status=FAILED),
        [("partly_done", "a run failed after 1 call of unknown outcome")],
    ),
    "died with a write in flight": (
        lambda s: s.run("r1").call("A", x=1).outcome("A").call("B", x=2).finished(status=RunStatus.ABANDONED),
        [("partly_done", "a run was abandoned after 1 change and 1 call of unknown outcome")],
    ),
    "a time-out that was found to have succeeded": (
        lambda s: s.run("r1").call("A", x=1).timed_out("A").outcome("A").finished(status=FAILED),
        [("partly_done", "a run failed after 1 change")],
    ),
    "refused by the guard and given up": (
        lambda s: s.run("r1").call("A", x=1, verdict=Verdict.DENY).finished(status=FAILED),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
    "an error made good by trying again": (
        lambda s: s.run("r1").call("A", x=1).failed("A").call("B", x=1).outcome("B").finished(),
        [],
    ),
    "went on after an error": (
        lambda s: (
            s.run("r1")
            .call("A", x=1)
            .failed("A")
            .call("B", x=2)
            .outcome("B")
            .call("C", x=3)
            .outcome("C")
            .finished()
        ),
        [("went_on", "a run reported success although 1 call failed, and went on to 2 further writes")],
    ),
    "went on although its input could not be read": (
        lambda s: s.run("r1").call("A", effect=READ, x=1).failed("A").call("B", x=2).outcome("B").finished(),
        [("went_on", "a run reported success although 1 call failed, and went on to 1 further write")],
    ),
    "a retry after a clean failure": (
        lambda s: s.run("r1").finished(status=FAILED).run("r2", retry_of="r1"),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
    "a retry of a run that was partly done": (
        lambda s: s.run("r1").call("A", x=1).outcome("A").finished(status=FAILED).run("r2", retry_of="r1"),
        [
            ("partly_done", "a run failed after 1 change"),
            ("retried", "a retry (attempt 2) began although the run before it had already made 1 change"),
        ],
    ),
    "failed after it had gone on": (
        lambda s: s.run("r1").call("A", x=1).failed("A").call("B", x=2).outcome("B").finished(status=FAILED),
        [("partly_done", "a run failed after 1 change, and began 1 write after an error")],
    ),
    "the end told twice": (
        lambda s: s.run("r1").finished(status=FAILED).finished(status=FAILED),
        [("failed_cleanly", "a run failed and changed nothing")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_says_how_a_run_failed(name: str) -> None:
    tell, expected = CASES[name]
    found = findings(DETECTOR, tell(Story()), RULES)
    assert [(finding.facts["how"], finding.summary) for finding in found] == expected


def test_a_half_done_run_is_graver_than_a_clean_failure() -> None:
    half = Story().run("r1").call("A", x=1).outcome("A").finished(status=FAILED)
    clean = Story().run("r1").finished(status=FAILED)
    assert findings(DETECTOR, half, RULES)[0].severity is Severity.SEV2
    assert findings(DETECTOR, clean, RULES)[0].severity is Severity.SEV3


def test_the_manifest_raises_the_severity_and_never_lowers_it() -> None:
    half = Story().run("r1").call("A", x=1).outcome("A").finished(status=FAILED)
    for declared, expected in (("sev1", Severity.SEV1), ("sev3", Severity.SEV2)):
        rules = rules_of(manifest(alerts={"failed_run": {"severity": declared}}))
        assert findings(DETECTOR, half, rules)[0].severity is expected


def test_after_says_how_many_failures_in_a_row_raise_the_alert() -> None:
    rules = rules_of(manifest(alerts={"failed_run": {"after": 2}}))
    story = Story().run("r1").finished("r1", FAILED).run("r2").finished("r2").run("r3").finished("r3", FAILED)
    assert not findings(DETECTOR, story, rules)
    (found,) = findings(DETECTOR, story.run("r4").finished("r4", FAILED), rules)
    assert (found.run, found.facts["value"], found.facts["threshold"]) == ("r4", 2, 2)


@pytest.mark.parametrize("begun", ["written", "unknown"])
def test_a_half_done_run_counts_at_once_however_many_failures_are_let_pass(begun: str) -> None:
    rules = rules_of(manifest(alerts={"failed_run": {"after": 3}}))
    story = Story().run("r1").call("A", x=1)
    half = story.outcome("A") if begun == "written" else story.timed_out("A")
    (found,) = findings(DETECTOR, half.finished(status=FAILED), rules)
    assert (found.facts["how"], found.facts["value"], found.facts["threshold"]) == ("partly_done", 1, 1)


def test_the_calls_behind_a_finding_are_named() -> None:
    story = (
        Story().run("r1").call("A", x=1).outcome("A").call("B", x=2).timed_out("B").finished(status=FAILED)
    )
    facts = findings(DETECTOR, story, RULES)[0].facts
    assert (facts["writes"], facts["unsure"], facts["errors"]) == (["A"], ["B"], ["B"])


def test_a_risky_retry_names_the_run_before_it_and_what_that_did() -> None:
    story = Story().run("r1").call("A", x=1).outcome("A").finished(status=FAILED).run("r2", retry_of="r1")
    facts = findings(DETECTOR, story, RULES)[-1].facts
    assert (facts["how"], facts["attempt"], facts["retry_of"], facts["writes"]) == ("retried", 2, "r1", ["A"])


def test_a_run_that_failed_in_several_ways_says_each() -> None:
    story = Story().run("r1").finished(status=FAILED).run("r2", retry_of="r1")
    story = story.call("A", run="r2", x=1).failed("A").call("B", run="r2", x=2).outcome("B")
    facts = findings(DETECTOR, story.finished("r2", FAILED), RULES)[-1].facts
    assert (facts["how"], facts["also"]) == ("partly_done", ["retried", "went_on"])


@pytest.mark.parametrize("name", CASES)
def test_whoever_notices_a_failed_run_the_entries_of_the_run_answer_the_same(name: str) -> None:
    tell, _ = CASES[name]
    story = tell(Story())
    ended = [each for each in findings(DETECTOR, story, RULES) if each.facts["how"] != "retried"]
    for finding in ended:
        of_run = [each for each in story.entries if getattr(each.event, "run", None) == finding.run]
        found = answers(of_run)
        assert found.items() <= finding.facts.items()
        assert found["how"] == finding.facts["how"]
    if not ended:
        assert answers(story.entries) == {}
