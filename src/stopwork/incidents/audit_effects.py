"""Audit questions about what was changed: writes, what went outside, which records have to be corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stopwork.incidents.affected import AffectedObject, affected_objects
from stopwork.incidents.audit_gaps import each_of
from stopwork.incidents.case import Case
from stopwork.incidents.unfinished import unfinished
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Tool


def writes(case: Case) -> r.Answer:
    """Answer which calls changed something, and what."""
    by_call: dict[str, list[r.Effect]] = {}
    for effect in case.effects:
        by_call.setdefault(effect.call, []).append(effect)
    findings = []
    nameless: list[str] = []
    unseen = []
    for call in case.permitted:
        effects = by_call.get(call.id, [])
        declared_read = call.effect is w.EffectKind.READ
        if declared_read and not effects:
            continue
        findings.append(
            {
                "call": call.id,
                "tool": call.tool,
                "outcome": call.outcome,
                "objects": [str(effect.object) for effect in effects],
                "note": _further(effects),
            }
        )
        tool = case.tool(call)
        if unfinished(call) and not declared_read:
            unseen.append(_nobody_saw(call, tool, effects))
        elif not effects and call.outcome is not w.Outcome.FAILED and (tool is None or tool.object is None):
            nameless.append(call.tool)
    further = sum(bool(finding["note"]) for finding in findings)
    return r.Answer(
        question=w.Question.WRITES,
        summary=f"{count_of(len(findings), 'writing call')} changed {count_of(len(affected_objects(case)), 'object')}"
        + (f"; {further} did more than the manifest declares." if further else "."),
        findings=tuple(findings),
        records=tuple(str(finding["call"]) for finding in findings),
        missing=(
            *unseen,
            *_not_looked_at(case),
            *each_of("A call of {} may have changed something that it does not name{}.", nameless),
        ),
    )


def _further(effects: list[r.Effect]) -> str:
    """Say what a call did that its tool does not declare."""
    further = [effect for effect in effects if effect.exceeds is not None]
    if not further:
        return ""
    if further[0].exceeds is w.EffectKind.READ:
        return "declared as a read, and it wrote"
    did = listed(f"{effect.operation} {effect.object}" for effect in further)
    return f"declared as {further[0].exceeds}, and it {did}"


def _not_looked_at(case: Case) -> Iterator[str]:
    """Say in which systems nobody could look what calls changed, those of one tool with one reason together."""
    places = [
        f"What {call.tool} changed in {system} is not known: {why}"
        for call in case.permitted
        for system, why in call.unseen.items()
    ]
    yield from each_of("{}{}.", places)


def _nobody_saw(call: r.Call, tool: Tool | None, effects: list[r.Effect]) -> str:
    """Say what follows from a call that began and whose end nobody saw, and how to find out."""
    objects = listed(dict.fromkeys(str(effect.object) for effect in effects))
    if objects:
        held = f"it may have changed {objects}"
    elif tool is not None and tool.object is not None:
        held = "what it may have changed is named only by its result"
    else:
        held = "what it may have changed is named nowhere"
    return (
        f"Nobody saw how {call.id} ({call.tool}) ended; {held}. "
        f"Look, then settle it: stopwork calls reconcile {call.id} succeeded|failed"
    )


def external_sends(case: Case) -> r.Answer:
    """Answer which calls reached people outside."""
    sends = []
    for call in case.permitted:
        tool = case.tool(call)
        if call.effect is w.EffectKind.SEND or (tool is not None and tool.external):
            sends.append(
                {
                    "call": call.id,
                    "tool": call.tool,
                    "destination": call.destination,
                    "outcome": call.outcome,
                    "args": call.args,
                }
            )
    return r.Answer(
        question=w.Question.EXTERNAL_SENDS,
        summary=f"{count_of(len(sends), 'call')} reached people outside."
        if sends
        else "Nothing was sent outside.",
        findings=tuple(sends),
        records=tuple(str(send["call"]) for send in sends),
    )


def records_to_correct(case: Case) -> r.Answer:
    """Answer which objects have to be looked at, and what can be put back."""
    objects = affected_objects(case)
    findings = tuple(
        {
            "object": str(each.object),
            "operation": each.operation,
            "calls": list(each.calls),
            "approvals": list(each.approvals),
            "reversible": each.reversible,
            "transient": each.transient,
        }
        for each in objects
    )
    lasting = [each for each in objects if not each.transient]
    return r.Answer(
        question=w.Question.RECORDS_TO_CORRECT,
        summary=f"{count_of(len(lasting), 'object')} to look at, "
        f"{sum(each.reversible for each in lasting) or 'none'} can be put back.",
        findings=findings,
        records=tuple(effect for each in objects for effect in each.effects),
        missing=(
            *_not_seen(lasting, "held before", lambda each: each.before),
            *_not_seen(lasting, "was left holding", lambda each: each.after),
        ),
    )


def _not_seen(
    objects: list[AffectedObject], what: str, image: Callable[[AffectedObject], r.Image]
) -> Iterator[str]:
    """Say of which objects an image is missing, those with one reason together."""
    names: dict[str, list[str]] = {}
    for each in objects:
        if image(each).state is w.ImageState.UNKNOWN:
            names.setdefault(image(each).note, []).append(str(each.object))
    for note, those in names.items():
        yield f"What {listed(those)} {what} is not recorded" + (f": {note}." if note else ".")
