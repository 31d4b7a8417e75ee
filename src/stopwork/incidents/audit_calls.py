"""Audit questions about the calls: what was asked, who approved it, what was repeated, what reacts to it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from stopwork.control.backfilling import BACKFILL
from stopwork.incidents.audit_gaps import each_of
from stopwork.incidents.case import Case
from stopwork.kernel.phrases import count_of
from stopwork.ledger import records as r
from stopwork.ledger import words as w


def tool_calls(case: Case) -> r.Answer:
    """Answer which tools were called, how often, with what answer and outcome."""
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
        missing=each_of("How a call of {} ended is not known{}.", unknown),
    )


def approvals(case: Case) -> r.Answer:
    """Answer who approved what, and which gated calls ran without."""
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
        summary=f"{count_of(len(case.approvals), 'approval')} asked for, {len(consumed) or 'none'} used, "
        f"{count_of(len(bypassed), 'gated call')} ran without one.",
        findings=tuple(findings),
        records=tuple(approval.id for approval in case.approvals) + tuple(call.id for call in bypassed),
    )


def retries(case: Case) -> r.Answer:
    """Answer which runs and writes were repeated, and what was answered from the record."""
    occasions = Counter(run.trigger_id for run in case.runs)
    retries = [
        run
        for run in case.runs
        if run.attempt > 1 or run.retry_of or run.trigger == BACKFILL or occasions[run.trigger_id] > 1
    ]
    replays = [call for call in case.calls if call.verdict is w.Verdict.REPLAY]
    same: dict[tuple[str, str, str], list[str]] = {}
    for call in case.writes:
        same.setdefault((call.run, call.tool, call.args_digest), []).append(call.id)
    repeated = {key: calls for key, calls in same.items() if len(calls) > 1}
    findings: list[dict[str, Any]] = [
        {
            "run": run.id,
            "attempt": run.attempt,
            "retry_of": run.retry_of,
            "trigger_id": run.trigger_id,
            "backfill": run.backfill,
        }
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


def downstream(case: Case) -> r.Answer:
    """Answer which declared automations react to what was changed."""
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
