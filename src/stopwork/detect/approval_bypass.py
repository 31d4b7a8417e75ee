"""Notices what was done although people were to be asked first and no approval of theirs was used, and what was done past the guard.

A call for which people had to be asked needs an approval that was consumed for it. It is judged a moment after it ended, so that it does not matter
in which order the two are told. In a workflow that is only observed nobody is asked: what enforcement would have asked about is logged.

A change that a system lays to the agent needs a guarded call that made it. Which one that is was looked up when the change was told; where there was
none yet, what is told of calls in the next minutes still counts. A change of a kind that the manifest does not know, made while a
guarded call was at work on that system, is more likely the system's own doing, and is logged. What traces tell of the agent's tools is
compared with when the guard was asked: see :mod:`stopwork.detect.traced`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from msgspec.structs import replace

from stopwork.detect import fed as feeds
from stopwork.detect import traced as traces
from stopwork.detect.detector import Detector, Finding, facts_of, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists, manifest_of
from stopwork.detect.table import Table
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.events import (
    ApprovalConsumed,
    CallAttempted,
    CallDecided,
    CallFinished,
    ChangesFed,
    EffectsObserved,
    Entry,
    ItemAttempted,
    ItemFinished,
    ManifestApplied,
    ToolsTraced,
)
from stopwork.ledger.records import FeedChange, Record
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    Mode,
    Outcome,
    ReasonKind,
    Severity,
    SignalKind,
    Verdict,
)
from stopwork.manifest.model import Manifest

SETTLES_WITHIN = timedelta(minutes=2)
"""What belongs to a call or a change, and is still to be told, has been told by then."""

MOST_CALLS = 2_048
MOST_LISTED = 50


class Asked(Record):
    """A call about which people were to be asked; ``ended`` is when it had run without their approval, as far as is known."""

    call: str
    workflow: str
    run: str
    tool: str
    effect: EffectKind
    permission: str | None
    trigger: str
    verdict: Verdict
    would: Verdict
    why: str
    ended: datetime | None = None


class State(Record):
    """``asked`` are calls without a consumed approval, ``consumed`` those with one. ``told`` says when each cause was reported last."""

    asked: Table[Asked] = Table()
    consumed: Table[bool] = Table()
    fed: feeds.Fed = feeds.Fed()
    traced: traces.Traced = traces.Traced()
    told: Table[datetime] = Table()


class ApprovalBypass(Detector[State]):
    """Fires when a call ran without the approval it needed, and when a system lays a change to the agent that no guarded call made."""

    name: ClassVar[str] = "approval_bypass"
    watches = (
        ApprovalConsumed,
        CallAttempted,
        CallDecided,
        CallFinished,
        ChangesFed,
        EffectsObserved,
        ItemAttempted,
        ItemFinished,
        ManifestApplied,
        ToolsTraced,
    )
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        event = entry.event
        match event:
            case CallDecided():
                if event.effect is not EffectKind.READ:
                    traced = traces.asked(state.traced, event.workflow, event.tool, entry.at)
                    if traced is not state.traced:
                        state = replace(state, traced=traced)
                if feeds.waits(state.fed):
                    state = replace(state, fed=feeds.began(state.fed, event, entry.at))
                if event.reasons or event.call in state.asked:
                    state = _decided(state, event)
            case CallAttempted() if feeds.waits(state.fed):
                seen = [(each.object, None) for each in event.before]
                state = replace(state, fed=feeds.explained(state.fed, event.call, entry.at, seen, rules))
            case CallFinished() | EffectsObserved():
                if event.call in state.asked:
                    state = _ended(state, event, entry.at)
                if event.effects and feeds.waits(state.fed):
                    done = [(each.object, each.operation) for each in event.effects]
                    state = replace(state, fed=feeds.explained(state.fed, event.call, entry.at, done, rules))
            case ApprovalConsumed(call=str(call)):
                consumed = state.consumed.put(call, True, at_most=MOST_CALLS)
                state = replace(state, consumed=consumed, asked=state.asked.without(call))
            case ItemAttempted() | ItemFinished():
                state = replace(state, fed=feeds.repaired(state.fed, str(event.object), entry.at, rules))
            case ChangesFed():
                state = replace(state, fed=feeds.told(state.fed, event, rules))
            case ManifestApplied():
                state = replace(state, traced=traces.heard(state.traced, event.workflow, entry.at))
            case ToolsTraced():
                state = replace(state, traced=traces.told(state.traced, event, entry.at))
        return state, ()

    def tick(self, state: State, now: datetime, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        findings: list[Finding] = []
        if len(state.asked):
            ran = [each for each in state.asked.values() if each.ended and now - each.ended >= SETTLES_WITHIN]
            state = replace(state, asked=state.asked.without_any(each.call for each in ran))
            for calls in _grouped(ran, lambda each: f"{each.workflow}\x1f{each.tool}"):
                findings += _of_calls(calls, rules)
        if feeds.waits(state.fed):
            fed, changes = feeds.due(state.fed, now, SETTLES_WITHIN)
            state = replace(state, fed=fed)
            for group in _grouped(changes, lambda each: f"{each.agents[0]}\x1f{_place(each)}"):
                findings += _of_changes(group, rules)
        if len(state.traced.spans):
            traced, spans = traces.due(
                state.traced, now, SETTLES_WITHIN, lambda workflow: feeds.within(workflow, rules)
            )
            state = replace(state, traced=traced)
            for group in _grouped(spans, lambda each: f"{each.workflow}\x1f{each.tool.tool}"):
                findings += _of_spans(group, rules)
        told, logged = once(state.told, (each for each in findings if not each.alarming))
        # Each names calls or changes of its own, and of what is alarming none is left out.
        return replace(state, told=told), (*(each for each in findings if each.alarming), *logged)


def _decided(state: State, event: CallDecided) -> State:
    """Answer the state after a call was decided: it is remembered while people are to be asked and none of them has said yes."""
    asks = [each for each in event.reasons if each.kind is ReasonKind.GATE or each.verdict is Verdict.WAIT]
    if not asks or event.call in state.consumed:
        return replace(state, asked=state.asked.without(event.call))
    asked = Asked(
        call=event.call,
        workflow=event.workflow,
        run=event.run,
        tool=event.tool,
        effect=event.effect,
        permission=event.permission,
        trigger=event.trigger,
        verdict=event.verdict,
        would=event.would,
        why="; ".join(each.text for each in asks),
    )
    return replace(state, asked=state.asked.put(event.call, asked, at_most=MOST_CALLS))


def _ended(state: State, event: CallFinished | EffectsObserved, at: datetime) -> State:
    if isinstance(event, CallFinished) and event.outcome is Outcome.FAILED and not event.effects:
        return replace(state, asked=state.asked.without(event.call))
    known = state.asked[event.call]
    return replace(
        state, asked=state.asked.put(event.call, replace(known, ended=known.ended or at), at_most=MOST_CALLS)
    )


def _of_calls(calls: list[Asked], rules: Rulebook) -> Iterable[Finding]:
    last = calls[-1]
    manifest = manifest_of(rules, last.workflow)
    if manifest is None or not manifest.alerts.approval_bypass.enabled or last.ended is None:
        return
    alert = manifest.alerts.approval_bypass
    # Nobody was asked because nothing is stopped there: that is no way around anybody.
    observed = last.verdict is Verdict.ALLOW is not last.would
    how = "while the workflow is only observed" if observed else "and no approval was used"
    yield Finding(
        type=IncidentType.APPROVAL_BYPASS,
        kind=SignalKind.POLICY_VIOLATION,
        detector=ApprovalBypass.name,
        key=last.tool,
        workflow=last.workflow,
        summary=f"{last.tool} ran {how}: {last.why}",
        occurred_at=last.ended,
        facts={
            "rule": last.why,
            "how": "observed" if observed else "no_approval_used",
            "threshold": 1,
            "value": len(calls),
            "unit": "calls",
            **facts_of(last),
            "verdict": last.verdict.value,
            "calls": [each.call for each in calls[-MOST_LISTED:]],
            "runs": list(dict.fromkeys(each.run for each in calls))[-MOST_LISTED:],
        },
        run=last.run,
        call=last.call,
        hold=None if observed else hold_of(alert),
        severity=at_least(alert, Severity.SEV3 if observed else Severity.SEV1),
        alarming=not observed or insists(alert),
    )


# --- changes that a system tells of ------------------------------------------------------------------


def _of_changes(changes: list[FeedChange], rules: Rulebook) -> Iterable[Finding]:
    changes = sorted(changes, key=lambda each: each.at)
    last = changes[-1]
    manifest = manifest_of(rules, last.agents[0])
    if manifest is None or not manifest.alerts.approval_bypass.enabled:
        return
    alert = manifest.alerts.approval_bypass
    tools = [name for name, tool in manifest.tools.items() if tool.object and _at(tool.object, last)]
    refused = next((each.refused for each in changes if each.refused), None)
    alone = [each for each in changes if each.beside is None]
    what = count_of(len(changes), f"change of a {last.object.type}", f"changes of {last.object.type}")
    why = f", after {refused} was refused" if refused else ""
    yield Finding(
        type=IncidentType.APPROVAL_BYPASS,
        kind=SignalKind.DOWNSTREAM_ANOMALY,
        detector=ApprovalBypass.name,
        key=_place(last),
        workflow=last.agents[0],
        summary=f"{last.system} tells of {what} by {last.by} that no guarded call made{why}: "
        + listed(list(dict.fromkeys(f"{each.operation} {each.object.id}" for each in changes))[:5]),
        occurred_at=last.at,
        facts={
            "rule": f"identities.{last.system}",
            "how": "past_the_guard",
            "threshold": alert.within.total_seconds(),
            "value": len(changes),
            "unit": "changes",
            "system": last.system,
            "by": last.by,
            "objects": list(dict.fromkeys(each.object_key for each in changes))[-MOST_LISTED:],
            "changes": [each.id for each in changes[-MOST_LISTED:]],
            "fields": sorted({name for each in changes for name in each.fields})[:MOST_LISTED],
            "refused": refused,
            "beside": last.beside,
            "workflows": list(last.agents),
        }
        | _tool_facts(manifest, tools),
        call=refused,
        hold=hold_of(alert) if alone else None,
        severity=at_least(alert, Severity.SEV1 if alone else Severity.SEV3),
        alarming=bool(alone) or insists(alert),
    )


def _tool_facts(manifest: Manifest, tools: list[str]) -> dict[str, Any]:
    """Answer the tool that makes such changes, a gated one first: it is what a hold would be on."""
    tools = sorted(tools, key=lambda name: manifest.gate_of(name) is None)
    if not tools:
        return {}
    declared = manifest.tools[tools[0]]
    return {
        "tool": tools[0],
        "effect": declared.effect.value,
        "permission": declared.permission,
        "gated": manifest.gate_of(tools[0]) is not None,
    }


def _at(declared: Any, change: FeedChange) -> bool:
    return (declared.system, declared.type) == (change.object.system, change.object.type)


def _place(change: FeedChange) -> str:
    return f"{change.object.system}/{change.object.type}"


# --- tools that traces tell of -------------------------------------------------------------------------


def _of_spans(spans: list[traces.Span], rules: Rulebook) -> Iterable[Finding]:
    last = max(spans, key=lambda each: each.tool.began_at)
    name, manifest = last.tool.tool, manifest_of(rules, last.workflow)
    if manifest is None or not manifest.alerts.approval_bypass.enabled:
        return
    declared, alert = manifest.tools.get(name), manifest.alerts.approval_bypass
    if declared is not None and not declared.writes:
        return
    # A tool by another name than the manifest's may be the framework's own, or one that only reads; where the guard only observes, nothing is got past.
    grave = declared is not None and manifest.mode is Mode.ENFORCE
    what = name if declared else f"{name}, which the manifest does not declare,"
    yield Finding(
        type=IncidentType.APPROVAL_BYPASS,
        kind=SignalKind.SECURITY,
        detector=ApprovalBypass.name,
        key=name,
        workflow=last.workflow,
        summary=f"traces tell of {count_of(len(spans), 'call')} of {what} about which the guard was not asked",
        occurred_at=last.tool.began_at,
        facts={
            "rule": "every call of a tool that writes asks the guard",
            "how": "past_the_guard",
            "threshold": alert.within.total_seconds(),
            "value": len(spans),
            "unit": "calls",
            "spans": [f"{each.tool.trace}/{each.tool.span}" for each in spans[-MOST_LISTED:]],
            "service": last.tool.service,
        }
        | (_tool_facts(manifest, [name]) if declared else {}),
        hold=hold_of(alert) if grave else None,
        severity=at_least(alert, Severity.SEV1 if grave else Severity.SEV3),
        alarming=grave or insists(alert),
    )


# --- what both have in common ------------------------------------------------------------------------


def _grouped(found: Iterable[Any], about: Any) -> list[list[Any]]:
    groups: dict[str, list[Any]] = {}
    for each in found:
        groups.setdefault(about(each), []).append(each)
    return list(groups.values())
