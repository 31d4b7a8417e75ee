"""Notices calls that follow what their run has read from outside, instead of its task.

Whether a call does is weighed when it is decided (:mod:`stopwork.control.steering`), with everything that the run had read by then, and put on
record with the decision. So what is told here and what stopped the call, or let it pass, is never different.

A call that was stopped is told as one that went through is: the text is still there, and the next run reads it. A call that people have
approved, with the passage before their eyes, is not told again.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec.structs import replace

from stopwork.control.steering.reason import in_words
from stopwork.detect.detector import Detector, Finding, is_quiet
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, manifest_of
from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, Entry
from stopwork.ledger.records import Record, Suspicion
from stopwork.ledger.words import EffectKind, IncidentType, ReasonKind, Severity, SignalKind, Verdict
from stopwork.manifest.alerts import InjectionAlert

MOST_CALLS = 1_024
MOST_TOLD = 1_024
MOST_KEY_CHARS = 200


class State(Record):
    """``calls`` says of each call that was found whether it had gone through; ``told`` when each cause was reported last."""

    calls: Table[bool] = Table()
    told: Table[datetime] = Table()


class PromptInjection(Detector[State]):
    """Fires when a call was found to follow a text from outside, whether or not it was stopped."""

    name: ClassVar[str] = "prompt_injection"
    watches = (CallDecided,)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        event = entry.event
        if not isinstance(event, CallDecided) or event.suspicion is None or _is_approved(event):
            return state, ()
        manifest = manifest_of(rules, event.workflow)
        if manifest is None or not manifest.alerts.prompt_injection.enabled:
            return state, ()
        through = event.verdict is Verdict.ALLOW
        known = state.calls.get(event.call)
        if known is True or known is through:
            return state, ()
        state = replace(state, calls=state.calls.put(event.call, through, at_most=MOST_CALLS))
        key = _cause(event.suspicion)
        about = f"{event.workflow}\x1f{key}\x1f{through}"
        if is_quiet(state.told, about, entry.at):
            return state, ()
        state = replace(state, told=state.told.put(about, entry.at, at_most=MOST_TOLD))
        found = _finding(event, event.suspicion, key, entry.at, manifest.alerts.prompt_injection)
        return state, (found,)


def _is_approved(event: CallDecided) -> bool:
    """Answer whether people have let the call pass, for this reason among others."""
    return event.approval is not None and any(
        reason.kind is ReasonKind.INJECTION and reason.verdict is Verdict.ALLOW for reason in event.reasons
    )


def _cause(suspicion: Suspicion) -> str:
    return f"{suspicion.source}: {suspicion.item or suspicion.record}"[:MOST_KEY_CHARS]


def _finding(
    event: CallDecided, suspicion: Suspicion, key: str, at: datetime, alert: InjectionAlert
) -> Finding:
    through = event.verdict is Verdict.ALLOW
    harmful = through and event.effect is not EffectKind.READ
    did = "ran" if through else "was stopped"
    return Finding(
        type=IncidentType.PROMPT_INJECTION,
        kind=SignalKind.SECURITY,
        detector=PromptInjection.name,
        key=key,
        workflow=event.workflow,
        summary=f"{event.tool} {did}: {in_words(suspicion)}",
        occurred_at=at,
        facts={
            "rule": "alerts.prompt_injection.score",
            "threshold": alert.score,
            "value": suspicion.score,
            "unit": "sum of clues",
            "clues": [clue.value for clue in suspicion.clues],
            "source": suspicion.source,
            "item": suspicion.item,
            "read_by": suspicion.record,
            "passage": suspicion.passage,
            "disguise": suspicion.disguise,
            "field": suspicion.field,
            "argument": suspicion.value,
            "tool": event.tool,
            "effect": event.effect.value,
            "permission": event.permission,
            "trigger": event.trigger,
            "verdict": event.verdict.value,
            "would": event.would.value,
            "went_through": through,
            "records": [event.call, suspicion.record],
        },
        run=event.run,
        call=event.call,
        # What a workflow does that is only observed is told, and nothing is stopped.
        hold=hold_of(alert) if event.verdict is event.would else None,
        severity=at_least(alert, Severity.SEV1 if harmful else Severity.SEV2),
    )
