"""Notices input that is older than its source allows, input from a source that the manifest does not declare, and input of another
account than the one that the run works for.

All are found when the input is read, before anything is made of it. A retrieval that does not say how old its data
is cannot be judged here; the audit names it. Where a manifest declares no sources at all, none is wrong.

Whose account something is about, only the manifest can say: it names the field of arguments and facts in which that stands. A run, its
retries included, works for the account that it names first. A write for another one is as wrong as a read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import lasting
from stopwork.ledger.events import CallDecided, Entry, RunFinished, RunStarted, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, Severity, SignalKind, StepKind, Verdict
from stopwork.manifest.alerts import InputAlert
from stopwork.manifest.model import Manifest

MOST_RUNS = 1_024
MOST_ACCOUNT_CHARS = 200


class State(Record):
    """``triggers`` says what started each run that goes on; ``accounts`` for whom a run works; ``told`` when a source was reported last."""

    triggers: Table[str] = Table()
    accounts: Table[str] = Table()
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
    permission: str | None = None
    effect: EffectKind = EffectKind.READ


class Wrong(Record):
    """What is wrong with an input: in words, and as rule, threshold and value. ``key`` is the cause that it shares with others."""

    key: str
    summary: str
    facts: dict[str, Any]
    at_least: Severity | None = None


class StaleInput(Detector[State]):
    """Fires when a run reads input that is too old, from a place nobody declared, or of somebody else's account."""

    name: ClassVar[str] = "stale_input"
    watches = (RunStarted, RunFinished, StepRecorded, CallDecided)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                return (
                    _called(state, event, entry.at, rules) if event.verdict is Verdict.ALLOW else (state, ())
                )
            case StepRecorded() as event:
                return (
                    _read(state, event, entry.at, rules) if event.kind is StepKind.RETRIEVAL else (state, ())
                )
            case RunStarted() as event:
                state = replace(
                    state, triggers=state.triggers.put(event.run, event.trigger, at_most=MOST_RUNS)
                )
                before = state.accounts.get(event.retry_of or "")
                return state if before is None else _works_for(state, event.run, before), ()
            case RunFinished() as event if event.run in state.triggers:
                return replace(state, triggers=state.triggers.without(event.run)), ()
            case _:
                return state, ()


def _works_for(state: State, run: str, account: str) -> State:
    return replace(state, accounts=state.accounts.put(run, account, at_most=MOST_RUNS))


def _read(
    state: State, event: StepRecorded, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or not manifest.alerts.stale_input.enabled:
        return state, ()
    read = Input(
        workflow=event.workflow,
        run=event.run,
        source=event.source or "",
        name=event.name,
        at=at,
        as_of=event.as_of,
        step=event.step,
    )
    wrong = _wrong_source(read, manifest) if event.source else None
    return _judge(state, read, event.facts, wrong, manifest)


def _called(
    state: State, event: CallDecided, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    reads = event.effect is EffectKind.READ and event.source is not None
    manifest = manifest_of(rules, event.workflow)
    if manifest is None or not manifest.alerts.stale_input.enabled:
        return state, ()
    if not reads and not manifest.alerts.stale_input.account:
        return state, ()
    read = Input(
        workflow=event.workflow,
        run=event.run,
        source=event.source or "",
        name=event.tool,
        at=at,
        call=event.call,
        permission=event.permission,
        effect=event.effect,
    )
    return _judge(state, read, event.args, _wrong_source(read, manifest) if reads else None, manifest)


def _judge(
    state: State, read: Input, fields: Mapping[str, Any], wrong: Wrong | None, manifest: Manifest
) -> tuple[State, tuple[Finding, ...]]:
    alert = manifest.alerts.stale_input
    found = [wrong] if wrong else []
    if alert.account and (account := _account_in(fields, alert.account)):
        own = state.accounts.get(read.run)
        if own is None:
            state = _works_for(state, read.run, account)
        elif own != account:
            found.append(_wrong_account(read, own, account, alert.account))
    if not found:
        return state, ()
    told, new = once(
        state.told, [_finding(read, alert, each, state.triggers.get(read.run)) for each in found]
    )
    return (replace(state, told=told) if new else state), new


def _account_in(fields: Mapping[str, Any], path: str) -> str | None:
    """Answer the account that stands in such a field, for example ``customer.id``; ``None`` where there is none."""
    found: Any = fields
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        return None
    return str(found)[:MOST_ACCOUNT_CHARS]


def _wrong_account(read: Input, own: str, account: str, field: str) -> Wrong:
    verb = "read" if read.effect is EffectKind.READ else "was called"
    alike = "; they differ in nothing but capital letters" if own.casefold() == account.casefold() else ""
    return Wrong(
        key="another account",
        summary=f"{read.name} {verb} for {account}, while the run works for {own}{alike}",
        facts={
            "rule": "alerts.stale_input.account",
            "threshold": own,
            "value": account,
            "unit": "the account that a run works for",
            "field": field,
            "tool": read.name if read.call else None,
            "effect": read.effect.value,
            "permission": read.permission,
        },
        at_least=Severity.SEV2,
    )


def _wrong_source(read: Input, manifest: Manifest) -> Wrong | None:
    """Answer what is wrong with where an input came from; ``None`` when nothing is."""
    declared = manifest.sources.get(read.source)
    if declared is None:
        if not manifest.sources:
            return None
        return Wrong(
            key=read.source,
            summary=f"{read.name} read {read.source}, which is not among the sources that the manifest declares",
            facts={"rule": "sources", "threshold": sorted(manifest.sources), "value": read.source},
        )
    if declared.fresh_within is None or read.as_of is None:
        return None
    age_s = (read.at - read.as_of).total_seconds()
    allowed_s = declared.fresh_within.total_seconds()
    if age_s <= allowed_s:
        return None
    return Wrong(
        key=read.source,
        summary=f"{read.name} read {read.source} as it was {lasting(age_s)} before; {lasting(allowed_s)} is allowed",
        facts={
            "rule": f"sources.{read.source}.fresh_within",
            "threshold": allowed_s,
            "value": age_s,
            "unit": "seconds since the data was true",
        },
    )


def _finding(read: Input, alert: InputAlert, wrong: Wrong, trigger: str | None) -> Finding:
    severity = at_least(alert, wrong.at_least) if wrong.at_least else alert.severity
    return Finding(
        type=IncidentType.STALE_OR_WRONG_INPUT,
        kind=SignalKind.ALERT,
        detector=StaleInput.name,
        key=wrong.key,
        workflow=read.workflow,
        summary=wrong.summary,
        occurred_at=read.at,
        facts=wrong.facts
        | {
            "source": read.source or None,
            "as_of": read.as_of.isoformat() if read.as_of else None,
            "step": read.step,
            "trigger": trigger,
        },
        run=read.run,
        call=read.call,
        hold=hold_of(alert),
        severity=severity,
    )
