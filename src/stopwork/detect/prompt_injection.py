"""Notices calls that follow what their run has read from outside, instead of its task.

Whether a call does is weighed when it is decided (:mod:`stopwork.control.steering`), with everything that the run had read by then, and put on
record with the decision. So what is told here and what stopped the call, or let it pass, is never different.

A call that was stopped is told as one that went through is: the text is still there, and the next run reads it. A call that people have
approved, with the passage before their eyes, is not told again. All that follows one source has one cause: who writes there writes more than once.

Where the task leaves such calls to what is read, as one that has invoices paid, an address that is new is asked about and logged: it is alarming once people
have refused it, or where nobody was asked.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final

from msgspec.structs import replace

from stopwork.control.steering.reason import in_words
from stopwork.detect.detector import Detector, Finding, facts_of, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists, manifest_of
from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, Entry
from stopwork.ledger.records import Record, Suspicion
from stopwork.ledger.words import Clue, EffectKind, IncidentType, Severity, SignalKind, Verdict
from stopwork.manifest.alerts import InjectionAlert

MOST_CALLS = 1_024
MOST_KEY_CHARS = 200


#: What nobody asks for who only has work done: each of these is alarming by itself.
_GRAVE: Final = frozenset(
    {
        Clue.NOT_ASKED,
        Clue.NO_TASK,
        Clue.SPEAKS_TO_AGENT,
        Clue.HIDDEN,
        Clue.STEERED_BEFORE,
        Clue.CARRIES_OUT,
    }
)


class Fate(StrEnum):
    """What became of a call that was found."""

    STOPPED = "stopped"
    REFUSED = "refused"
    RAN = "ran"


class State(Record):
    """``calls`` says of each call that was found what became of it last; ``told`` when each thing that was read was reported last."""

    calls: Table[Fate] = Table()
    told: Table[datetime] = Table()


class PromptInjection(Detector[State]):
    """Fires when a call was found to follow a text from outside, whether or not it was stopped."""

    name: ClassVar[str] = "prompt_injection"
    watches = (CallDecided,)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        event = entry.event
        if not isinstance(event, CallDecided) or event.suspicion is None or event.let_pass:
            return state, ()
        manifest = manifest_of(rules, event.workflow)
        if manifest is None or not manifest.alerts.prompt_injection.enabled:
            return state, ()
        fate = _fate(event)
        known = state.calls.get(event.call)
        if known is Fate.RAN or known is fate:
            return state, ()
        state = replace(state, calls=state.calls.put(event.call, fate, at_most=MOST_CALLS))
        item = event.suspicion.item or event.suspicion.record
        found = _finding(event, event.suspicion, fate, entry.at, manifest.alerts.prompt_injection)
        told, new = once(state.told, [found], item[:MOST_KEY_CHARS], fate)
        return (replace(state, told=told) if new else state), new


def _fate(event: CallDecided) -> Fate:
    if event.verdict is Verdict.ALLOW:
        return Fate.RAN
    by_people = (reason.verdict for reason in event.reasons if reason.source == event.approval)
    return Fate.REFUSED if Verdict.DENY in by_people else Fate.STOPPED


def _is_alarming(event: CallDecided, suspicion: Suspicion, fate: Fate) -> bool:
    """Answer whether there is more to it than that people are asked, or would be, about a call that the task leaves to what is read."""
    asked = fate is Fate.STOPPED or event.would is Verdict.WAIT
    delegated = Clue.DELEGATED in suspicion.clues and _GRAVE.isdisjoint(suspicion.clues)
    return not (asked and delegated)


def _finding(
    event: CallDecided, suspicion: Suspicion, fate: Fate, at: datetime, alert: InjectionAlert
) -> Finding:
    through = fate is Fate.RAN
    harmful = through and event.effect is not EffectKind.READ
    did = "was refused by people" if fate is Fate.REFUSED else "ran" if through else "was stopped"
    return Finding(
        type=IncidentType.PROMPT_INJECTION,
        kind=SignalKind.SECURITY,
        detector=PromptInjection.name,
        key=suspicion.source[:MOST_KEY_CHARS],
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
            **facts_of(event),
            "verdict": event.verdict.value,
            "would": event.would.value,
            "went_through": through,
            "refused": fate is Fate.REFUSED,
            "records": [event.call, suspicion.record],
        },
        run=event.run,
        call=event.call,
        # What a workflow does that is only observed is told, and nothing is stopped.
        hold=hold_of(alert) if event.verdict is event.would else None,
        alarming=_is_alarming(event, suspicion, fate) or insists(alert),
        severity=at_least(alert, Severity.SEV1 if harmful else Severity.SEV2),
    )
