"""Notices input that is older than its source allows, and input from a source that the manifest does not declare.

Both are found when the input is read, before anything is made of it. A retrieval that does not say how old its data
is cannot be judged here; the audit names it. Where a manifest declares no sources at all, none is wrong.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, is_quiet
from stopwork.detect.rulebook import Rulebook, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import lasting
from stopwork.ledger.events import CallDecided, Entry, RunFinished, RunStarted, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, SignalKind, StepKind, Verdict
from stopwork.manifest.model import Alert, Manifest

MOST_RUNS = 1_024
MOST_SOURCES = 1_024


class State(Record):
    """``triggers`` says what started each run that goes on; ``told`` when a source was reported last."""

    triggers: Table[str] = Table()
    told: Table[datetime] = Table()


class Input(Record):
    """Something that a run took in."""

    workflow: str
    run: str
    source: str
    name: str
    at: datetime
    as_of: datetime | None = None
    step: str | None = None
    call: str | None = None


class StaleInput(Detector[State]):
    """Fires when a run reads input that is too old, or that is from a place nobody declared."""

    name: ClassVar[str] = "stale_input"
    watches = (RunStarted, RunFinished, StepRecorded, CallDecided)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case RunStarted() as event:
                triggers = state.triggers.put(event.run, event.trigger, at_most=MOST_RUNS)
                return replace(state, triggers=triggers), ()
            case RunFinished() as event if event.run in state.triggers:
                return replace(state, triggers=state.triggers.without(event.run)), ()
            case StepRecorded(kind=StepKind.RETRIEVAL, source=str(source)) as event:
                read = Input(
                    workflow=event.workflow,
                    run=event.run,
                    source=source,
                    name=event.name,
                    at=entry.at,
                    as_of=event.as_of,
                    step=event.step,
                )
                return _judge(state, read, rules)
            case CallDecided(verdict=Verdict.ALLOW, effect=EffectKind.READ, source=str(source)) as event:
                read = Input(
                    workflow=event.workflow,
                    run=event.run,
                    source=source,
                    name=event.tool,
                    at=entry.at,
                    call=event.call,
                )
                return _judge(state, read, rules)
            case _:
                return state, ()


def _judge(state: State, read: Input, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, read.workflow)
    if manifest is None or not manifest.alerts.stale_input.enabled:
        return state, ()
    wrong = _what_is_wrong(read, manifest)
    about = f"{read.workflow}\x1f{read.source}"
    if wrong is None or is_quiet(state.told, about, read.at):
        return state, ()
    summary, facts = wrong
    finding = _finding(read, manifest.alerts.stale_input, summary, facts, state.triggers.get(read.run))
    return replace(state, told=state.told.put(about, read.at, at_most=MOST_SOURCES)), (finding,)


def _what_is_wrong(read: Input, manifest: Manifest) -> tuple[str, dict[str, Any]] | None:
    """Answer what is wrong with an input, in words and as rule, threshold and value; ``None`` when nothing is."""
    declared = manifest.sources.get(read.source)
    if declared is None:
        if not manifest.sources:
            return None
        summary = f"{read.name} read {read.source}, which is not among the sources that the manifest declares"
        return summary, {"rule": "sources", "threshold": sorted(manifest.sources), "value": read.source}
    if declared.fresh_within is None or read.as_of is None:
        return None
    age_s = (read.at - read.as_of).total_seconds()
    allowed_s = declared.fresh_within.total_seconds()
    if age_s <= allowed_s:
        return None
    summary = (
        f"{read.name} read {read.source} as it was {lasting(age_s)} before; {lasting(allowed_s)} is allowed"
    )
    return summary, {
        "rule": f"sources.{read.source}.fresh_within",
        "threshold": allowed_s,
        "value": age_s,
        "unit": "seconds since the data was true",
    }


def _finding(read: Input, alert: Alert, summary: str, facts: dict[str, Any], trigger: str | None) -> Finding:
    return Finding(
        type=IncidentType.STALE_OR_WRONG_INPUT,
        kind=SignalKind.ALERT,
        detector=StaleInput.name,
        key=read.source,
        workflow=read.workflow,
        summary=summary,
        occurred_at=read.at,
        facts=facts
        | {
            "source": read.source,
            "as_of": read.as_of.isoformat() if read.as_of else None,
            "step": read.step,
            "trigger": trigger,
        },
        run=read.run,
        call=read.call,
        hold=hold_of(alert),
        severity=alert.severity,
    )
