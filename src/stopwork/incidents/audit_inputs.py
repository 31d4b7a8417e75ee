"""Audit questions about what the runs went by: triggers, inputs and their age, prompts and policies, model calls."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stopwork.control.holds import Retrieval, Subject, covers
from stopwork.incidents.audit_gaps import each_of, of_runs
from stopwork.incidents.case import Case
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w


def trigger(case: Case) -> r.Answer:
    """Answer what started each run, and whether the manifest names that trigger."""
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
    declared = manifest is not None and run.trigger in manifest.accepted_triggers
    return declared or run.backfill is not None  # what a person has ordered needs no declaration


def _quarantined(case: Case, read: Subject) -> str | None:
    """Answer the hold, if any, by which an item that was read is read no more."""
    of_items = (hold for hold in case.holds if hold.active and hold.scope.item is not None)
    return next((hold.id for hold in of_items if covers(hold.scope, read)), None)


def _retrieved(step: r.Step) -> Retrieval:
    said = {"name": step.name, "facts": step.facts}
    return Retrieval(workflow=step.workflow, trigger="", source=step.source, source_class=None, args=said)


def inputs_read(case: Case) -> r.Answer:
    """Answer what the runs read: retrievals and read calls."""
    steps = [step for step in case.steps if step.kind is w.StepKind.RETRIEVAL]
    reads = [call for call in case.permitted if call.effect is w.EffectKind.READ]
    findings: list[dict[str, Any]] = [
        {
            "step": step.id,
            "run": step.run,
            "name": step.name,
            "source": step.source,
            "at": step.at,
            "quarantined": _quarantined(case, _retrieved(step)),
        }
        for step in steps
    ]
    findings += [
        {
            "call": call.id,
            "run": call.run,
            "tool": call.tool,
            "source": call.source,
            "args": call.args,
            "quarantined": _quarantined(case, call),
        }
        for call in reads
    ]
    without = [run.id for run in case.runs if not any(f["run"] == run.id for f in findings)]
    return r.Answer(
        question=w.Question.INPUTS_READ,
        summary=f"{count_of(len(steps), 'retrieval')} and {count_of(len(reads), 'read call')} recorded.",
        findings=tuple(findings),
        records=tuple(step.id for step in steps) + tuple(call.id for call in reads),
        missing=of_runs(without, "recorded no input at all"),
    )


def freshness(case: Case) -> r.Answer:
    """Answer how old each input was, and whether its source was allowed."""
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
            *each_of("Retrieval {} names no source{}.", sourceless),
            *each_of("Retrieval {} does not say how old its data was{}.", ageless),
        ),
    )


def prompts_and_policies(case: Case) -> r.Answer:
    """Answer under which manifest, prompt and model the runs ran."""
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
        for gap in of_runs(
            [str(finding["run"]) for finding in findings if finding[what] is None],
            f"did not report its {what}",
            f"did not report their {what}",
        )
    )
    versions = sorted({run.version for run in case.runs})
    noun = "version" if len(versions) == 1 else "versions"
    return r.Answer(
        question=w.Question.PROMPTS_AND_POLICIES,
        summary=f"Manifest {noun} {listed(map(str, versions), most=12) or 'unknown'}.",
        findings=findings,
        records=tuple(f"{case.incident.workflow}@{version}" for version in versions),
        missing=missing,
    )


def model_calls(case: Case) -> r.Answer:
    """Answer which model calls the agent reports, and what they cost."""
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
