"""Contract: a pause test that failed is alarming, one that is overdue is logged once, and what is only observed is not asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from stopwork.detect.detector import Finding
from stopwork.detect.pause_test import PauseTest, State
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger.events import Entry, Event, ManifestApplied, PauseTestFinished
from stopwork.ledger.records import LevelTest, Principal
from stopwork.ledger.words import CheckState, Mode, PrincipalKind, ScopeKind, Severity, SignalKind, Stage
from stopwork.manifest.compiled import compile_manifest
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import START

DETECTOR = PauseTest()
SYSTEM = Principal(kind=PrincipalKind.SYSTEM, id="pause test")
NAME = "weekly-renewal-risk"


def rules(**changes: Any) -> Rulebook:
    compiled = compile_manifest(manifest(**changes))
    return lambda workflow: compiled if workflow == NAME else None


def entry(event: Event, at: datetime = START) -> Entry:
    return Entry(seq=1, at=at, actor=SYSTEM, event=event)


def applied() -> ManifestApplied:
    return ManifestApplied(
        workflow=NAME,
        version=1,
        title="Renewals",
        mode=Mode.ENFORCE,
        stage=Stage.NORMAL,
        owners={},
        text="",
        digest="",
        reason="",
    )


def finished(*, passed: bool = True, unconfirmed: tuple[str, ...] = ()) -> PauseTestFinished:
    state = CheckState.PASSED if passed or unconfirmed else CheckState.FAILED
    level = LevelTest(
        level=ScopeKind.TOOL, name="mail.send", state=state, text="mail.send was answered allow"
    )
    return PauseTestFinished(
        test="ptest_1",
        workflow=NAME,
        version=1,
        passed=passed,
        tool="mail.send",
        levels=(level,),
        epoch=1,
        points=len(unconfirmed),
        unconfirmed=unconfirmed,
    )


def after(*events: Event, by: Rulebook | None = None) -> tuple[State, list[Finding]]:
    state = DETECTOR.start()
    found: list[Finding] = []
    for event in events:
        state, more = DETECTOR.step(state, entry(event), by or rules())
        found += more
    return state, found


def overdue(state: State, by: Rulebook, **later: float) -> list[Finding]:
    return list(DETECTOR.tick(state, START + timedelta(**later), by)[1])


def test_a_test_that_passed_is_no_finding() -> None:
    assert after(applied(), finished())[1] == []


def test_a_level_that_did_not_stop_is_alarming_and_says_what_went_through() -> None:
    _, [found] = after(applied(), finished(passed=False))
    assert (found.kind, found.severity, found.alarming) == (
        SignalKind.POLICY_VIOLATION,
        Severity.SEV2,
        True,
    )
    assert found.summary == "the pause test failed: at the level tool: mail.send was answered allow"


def test_a_guard_that_did_not_confirm_is_alarming() -> None:
    _, [found] = after(applied(), finished(passed=False, unconfirmed=("worker-1",)))
    assert found.facts["unconfirmed"] == ["worker-1"]
    assert "worker-1 did not confirm" in found.summary


def test_the_rule_can_be_switched_off_or_made_graver() -> None:
    off = rules(alerts={"pause_test": {"enabled": False}})
    assert after(applied(), finished(passed=False), by=off)[1] == []
    grave = rules(alerts={"pause_test": {"severity": "sev1", "hold": "workflow"}})
    _, [found] = after(applied(), finished(passed=False), by=grave)
    assert (found.severity, found.hold) == (Severity.SEV1, ScopeKind.WORKFLOW)


def test_an_overdue_test_is_logged_once() -> None:
    state, _ = after(applied(), finished())
    assert overdue(state, rules(), days=30, hours=23) == []
    state, found = DETECTOR.tick(state, START + timedelta(days=31), rules())
    assert [(each.severity, each.alarming) for each in found] == [(Severity.SEV3, False)]
    assert overdue(state, rules(), days=40) == []
    state, _ = DETECTOR.step(state, entry(finished(), START + timedelta(days=41)), rules())
    assert len(overdue(state, rules(), days=80)) == 1


def test_a_workflow_that_was_never_tested_is_overdue_after_two_days() -> None:
    state, _ = after(applied())
    assert overdue(state, rules(), days=1, hours=23) == []
    assert len(overdue(state, rules(), days=2)) == 1


def test_a_workflow_that_is_only_observed_is_not_overdue() -> None:
    state, _ = after(applied())
    assert overdue(state, rules(mode="observe"), days=90) == []


def test_a_rule_that_insists_makes_an_overdue_test_alarming() -> None:
    state, _ = after(applied(), finished())
    [found] = overdue(state, rules(alerts={"pause_test": {"severity": "sev2"}}), days=31)
    assert (found.severity, found.alarming) == (Severity.SEV2, True)
