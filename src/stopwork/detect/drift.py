"""Notices that what runs the agent is not what was declared, that it changed without a new version of the manifest, and that runs after such a change do something else.

A run that reports another model, prompt, agent or framework than the manifest declares is alarming. Where the manifest declares nothing, a value that no run of this
version has had before is a change without a record: it is logged, and alarming where changes have to be signed. After every change the next
runs are compared with the last ones before it: see :mod:`stopwork.detect.behaviour`. Other behaviour is alarming, but not after a new version, which is
made to change something: then it is logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from msgspec import to_builtins
from msgspec.structs import replace

from stopwork.detect.behaviour import LOOKS, MOST_RUNS, Counts, Shift, counted, features, shifts
from stopwork.detect.detector import Detector, Finding, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists, manifest_of
from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, Entry, RunFinished, RunStarted, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import IncidentType, RunStatus, Severity, SignalKind, StepKind, Verdict
from stopwork.manifest.model import Manifest

MOST_WORKFLOWS = 1_024
MOST_GOING = 1_024
MOST_NAMES = 100
MOST_VALUES = 10
MOST_CHARS = 200
MOST_LISTED = 20

DECLARED = ("agent", "framework", "model", "prompt")
NOT_WHAT_RUNS = ("systems",)
"""What a run says of where it can reach is nothing that ran."""


class Going(Record):
    """What a run that goes on has done so far."""

    counts: Counts = {}


class Past(Record):
    """What the runs of a workflow reported under one version, and what they did ``before`` and ``after`` the last ``change``."""

    version: int
    values: dict[str, tuple[str, ...]] = {}
    before: tuple[dict[str, float], ...] = ()
    after: tuple[dict[str, float], ...] = ()
    change: str = ""
    recorded: bool = False


class State(Record):
    """``told`` says when each cause was reported last."""

    going: Table[Going] = Table()
    past: Table[Past] = Table()
    told: Table[datetime] = Table()


class Drift(Detector[State]):
    """Fires when another agent runs than was declared, when it changed without a record, and when it does something else since."""

    name: ClassVar[str] = "drift"
    watches = (CallDecided, RunFinished, RunStarted, StepRecorded)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                run = state.going.get(event.run)
                if run is None or event.renewed or event.verdict is not Verdict.ALLOW:
                    return state, ()
                run = Going(counts=counted(run.counts, event.tool, event.args))
                return replace(state, going=state.going.put(event.run, run, at_most=MOST_GOING)), ()
            case StepRecorded() as event:
                if event.kind is not StepKind.MODEL_CALL or not (model := event.facts.get("model")):
                    return state, ()
                return _model_called(state, event, model, entry.at, rules)
            case RunStarted() as event if event.run not in state.going:
                return _started(state, event, entry.at, rules)
            case RunFinished() as event if event.run in state.going:
                return _finished(state, event, entry.at, rules)
            case _:
                return state, ()


def _started(
    state: State, event: RunStarted, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    going = state.going.put(event.run, Going(), at_most=MOST_GOING)
    state = replace(state, going=going)
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or not manifest.alerts.drift.enabled:
        return state, ()
    reported = dict(_reported(event.runtime))
    past = state.past.get(event.workflow) or Past(version=event.version)
    findings = [*_not_as_declared(manifest, reported, event.run, at)]
    if event.version > past.version:
        past = _after_change(past, f"version {event.version} of the manifest", recorded=True)
        past = replace(past, version=event.version, values={})
    new = {
        name: value
        for name, value in reported.items()
        if event.version == past.version and past.values.get(name) and value not in past.values[name]
    }
    if new:
        past = _after_change(past, ", ".join(f"another {name}" for name in sorted(new))[:MOST_CHARS])
    told = {str(each.facts["field"]) for each in findings}
    if unrecorded := {name: value for name, value in new.items() if name not in told}:
        findings.append(_unrecorded(manifest, unrecorded, past, event, at))
    if event.version == past.version:
        past = replace(past, values=_with(past.values, reported))
    state = replace(state, past=state.past.put(event.workflow, past, at_most=MOST_WORKFLOWS))
    return _once(state, findings)


def _reported(runtime: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Answer what ran, by name; of a mapping (``tools``, ``connectors``) each name by itself."""
    for name, value in runtime.items():
        if name in NOT_WHAT_RUNS:
            continue
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", str(each)[:MOST_CHARS]) for inner, each in value.items())
        elif value is not None:
            yield name, str(value)[:MOST_CHARS]


