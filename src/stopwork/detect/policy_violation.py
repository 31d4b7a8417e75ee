"""Notices calls that break a rule of the manifest, calls that do more than it declares, and guardrails that report something.

What was prevented is logged; only when one run does the same thing again and again is it alarming: an agent that is
told no tries something else, one that does not is misused or lost. What went through is alarming at once: a write
that ran because the workflow is only observed, or a guardrail that saw something and stopped nothing. No hold is set
for a workflow that is only observed.

A guardrail is a step of kind ``guardrail``. It reports a violation by the facts ``violated: true`` (it saw one) or
``blocked: true`` (it saw one and stopped it), and may name the ``rule`` and the ``tool`` it is about.

A call does more than is declared when it is seen to change what its effect and ``also`` do not cover: a read that wrote, a create that
deleted. What the place itself has laid to the call, or the object that the call names, is certain. What a scan showed may have been done by somebody
else meanwhile, and is logged until it happens again and again.

A tool that the manifest does not declare is refused for that: it is nobody's permission to use it.

A person who rejects a call breaks no rule, nor does a call that meets a hold, a stage or a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, facts_of, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.events import (
    CallDecided,
    CallFinished,
    EffectsObserved,
    Entry,
    RunFinished,
    RunStarted,
    StepRecorded,
)
from stopwork.ledger.records import Effect, Reason, Record
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    ReasonKind,
    Severity,
    SignalKind,
    StepKind,
    Verdict,
)
from stopwork.manifest.model import Alert

AGAIN_AND_AGAIN = 3
"""So many violations of one kind in one run are alarming although each was prevented."""

SCAN = "scan"
"""The source of an effect that is known only from a look before and a look after the call."""

_RULES: Final = frozenset({ReasonKind.RISK, ReasonKind.CONDITION})

MOST_RUNS = 1_024
MOST_KEYS = 100
MOST_RECORDS = 50
MOST_RULE_CHARS = 200
MOST_ITEM_CHARS = 500
MOST_OBJECTS = 20


class Tally(Record):
    """The calls and steps of one kind that broke a rule; ``dropped`` ones are counted but not listed."""

    records: tuple[str, ...] = ()
    dropped: int = 0

    @property
    def count(self) -> int:
        return len(self.records) + self.dropped


class Conduct(Record):
    """What one run did against the rules, by what it concerns."""

    trigger: str | None = None
    tallies: Table[Tally] = Table()


class State(Record):
    """``told`` says when a violation of one kind was reported last."""

    runs: Table[Conduct] = Table()
    told: Table[datetime] = Table()


class Violation(Record):
    """One call or guardrail step that broke a rule. ``record`` is its id."""

    key: str
    record: str
    workflow: str
    run: str
    at: datetime
    summary: str
    facts: dict[str, Any]
    went_through: bool
    observed_only: bool = False
    call: str | None = None
    type: IncidentType = IncidentType.TOOL_MISUSE
    title: str = ""


class PolicyViolation(Detector[State]):
    """Fires when a condition or a blocked risk refuses a call, or that its tool is not declared, when one does more than is declared, and when a guardrail reports a violation."""

    name: ClassVar[str] = "policy_violation"
    watches = (RunStarted, RunFinished, CallDecided, StepRecorded, CallFinished, EffectsObserved)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                # A call that waits for people is decided again when they have answered.
                if event.would is not Verdict.DENY or event.verdict is Verdict.WAIT:
                    return state, ()
                broken = _broken(event, rules)
                return _judge(state, _by_call(event, broken, entry.at), rules) if broken else (state, ())
            case StepRecorded() as event:
                if event.kind is not StepKind.GUARDRAIL or not _reports_violation(event):
                    return state, ()
                return _judge(state, _by_guardrail(event, entry.at), rules)
            case CallFinished() | EffectsObserved() as event:
                further = [effect for effect in event.effects if effect.exceeds is not None]
                return _judge(state, _by_effects(further, entry.at), rules) if further else (state, ())
            case RunStarted() as event:
                conduct = replace(_conduct(state, event.run), trigger=event.trigger)
                return _put(state, event.run, conduct), ()
            case RunFinished() as event if event.run in state.runs:
                return replace(state, runs=state.runs.without(event.run)), ()
            case _:
                return state, ()


def _broken(event: CallDecided, rules: Rulebook) -> list[Reason]:
    """Answer the reasons that are rules of the manifest. Whoever only observes is still finding out which tools there are."""
    kinds = _RULES
    if (
        event.verdict is Verdict.DENY
        and event.reasons[:1]
        and event.reasons[0].kind is ReasonKind.REGISTRATION
    ):
        manifest = manifest_of(rules, event.workflow)
        if manifest is not None and event.tool not in manifest.tools:
            kinds = _RULES | {ReasonKind.REGISTRATION}
    return [each for each in event.reasons if each.verdict is Verdict.DENY and each.kind in kinds]


def _by_call(event: CallDecided, broken: list[Reason], at: datetime) -> Violation:
    why = "; ".join(reason.text for reason in broken)
    ran = event.verdict is Verdict.ALLOW
    if ran:
        summary = f"{event.tool} ran although a rule refuses it, because the workflow is only observed: {why}"
    else:
        summary = f"{event.tool} was refused: {why}"
    return Violation(
        key=event.tool,
        record=event.call,
        workflow=event.workflow,
        run=event.run,
        at=at,
        summary=summary,
        facts={
            "rule": broken[0].source,
            "why": why,
            "verdict": event.verdict.value,
            "would": event.would.value,
            **facts_of(event),
        },
        went_through=ran and event.effect is not EffectKind.READ,
        observed_only=ran,
        call=event.call,
    )


def _by_effects(further: Sequence[Effect], at: datetime) -> Violation:
    first = further[0]
    seen = [effect for effect in further if effect.source == SCAN]
    sure = len(seen) < len(further)
    did = listed(f"{effect.operation} {effect.object}" for effect in further)
    doubt = "" if sure else " (seen by a scan: somebody else may have done it meanwhile)"
    return Violation(
        key=f"{first.tool} exceeds {first.exceeds}",
        record=first.call,
        workflow=first.workflow,
        run=first.run,
        at=at,
        summary=f"{first.tool} is declared as {first.exceeds}, and it {did}{doubt}",
        facts={
            "rule": f"tools.{first.tool}.effect",
            "tool": first.tool,
            "effect": str(first.exceeds),
            "objects": [str(effect.object) for effect in further[:MOST_OBJECTS]],
            "operations": sorted({effect.operation.value for effect in further}),
            "certain": sure,
        },
        went_through=sure,
        call=first.call,
        type=IncidentType.POLICY_DRIFT,
        title=f"{first.tool} does more than it declares",
    )


def _reports_violation(event: StepRecorded) -> bool:
    return event.facts.get("violated") is True or event.facts.get("blocked") is True


def _by_guardrail(event: StepRecorded, at: datetime) -> Violation:
    blocked = event.facts.get("blocked") is True
    rule, tool = event.facts.get("rule"), event.facts.get("tool")
    rule = rule[:MOST_RULE_CHARS] if isinstance(rule, str) else ""
    what = f" ({rule})" if rule else ""
    did = "blocked something" if blocked else "reported a violation and blocked nothing"
    return Violation(
        key=f"guardrail {event.name}",
        record=event.step,
        workflow=event.workflow,
        run=event.run,
        at=at,
        summary=f"the guardrail {event.name} {did}{what}",
        facts={"rule": rule or event.name, "guardrail": event.name, "step": event.step, "blocked": blocked}
        | ({"tool": tool} if isinstance(tool, str) else {})
        | _of_item(event),
        went_through=not blocked,
    )


def _of_item(event: StepRecorded) -> dict[str, str]:
    """Answer which item of which source the guardrail is about, where it says so: a pause may then be of that item alone."""
    item = event.facts.get("item")
    if event.source is None or not isinstance(item, str | int) or isinstance(item, bool):
        return {}
    return {"source": event.source, "item": str(item)[:MOST_ITEM_CHARS]}


def _judge(state: State, found: Violation, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
    manifest = manifest_of(rules, found.workflow)
    conduct = _conduct(state, found.run)
    tally = conduct.tallies.get(found.key, Tally())
    if manifest is None or not manifest.alerts.policy_violation.enabled or found.record in tally.records:
        return state, ()
    records = (*tally.records, found.record)
    tally = Tally(records=records[-MOST_RECORDS:], dropped=tally.dropped + (len(records) > MOST_RECORDS))
    tallies = conduct.tallies.put(found.key, tally, at_most=MOST_KEYS)
    state = _put(state, found.run, replace(conduct, tallies=tallies))

    alert = manifest.alerts.policy_violation
    grave = found.went_through or tally.count >= AGAIN_AND_AGAIN
    told, new = once(state.told, [_finding(found, tally, conduct.trigger, alert, grave=grave)])
    return (replace(state, told=told) if new else state), new


def _finding(found: Violation, tally: Tally, trigger: str | None, alert: Alert, *, grave: bool) -> Finding:
    again = f", {count_of(tally.count, 'time')} in this run" if tally.count > 1 else ""
    return Finding(
        type=found.type,
        kind=SignalKind.POLICY_VIOLATION,
        detector=PolicyViolation.name,
        key=found.key,
        workflow=found.workflow,
        summary=f"{found.summary}{again}",
        occurred_at=found.at,
        facts={
            "trigger": trigger,
            **found.facts,
            "threshold": 1 if found.went_through else AGAIN_AND_AGAIN,
            "value": tally.count,
            "unit": "violations in one run",
            "went_through": found.went_through,
            "records": list(tally.records),
        },
        run=found.run,
        call=found.call,
        hold=None if found.observed_only else hold_of(alert),
        severity=at_least(alert, Severity.SEV2 if grave else Severity.SEV3),
        alarming=grave or insists(alert),
        title=found.title,
    )


def _conduct(state: State, run: str) -> Conduct:
    return state.runs.get(run, Conduct())


def _put(state: State, run: str, conduct: Conduct) -> State:
    return replace(state, runs=state.runs.put(run, conduct, at_most=MOST_RUNS))
