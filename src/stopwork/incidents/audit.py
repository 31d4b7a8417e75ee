"""The side-effect audit: twelve questions, each answered from records and never from the agent's own account.

:func:`answers` gives one :class:`~stopwork.ledger.records.Answer` per question, in the order of
:class:`~stopwork.ledger.words.Question`. What the records cannot tell stands in ``missing``.
The list of changed objects that goes with them is :mod:`stopwork.incidents.affected`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stopwork.incidents.affected import AffectedObject, affected_objects
from stopwork.incidents.case import Case
from stopwork.incidents.unfinished import unfinished
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Tool


def answers(case: Case) -> tuple[r.Answer, ...]:
    """Answer all twelve questions."""
    return tuple(_ANSWERS[question](case) for question in w.Question)


def _trigger(case: Case) -> r.Answer:
    findings = tuple(
        {
            "run": run.id,
            "trigger": run.trigger,
            "trigger_id": run.trigger_id,
            "attempt": run.attempt,
            "retry_of": run.retry_of,
            "started_at": run.started_at,
            "by": run.by.id,
            "status": run.status,
        }
        for run in case.runs
    )
    undeclared = [run.id for run in case.runs if not _declared_trigger(case, run)]
    summary = f"{count_of(len(findings), 'run')}: " + ", ".join(
        f"{number} by {trigger}" for trigger, number in Counter(run.trigger for run in case.runs).items()
    )
    if undeclared:
        summary += (
            f"; {count_of(len(undeclared), 'run')} started by a trigger that the manifest does not name"
        )
    missing = () if case.runs else ("No run of this workflow is recorded for the incident.",)
    return r.Answer(
        question=w.Question.TRIGGER,
        summary=summary if case.runs else "No run recorded.",
        findings=findings,
        records=tuple(run.id for run in case.runs),
        missing=missing,
    )


def _declared_trigger(case: Case, run: r.Run) -> bool:
    manifest = case.manifests.get(run.version)
    return manifest is not None and run.trigger in manifest.accepted_triggers


def _inputs_read(case: Case) -> r.Answer:
    steps = [step for step in case.steps if step.kind is w.StepKind.RETRIEVAL]
    reads = [call for call in case.permitted if call.effect is w.EffectKind.READ]
    findings: list[dict[str, Any]] = [
        {"step": step.id, "run": step.run, "name": step.name, "source": step.source, "at": step.at}
        for step in steps
    ]
    findings += [
        {"call": call.id, "run": call.run, "tool": call.tool, "source": call.source, "args": call.args}
        for call in reads
    ]
    without = [run.id for run in case.runs if not any(f["run"] == run.id for f in findings)]
    return r.Answer(
        question=w.Question.INPUTS_READ,
        summary=f"{count_of(len(steps), 'retrieval')} and {count_of(len(reads), 'read call')} recorded.",
        findings=tuple(findings),
        records=tuple(step.id for step in steps) + tuple(call.id for call in reads),
        missing=_of_runs(without, "recorded no input at all"),
    )


def _freshness(case: Case) -> r.Answer:
    findings = []
    sourceless: list[str] = []
    ageless: list[str] = []
    runs = {run.id: run for run in case.runs}
    for step in case.steps:
        if step.kind is not w.StepKind.RETRIEVAL:
            continue
        manifest = case.manifests.get(runs[step.run].version) if step.run in runs else None
        source = manifest.sources.get(step.source) if manifest and step.source else None
        verdicts = []
        if step.source is None:
            sourceless.append(step.name)
        elif source is None:
            verdicts.append("not declared in the manifest")
        if step.as_of is None:
            ageless.append(step.name)
        elif source is not None and source.fresh_within is not None:
            age = step.at - step.as_of
            if age > source.fresh_within:
                verdicts.append(f"stale: {age} old, at most {source.fresh_within} allowed")
        findings.append(
            {
                "step": step.id,
                "source": step.source,
                "trust": source.trust if source else None,
                "as_of": step.as_of,
                "read_at": step.at,
                "verdict": "; ".join(verdicts) or "in order",
            }
        )
    wrong = [finding for finding in findings if finding["verdict"] != "in order"]
    return r.Answer(
        question=w.Question.INPUT_FRESHNESS_AND_AUTHORITY,
        summary=f"{len(wrong) or 'None'} of {count_of(len(findings), 'input')} stale or not allowed."
        if findings
        else "No input is recorded.",
        findings=tuple(findings),
        records=tuple(str(finding["step"]) for finding in findings),
        missing=(
            *_each("Retrieval {} names no source{}.", sourceless),
            *_each("Retrieval {} does not say how old its data was{}.", ageless),
        ),
    )


def _prompts_and_policies(case: Case) -> r.Answer:
    findings = tuple(
        {
            "run": run.id,
            "manifest": f"{run.workflow}@{run.version}",
            "mode": run.mode,
            "prompt": run.runtime.get("prompt"),
            "model": run.runtime.get("model"),
            "agent": run.runtime.get("agent"),
        }
        for run in case.runs
    )
    missing = tuple(
        gap
        for what in ("prompt", "model")
        for gap in _of_runs(
            [str(finding["run"]) for finding in findings if finding[what] is None],
            f"did not report its {what}",
            f"did not report their {what}",
        )
    )
    versions = sorted({run.version for run in case.runs})
    return r.Answer(
        question=w.Question.PROMPTS_AND_POLICIES,
        summary=f"Manifest {count_of(len(versions), 'version')}: {', '.join(map(str, versions)) or 'none'}.",
        findings=findings,
        records=tuple(f"{case.incident.workflow}@{version}" for version in versions),
        missing=missing,
    )


def _model_calls(case: Case) -> r.Answer:
    steps = [step for step in case.steps if step.kind is w.StepKind.MODEL_CALL]
    cost = sum(step.cost_usd or 0.0 for step in steps)
    unpriced = [step for step in steps if step.cost_usd is None and step.tokens]
    summary = f"{count_of(len(steps), 'model call')}, {count_of(sum(step.tokens for step in steps), 'token')}"
    summary += f", {cost:.2f} USD" + (f" and {len(unpriced)} unpriced" if unpriced else "") + "."
    return r.Answer(
        question=w.Question.MODEL_CALLS,
        summary=summary,
        findings=tuple(
            {"step": step.id, "run": step.run, "name": step.name, "tokens": step.tokens, "usd": step.cost_usd}
            for step in steps
        ),
        records=tuple(step.id for step in steps),
        missing=()
        if steps
        else ("The agent recorded no model call: either it made none or it does not report them.",),
    )


def _tool_calls(case: Case) -> r.Answer:
    outcomes = Counter(
        (call.tool, str(call.verdict), str(call.outcome or ("in flight" if call.in_flight else "not run")))
        for call in case.calls
    )
    unknown = [call.tool for call in case.calls if call.outcome is w.Outcome.UNKNOWN or call.in_flight]
    return r.Answer(
        question=w.Question.TOOL_CALLS,
        summary=f"{count_of(len(case.calls), 'call')}, {len(case.permitted)} permitted, "
        f"{len(case.calls) - len(case.permitted)} stopped.",
        findings=tuple(
            {"tool": tool, "verdict": verdict, "outcome": outcome, "calls": number}
            for (tool, verdict, outcome), number in sorted(outcomes.items())
        ),
        records=tuple(call.id for call in case.calls),
        missing=_each("How a call of {} ended is not known{}.", unknown),
    )


def _writes(case: Case) -> r.Answer:
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
            *_each("A call of {} may have changed something that it does not name{}.", nameless),
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
    yield from _each("{}{}.", places)


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


def _external_sends(case: Case) -> r.Answer:
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


def _approvals(case: Case) -> r.Answer:
    findings = [
        {
            "approval": approval.id,
            "call": approval.call,
            "state": approval.state,
            "decided_by": [decision.person for decision in approval.decisions],
            "title": approval.title,
        }
        for approval in case.approvals
    ]
    consumed = {approval.call for approval in case.approvals if approval.state is w.ApprovalState.CONSUMED}
    bypassed = [
        call
        for call in case.permitted
        if call.id not in consumed and any(reason.kind is w.ReasonKind.GATE for reason in call.reasons)
    ]
    findings += [
        {"call": call.id, "state": "bypassed", "title": f"{call.tool} ran although a gate applied"}
        for call in bypassed
    ]
    return r.Answer(
        question=w.Question.APPROVALS,
        summary=f"{count_of(len(case.approvals), 'approval')} asked for, {len(consumed)} used, "
        f"{count_of(len(bypassed), 'gated call')} ran without one.",
        findings=tuple(findings),
        records=tuple(approval.id for approval in case.approvals) + tuple(call.id for call in bypassed),
    )


def _retries(case: Case) -> r.Answer:
    occasions = Counter(run.trigger_id for run in case.runs)
    retries = [run for run in case.runs if run.attempt > 1 or run.retry_of or occasions[run.trigger_id] > 1]
    replays = [call for call in case.calls if call.verdict is w.Verdict.REPLAY]
    same: dict[tuple[str, str, str], list[str]] = {}
    for call in case.writes:
        same.setdefault((call.run, call.tool, call.args_digest), []).append(call.id)
    repeated = {key: calls for key, calls in same.items() if len(calls) > 1}
    findings: list[dict[str, Any]] = [
        {"run": run.id, "attempt": run.attempt, "retry_of": run.retry_of, "trigger_id": run.trigger_id}
        for run in retries
    ]
    findings += [{"tool": tool, "same_arguments": calls} for (_run, tool, _digest), calls in repeated.items()]
    findings += [{"call": call.id, "replay_of": call.replay_of} for call in replays]
    extra = sum(len(calls) - 1 for calls in repeated.values())
    return r.Answer(
        question=w.Question.RETRIES_AND_BACKFILLS,
        summary=f"{count_of(len(retries), 'repeated run')}, {count_of(extra, 'write')} repeated with the same arguments, "
        f"{count_of(len(replays), 'call')} answered from the record.",
        findings=tuple(findings),
        records=tuple(run.id for run in retries) + tuple(c for calls in repeated.values() for c in calls),
    )


def _downstream(case: Case) -> r.Answer:
    tools = {effect.tool for effect in case.effects} | {call.tool for call in case.writes}
    touched = [automation for automation in case.current.downstream if tools & set(automation.tools)]
    declared = bool(case.current.downstream)
    return r.Answer(
        question=w.Question.DOWNSTREAM_AUTOMATIONS,
        summary=f"{count_of(len(touched), 'declared automation')} may have reacted.",
        findings=tuple(
            {
                "name": each.name,
                "does": each.does,
                "owner": each.owner,
                "tools": sorted(tools & set(each.tools)),
            }
            for each in touched
        ),
        missing=()
        if declared
        else ("The manifest declares no downstream automation; ask the system owners.",),
    )


def _records_to_correct(case: Case) -> r.Answer:
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


def _of_runs(runs: Sequence[str], one: str, many: str = "") -> tuple[str, ...]:
    """Say one thing of one run or of many; which ones stands in the findings."""
    if not runs:
        return ()
    return (f"Run {runs[0]} {one}." if len(runs) == 1 else f"{len(runs)} runs {many or one}.",)


def _each(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Say one thing once for each name, and how often it holds."""
    counted = Counter(names).items()
    return tuple(text.format(name, f" ({number} times)" if number > 1 else "") for name, number in counted)


_ANSWERS: dict[w.Question, Callable[[Case], r.Answer]] = {
    w.Question.TRIGGER: _trigger,
    w.Question.INPUTS_READ: _inputs_read,
    w.Question.INPUT_FRESHNESS_AND_AUTHORITY: _freshness,
    w.Question.PROMPTS_AND_POLICIES: _prompts_and_policies,
    w.Question.MODEL_CALLS: _model_calls,
    w.Question.TOOL_CALLS: _tool_calls,
    w.Question.WRITES: _writes,
    w.Question.EXTERNAL_SENDS: _external_sends,
    w.Question.APPROVALS: _approvals,
    w.Question.RETRIES_AND_BACKFILLS: _retries,
    w.Question.DOWNSTREAM_AUTOMATIONS: _downstream,
    w.Question.RECORDS_TO_CORRECT: _records_to_correct,
}
