"""Preserve: what belongs into an incident's evidence, by kind, what is missing from it and what to do about that, and when it is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.ledger import records as r
from stopwork.ledger.words import EffectKind, EvidenceKind, IncidentStatus, Severity, StepKind

#: From this level on evidence is kept by itself.
KEPT_BY_ITSELF: Final = (Severity.SEV0, Severity.SEV1, Severity.SEV2)
#: Evidence is sealed again by itself when more has come, each time after twice as long as the time before, and no more often than this.
FIRST_WAIT: Final = timedelta(minutes=5)
MOST_BY_ITSELF: Final = 8
UNDER_WAY: Final = (
    IncidentStatus.INVESTIGATING,
    IncidentStatus.CONTAINED,
    IncidentStatus.RECOVERING,
    IncidentStatus.MONITORING,
)


class Evidence(Struct, frozen=True, kw_only=True):
    """The collected items of one kind; ``missing`` says what the records do not hold and what to do, and is empty when nothing is."""

    kind: EvidenceKind
    items: tuple[Any, ...]
    missing: str = ""


def collect(
    case: Case, notes: Sequence[r.Note] = (), changes: Sequence[r.FeedChange] = ()
) -> tuple[Evidence, ...]:
    """Answer all ten kinds in order; a kind without items says why it has none, and what to do.

    ``changes`` are what systems of record told of the :func:`objects_of` the case.
    """
    return tuple(
        Evidence(kind=kind, items=tuple(items), missing="" if items else _MISSING[kind])
        for kind, items in _items(case, notes, changes).items()
    )


def objects_of(case: Case) -> tuple[str, ...]:
    """Answer the objects that a case is about: those that its calls changed, and those that its signals name."""
    changed = (effect.object_key for effect in case.effects)
    named = (signal.facts.get("objects") for signal in case.signals)
    told = (
        each for some in named if isinstance(some, list | tuple) for each in some if isinstance(each, str)
    )
    return tuple(dict.fromkeys((*changed, *told)))


def _items(
    case: Case, notes: Sequence[r.Note], changes: Sequence[r.FeedChange]
) -> dict[EvidenceKind, list[Any]]:
    steps = {kind: [step for step in case.steps if step.kind is kind] for kind in StepKind}
    runtimes = [
        {"run": run.id, "manifest": run.version, "digests": run.digests, **run.runtime} for run in case.runs
    ]
    models = steps[StepKind.MODEL_CALL]
    return {
        EvidenceKind.RUN_RECORD: list(case.runs),
        EvidenceKind.PROMPT_VERSION: [each for each in runtimes if each.get("prompt")]
        + [_of_step(step) for step in models if "prompt" in step.facts],
        EvidenceKind.MODEL_VERSION: [each for each in runtimes if each.get("model")] + models,
        EvidenceKind.INPUT_SNAPSHOT: [
            *steps[StepKind.RETRIEVAL],
            *(_read(call) for call in case.permitted if call.effect is EffectKind.READ),
        ],
        EvidenceKind.TOOL_TRACE: list(case.calls),
        EvidenceKind.APPROVAL_STATE: list(case.approvals),
        EvidenceKind.OUTPUTS: [_output(call) for call in case.calls if call.outcome is not None]
        + [_of_step(step) for step in steps[StepKind.MESSAGE]],
        EvidenceKind.CONNECTOR_LOG: [*case.effects, *changes],
        EvidenceKind.GUARDRAIL_RESULTS: [
            *steps[StepKind.GUARDRAIL],
            *(_judged(call) for call in case.calls if call.reasons),
        ],
        EvidenceKind.ALERTS_AND_CHAT: [*case.signals, *notes, *case.messages],
    }


def _of_step(step: r.Step) -> dict[str, Any]:
    return {"step": step.id, "run": step.run, "at": step.at, "name": step.name, **step.facts}


def _read(call: r.Call) -> dict[str, Any]:
    return {
        "call": call.id,
        "tool": call.tool,
        "args": call.args,
        "read": call.result,
        "at": call.requested_at,
    }


def _output(call: r.Call) -> dict[str, Any]:
    return {
        "call": call.id,
        "tool": call.tool,
        "outcome": call.outcome,
        "result": call.result,
        "error": call.error,
    }


def _judged(call: r.Call) -> dict[str, Any]:
    return {"call": call.id, "tool": call.tool, "verdict": call.verdict, "reasons": call.reasons}


_MISSING: Final = {
    EvidenceKind.RUN_RECORD: "No run is recorded for this incident. Name its runs when it is opened, or audit the time it is about.",
    EvidenceKind.PROMPT_VERSION: "No run reported the version of its prompt. Report it when a run begins: runtime={'prompt': …}.",
    EvidenceKind.MODEL_VERSION: "No run reported its model and no model call is recorded. Report it when a run begins, or record model "
    "calls as steps.",
    EvidenceKind.INPUT_SNAPSHOT: "No retrieval and no reading call is recorded: what the agent read is not known. Record retrievals as steps, "
    "and keep the mails, pages and documents of that time where they are.",
    EvidenceKind.TOOL_TRACE: "No tool call passed the guard. Collect the logs of whatever the agent called without it.",
    EvidenceKind.APPROVAL_STATE: "No approval was asked for. Where people agreed on another way, note when and how.",
    EvidenceKind.OUTPUTS: "No output is recorded. Keep what the agent wrote or sent where it arrived.",
    EvidenceKind.CONNECTOR_LOG: "No effect was observed in a connected system. Export the history of the systems that it can reach.",
    EvidenceKind.GUARDRAIL_RESULTS: "No guardrail and no rule answered anything but yes.",
    EvidenceKind.ALERTS_AND_CHAT: "No signal, note or message is recorded. Write down as notes what people saw, and when.",
}


def due_because(incident: r.Incident, bundles: Sequence[r.Bundle], now: datetime, *, more: bool) -> str:
    """Answer why evidence is to be sealed by itself now; empty when it is not.

    There is ``more`` when something of the incident is in none of its bundles. Whatever is sealed again waits longer each time.
    """
    if incident.status not in UNDER_WAY or incident.severity not in KEPT_BY_ITSELF:
        return ""
    if not bundles:
        return f"by itself, because the incident is {incident.severity.name}"
    last = max(bundles, key=lambda bundle: bundle.at)
    again = [bundle for bundle in bundles if bundle.automatic]
    if not more or len(again) >= MOST_BY_ITSELF:
        return ""
    wait = FIRST_WAIT * 2 ** max(0, len(again) - 1)
    return "by itself, because more has come since" if now >= last.at + wait else ""