def _with(values: dict[str, tuple[str, ...]], reported: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    if all(value in values.get(name, ()) for name, value in reported.items()):
        return values
    return {
        name: tuple(dict.fromkeys((*values.get(name, ()), *([reported[name]] if name in reported else []))))[
            -MOST_VALUES:
        ]
        for name in list(dict.fromkeys((*values, *reported)))[:MOST_NAMES]
    }


def _after_change(past: Past, change: str, *, recorded: bool = False) -> Past:
    """Answer the past from a change on. Runs after an earlier change are the new normal where there are enough of them."""
    before = past.after if len(past.after) >= LOOKS[0] else past.before
    return replace(past, before=before, after=(), change=change, recorded=recorded)


# --- what runs ------------------------------------------------------------------------------------


def _not_as_declared(
    manifest: Manifest, reported: Mapping[str, str], run: str, at: datetime
) -> Iterator[Finding]:
    for name in DECLARED if manifest.runtime else ():
        declared = getattr(manifest.runtime, name)
        if declared and name in reported and not _is_that(name, declared, reported[name]):
            yield _other(manifest, name, declared, reported[name], run, at)


def _model_called(
    state: State, event: StepRecorded, model: Any, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, event.workflow)
    declared = manifest.runtime.model if manifest and manifest.runtime else None
    if manifest is None or not declared or _is_that("model", declared, model):
        return state, ()
    if not manifest.alerts.drift.enabled:
        return state, ()
    return _once(state, [_other(manifest, "model", declared, str(model)[:MOST_CHARS], event.run, at)])


def _is_that(name: str, declared: str, found: Any) -> bool:
    """Answer whether that is what was declared; a model may be reported with its date: ``gpt-5-mini-2026-01-01``."""
    if name != "model" or not isinstance(found, str):
        return bool(declared == found)
    _, _, found = found.rpartition("/")
    _, _, declared = declared.rpartition("/")
    rest = found.removeprefix(declared)
    return not rest or (rest != found and rest[0] in "-@:" and any(each.isdigit() for each in rest))


def _other(manifest: Manifest, name: str, declared: str, found: str, run: str, at: datetime) -> Finding:
    alert = manifest.alerts.drift
    return Finding(
        type=IncidentType.POLICY_DRIFT,
        kind=SignalKind.ALERT,
        detector=Drift.name,
        key=f"runtime.{name}",
        workflow=manifest.workflow,
        summary=f"the run says that its {name} is {found}, and the manifest declares {declared}",
        occurred_at=at,
        facts={
            "rule": f"runtime.{name}",
            "how": "not_as_declared",
            "field": name,
            "threshold": declared,
            "value": found,
        },
        run=run,
        hold=hold_of(alert),
        severity=at_least(alert, Severity.SEV2),
    )


def _unrecorded(
    manifest: Manifest, new: Mapping[str, str], past: Past, event: RunStarted, at: datetime
) -> Finding:
    alert, signed = manifest.alerts.drift, manifest.change_control is not None
    names = sorted(new)
    first = names[0]
    more = f", and {len(names) - 1} more" if len(names) > 1 else ""
    known = past.values.get(first, ())
    return Finding(
        type=IncidentType.POLICY_DRIFT,
        kind=SignalKind.ALERT,
        detector=Drift.name,
        key=f"runtime.{first}",
        workflow=event.workflow,
        summary=f"{first} is another one than in earlier runs of version {past.version}, without a new version{more}",
        occurred_at=at,
        facts={
            "rule": "a change of what runs has a version of the manifest",
            "how": "no_change_record",
            "field": first,
            "threshold": known[-1] if known else None,
            "value": new[first],
            "changed": {name: {"before": past.values.get(name, ()), "now": new[name]} for name in names},
            "version": past.version,
        },
        run=event.run,
        hold=hold_of(alert) if signed else None,
        severity=at_least(alert, Severity.SEV2 if signed else Severity.SEV3),
        alarming=signed or insists(alert),
    )


# --- what the runs do -----------------------------------------------------------------------------


def _finished(
    state: State, event: RunFinished, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    run = state.going[event.run]
    state = replace(state, going=state.going.without(event.run))
    past = state.past.get(event.workflow)
    if past is None or not run.counts or event.status is RunStatus.ABANDONED:
        return state, ()
    did = features(run.counts)
    if not past.change:
        past = replace(past, before=(*past.before, did)[-MOST_RUNS:])
        return replace(state, past=state.past.put(event.workflow, past, at_most=MOST_WORKFLOWS)), ()
    past = replace(past, after=(*past.after, did))
    found = [*shifts(past.before, past.after)] if len(past.after) in LOOKS else []
    findings = []
    manifest = manifest_of(rules, event.workflow)
    if found and manifest is not None and manifest.alerts.drift.enabled:
        findings.append(_behaves_otherwise(manifest, found, past, event, at))
    if found or len(past.after) >= LOOKS[-1]:
        past = replace(past, before=past.after[-MOST_RUNS:], after=(), change="")
    state = replace(state, past=state.past.put(event.workflow, past, at_most=MOST_WORKFLOWS))
    return _once(state, findings)


def _behaves_otherwise(
    manifest: Manifest, found: list[Shift], past: Past, event: RunFinished, at: datetime
) -> Finding:
    alert = manifest.alerts.drift
    first = min(found, key=lambda each: each.chance)
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Finding(
        type=IncidentType.POLICY_DRIFT,
        kind=SignalKind.ALERT,
        detector=Drift.name,
        key="behaviour",
        workflow=event.workflow,
        summary=f"since {past.change} the {first.what} is {first.after:.3g}, where it was {first.before:.3g}{more}",
        occurred_at=at,
        facts={
            "rule": "the same behaviour after a change",
            "how": "behaves_otherwise",
            "threshold": first.before,
            "value": first.after,
            "unit": first.what,
            "change": past.change,
            "recorded": past.recorded,
            "runs_before": len(past.before),
            "runs_after": len(past.after),
            "shifts": to_builtins(found[:MOST_LISTED]),
        },
        run=event.run,
        hold=None if past.recorded else hold_of(alert),
        severity=at_least(alert, Severity.SEV3 if past.recorded else Severity.SEV2),
        alarming=not past.recorded or insists(alert),
    )


def _once(state: State, findings: list[Finding]) -> tuple[State, tuple[Finding, ...]]:
    told, new = once(state.told, findings)
    return (replace(state, told=told) if new else state), new
