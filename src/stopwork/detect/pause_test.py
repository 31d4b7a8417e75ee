"""Notices pause tests that failed, and those that nobody has done for too long.

A stop switch that does not work is alarming: it opens an incident before somebody needs the switch. A test that is overdue is
logged; the duty that does them has then not come round, or does not get through.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import lasting, listed, moment
from stopwork.ledger.events import Entry, ManifestApplied, PauseTestFinished
from stopwork.ledger.records import Record
from stopwork.ledger.words import CheckState, IncidentType, Mode, Severity, SignalKind

GRACE = timedelta(days=1)
"""A test is overdue when it has been due for this long: the duty comes round every minute."""

MOST_WORKFLOWS = 1_024


class Watched(Record):
    """When a workflow was tested last, or declared where it never was; ``told`` is whether that was said to be long ago."""

    since: datetime
    tested: bool = False
    told: bool = False


class State(Record):
    """What is known of each workflow's tests."""

    watched: Table[Watched] = Table()


class PauseTest(Detector[State]):
    """Fires when a pause test fails, and once when one is overdue."""

    name: ClassVar[str] = "pause_test"
    watches = (ManifestApplied, PauseTestFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case ManifestApplied() as event if event.workflow not in state.watched:
                return _put(state, event.workflow, Watched(since=entry.at)), ()
            case PauseTestFinished() as event:
                state = _put(state, event.workflow, Watched(since=entry.at, tested=True))
                return state, () if event.passed else tuple(self._failed(event, entry.at, rules))
            case _:
                return state, ()

    def tick(self, state: State, now: datetime, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        findings = []
        for workflow, known in state.watched.items():
            if known.told or now - known.since < GRACE:
                continue
            if (finding := self._overdue(workflow, known, now, rules)) is not None:
                findings.append(finding)
                state = _put(state, workflow, replace(known, told=True))
        return state, tuple(findings)

    def _failed(self, event: PauseTestFinished, at: datetime, rules: Rulebook) -> list[Finding]:
        manifest = manifest_of(rules, event.workflow)
        if manifest is None or not manifest.alerts.pause_test.enabled:
            return []
        alert = manifest.alerts.pause_test
        levels = [each for each in event.levels if each.state is CheckState.FAILED]
        why = [f"at the level {each.level}: {each.text}" for each in levels]
        if event.unconfirmed:
            why.append(f"{listed(event.unconfirmed)} did not confirm")
        return [
            Finding(
                type=IncidentType.POLICY_DRIFT,
                kind=SignalKind.POLICY_VIOLATION,
                detector=PauseTest.name,
                key="pause test",
                workflow=event.workflow,
                summary=f"the pause test failed: {'; '.join(why)}",
                occurred_at=at,
                facts={
                    "rule": "pause_test",
                    "test": event.test,
                    "levels": [str(each.level) for each in levels],
                    "unconfirmed": list(event.unconfirmed),
                    "tool": event.tool,
                },
                hold=hold_of(alert),
                severity=at_least(alert, Severity.SEV2),
                title=f"{manifest.heading} may not be stopped by a pause",
            )
        ]

    def _overdue(self, workflow: str, known: Watched, now: datetime, rules: Rulebook) -> Finding | None:
        manifest = manifest_of(rules, workflow)
        if manifest is None or manifest.mode is not Mode.ENFORCE or not manifest.alerts.pause_test.enabled:
            return None
        every, alert = manifest.pause_test.every, manifest.alerts.pause_test
        limit = every + GRACE if known.tested else 2 * GRACE
        if now - known.since < limit:
            return None
        last = f"the last was {moment(known.since)}" if known.tested else "there was none yet"
        return Finding(
            type=IncidentType.POLICY_DRIFT,
            kind=SignalKind.POLICY_VIOLATION,
            detector=PauseTest.name,
            key="pause test",
            workflow=workflow,
            summary=f"a pause test is overdue: {last}, and one is due every {lasting(every.total_seconds())}",
            occurred_at=now,
            facts={
                "rule": "pause_test.every",
                "threshold": limit.total_seconds(),
                "value": (now - known.since).total_seconds(),
                "unit": "seconds since the last test",
            },
            hold=hold_of(alert) if insists(alert) else None,
            severity=at_least(alert, Severity.SEV3),
            alarming=insists(alert),
            title=f"Nobody knows whether a pause stops {manifest.heading}",
        )


def _put(state: State, workflow: str, watched: Watched) -> State:
    return replace(state, watched=state.watched.put(workflow, watched, at_most=MOST_WORKFLOWS))
