"""Preserve: what belongs into an incident's evidence, by kind, and what is missing from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.ledger.words import EvidenceKind, StepKind


class Evidence(Struct, frozen=True, kw_only=True):
    """The collected items of one kind; ``missing`` says what the records do not hold, and is empty when nothing is."""

    kind: EvidenceKind
    items: tuple[Any, ...]
    missing: str = ""


def collect(case: Case) -> tuple[Evidence, ...]:
    """Answer all ten kinds in order; a kind without items says why it has none."""
    runtimes = [{"run": run.id, **run.runtime} for run in case.runs]
    retrievals = [step for step in case.steps if step.kind is StepKind.RETRIEVAL]
    models = [step for step in case.steps if step.kind is StepKind.MODEL_CALL]
    guardrails = [step for step in case.steps if step.kind is StepKind.GUARDRAIL]
    stopped = [
        {"call": call.id, "tool": call.tool, "verdict": call.verdict, "reasons": call.reasons}
        for call in case.calls
        if call.reasons
    ]
    outputs = [
        {
            "call": call.id,
            "tool": call.tool,
            "outcome": call.outcome,
            "result": call.result,
            "error": call.error,
        }
        for call in case.calls
        if call.outcome is not None
    ]
    outputs += [
        {"step": step.id, "name": step.name, **step.facts}
        for step in case.steps
        if step.kind is StepKind.MESSAGE
    ]
    connectors = [
        {
            "call": effect.call,
            "object": effect.object,
            "operation": effect.operation,
            "found_by": effect.source,
        }
        for effect in case.effects
    ]
    collected: dict[EvidenceKind, tuple[Sequence[Any], str]] = {
        EvidenceKind.RUN_RECORD: (list(case.runs), "No run is recorded for this incident."),
        EvidenceKind.PROMPT_VERSION: (
            [each for each in runtimes if each.get("prompt")],
            "No run reported the version of its prompt.",
        ),
        EvidenceKind.MODEL_VERSION: (
            [each for each in runtimes if each.get("model")] + models,
            "No run reported its model and no model call is recorded.",
        ),
        EvidenceKind.INPUT_SNAPSHOT: (
            retrievals,
            "No retrieval is recorded: what the agent read is not known.",
        ),
        EvidenceKind.TOOL_TRACE: (list(case.calls), "No tool call passed the guard."),
        EvidenceKind.APPROVAL_STATE: (list(case.approvals), "No approval was asked for."),
        EvidenceKind.OUTPUTS: (outputs, "No output is recorded."),
        EvidenceKind.CONNECTOR_LOG: (connectors, "No effect was observed in a connected system."),
        EvidenceKind.GUARDRAIL_RESULTS: (
            guardrails + stopped,
            "No guardrail and no rule answered anything but yes.",
        ),
        EvidenceKind.ALERTS_AND_CHAT: (list(case.signals), "No signal is recorded."),
    }
    return tuple(
        Evidence(kind=kind, items=tuple(items), missing="" if items else why)
        for kind, (items, why) in collected.items()
    )
