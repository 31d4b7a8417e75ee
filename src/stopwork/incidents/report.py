"""The one-page report of an incident: the same lines on screen, in print, as Markdown and as JSON.

A line that the records cannot fill says so; it is never left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stopwork.incidents.case import Case
from stopwork.incidents.followup import exceptions
from stopwork.incidents.milestones import Milestone, MilestoneState, durations, first_harm_at
from stopwork.incidents.reenable import next_step
from stopwork.incidents.scope import described
from stopwork.incidents.undone import in_words as undone_in_words
from stopwork.incidents.undone import partly_undone
from stopwork.kernel.phrases import clause, count_of, lasting, listed, moment
from stopwork.ledger.words import (
    ContainmentArea,
    ContainmentProof,
    ContainmentState,
    ItemState,
    PlanState,
    RunStatus,
    ScopeKind,
    Severity,
    Stage,
)

NOT_KNOWN: Final = "not known"
NONE: Final = "none"
#: How many objects left as they are, and calls undone in part, have a place on the page.
MAX_EXCEPTIONS: Final = 20
BLANK: Final = "…" * 12


class OnePage(Struct, frozen=True, kw_only=True):
    """Everything the page holds, as text that can be read aloud; ``phases`` count from the detection."""

    incident_id: str
    title: str
    workflow: str
    agent_runtime: str
    business_owner: str
    technical_owner: str
    detected_by: str
    detection_time: str
    severity: str
    status: str
    affected_systems: str
    affected_data_classes: str
    outside_impact: str
    agent_paused: str
    tools_disabled: str
    credentials_rotated: str
    evidence_preserved: str
    side_effects_found: str
    audit_completeness: str
    recovery_actions: str
    undone_in_part: str
    exceptions: str
    communication_owner: str
    postmortem_owner: str
    required_fixes: str
    reenable_scope: str
    reenable_approver: str
    first_monitored_run: str
    phases: tuple[Milestone, ...] = ()


LABELS: Final = {
    "incident_id": "Incident",
    "title": "What happened",
    "workflow": "Workflow",
    "agent_runtime": "Agent and runtime",
    "business_owner": "Business owner",
    "technical_owner": "Technical owner",
    "detected_by": "Detected by",
    "detection_time": "Detection time",
    "severity": "Severity",
    "status": "Status",
    "affected_systems": "Affected systems",
    "affected_data_classes": "Affected data classes",
    "outside_impact": "Impact on customers, vendors, employees",
    "agent_paused": "Agent paused",
    "tools_disabled": "Tools disabled",
    "credentials_rotated": "Credentials rotated",
    "evidence_preserved": "Evidence preserved",
    "side_effects_found": "Side effects found",
    "audit_completeness": "What the audit can know",
    "recovery_actions": "Recovery actions",
    "undone_in_part": "Calls undone in part",
    "exceptions": "Left as they are",
    "communication_owner": "Communication owner",
    "postmortem_owner": "Postmortem owner",
    "required_fixes": "Required fixes",
    "reenable_scope": "Re-enable scope",
    "reenable_approver": "Re-enable approver",
    "first_monitored_run": "First monitored run",
}
"""The lines of the page in order, each with its label."""

_OF_CREDENTIALS: Final = (
    ContainmentArea.SECRETS,
    ContainmentArea.OAUTH_GRANTS,
    ContainmentArea.BROWSER_SESSIONS,
)
_PROOF: Final = {
    ContainmentProof.RECORDS: "shown by the records",
    ContainmentProof.PROBE: "seen by a probe",
    ContainmentProof.ATTESTATION: "attested",
}


def one_page(case: Case, now: datetime) -> OnePage:
    """Answer the page of an incident as the records stand."""
    incident = case.incident
    return OnePage(
        incident_id=incident.id,
        title=incident.title,
        workflow=f"{case.workflow.title} ({case.workflow.id}@{incident.version})",
        agent_runtime=_runtime(case),
        business_owner=incident.business_owner,
        technical_owner=incident.technical_owner,
        detected_by=incident.detected_by.value.replace("_", " "),
        detection_time=moment(incident.detected_at),
        severity=incident.severity.name,
        status=incident.status.value,
        affected_systems=listed(incident.affected_systems, most=10) or NOT_KNOWN,
        affected_data_classes=_named(incident.data_classes) or "none declared",
        outside_impact=_named(incident.affected_parties) or "none declared",
        agent_paused=_paused(case),
        tools_disabled=_tools(case),
        credentials_rotated=_credentials(case),
        evidence_preserved=_evidence(case),
        side_effects_found=_side_effects(case),
        audit_completeness=_completeness(case),
        recovery_actions=_recovery(case),
        undone_in_part=_undone_in_part(case),
        exceptions=_exceptions(case),
        communication_owner=incident.communication_owner,
        postmortem_owner=incident.postmortem_owner,
        required_fixes=_fixes(case),
        reenable_scope=_scope(case),
        reenable_approver=incident.business_owner,
        first_monitored_run=_first_run(case),
        phases=durations(replace(incident, recovered_at=case.recovered_at), first_harm_at(case), now),
    )


def blank_page() -> OnePage:
    """Answer an empty page, to be filled by hand where there is no screen."""
    return msgspec.convert(dict.fromkeys(LABELS, BLANK), OnePage)


def lines(page: OnePage) -> tuple[tuple[str, str], ...]:
    """Answer the page as label and text, in order."""
    return tuple((label, getattr(page, name)) for name, label in LABELS.items())


def phase_lines(page: OnePage) -> tuple[tuple[str, str], ...]:
    """Answer how long each phase took, in words."""
    return tuple((_PHASES[each.name], in_words(each)) for each in page.phases)


def in_words(milestone: Milestone) -> str:
    """Answer a duration, or why there is none."""
    match milestone.state:
        case MilestoneState.RECORDED:
            return lasting(milestone.seconds or 0.0)
        case MilestoneState.PENDING:
            return f"pending, {lasting(milestone.seconds or 0.0)} so far"
        case MilestoneState.INVALID:
            return "invalid: it ends before it begins"
        case MilestoneState.NOT_APPLICABLE:
            return "not applicable"


def markdown(page: OnePage) -> str:
    """Answer the page as Markdown, for wikis and issue trackers."""
    rows = [f"| {label} | {_cell(text)} |" for label, text in lines(page)]
    document = ["# Incident report", "", "| | |", "|---|---|", *rows]
    if page.phases:
        document += ["", "## How long it took", "", "| phase | time |", "|---|---|"]
        document += [f"| {label} | {_cell(text)} |" for label, text in phase_lines(page)]
    return "\n".join(document) + "\n"


_PHASES: Final = {
    "detect": "To detect, from the first write",
    "pause": "To pause, from the detection",
    "preserve": "To seal the evidence",
    "contain": "To verify containment",
    "audit": "To complete the audit",
    "recover": "To put the records right",
    "communicate": "To tell everybody",
    "learn": "To close the postmortem",
    "reenable": "To return at the first stage",
}


_MARKS: Final = re.compile(r"[\\`|\[\]*]")


def _cell(text: str) -> str:
    """Escape what would end a table cell or start a tag or a link: the text may come from an agent."""
    safe = _MARKS.sub(r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<br>".join(safe.splitlines())


def _named(codes: tuple[str, ...]) -> str:
    return listed((code.replace("_", " ") for code in codes), most=10)


def _runtime(case: Case) -> str:
    seen = {
        f"{key} {run.runtime[key]}"
        for run in case.runs
        for key in ("agent", "framework", "model", "prompt")
        if run.runtime.get(key)
    }
    return listed(sorted(seen), most=10) or NOT_KNOWN


def _paused(case: Case) -> str:
    """Answer yes, no or partial: *yes* only where the whole workflow is held and nothing is in flight."""
    holds = [hold for hold in case.holds if hold.active]
    if not holds:
        at = case.incident.paused_at
        return "no" if at is None else f"no longer; it was paused at {moment(at)}"
    scopes = listed(str(hold.scope) for hold in holds)
    whole = any(hold.scope.kind in (ScopeKind.EVERYTHING, ScopeKind.WORKFLOW) for hold in holds)
    flying = sum(call.in_flight for call in case.calls)
    if flying:
        return f"partial: {scopes}; {count_of(flying, 'call')} still in flight"
    return f"yes: {scopes}" if whole else f"partial: {scopes}"


def _tools(case: Case) -> str:
    named = [hold.scope.name for hold in case.holds if hold.active and hold.scope.kind is ScopeKind.TOOL]
    by_permission = {
        hold.scope.name for hold in case.holds if hold.active and hold.scope.kind is ScopeKind.PERMISSION
    }
    named += [name for name, tool in case.current.tools.items() if tool.permission in by_permission]
    return listed(dict.fromkeys(named), most=10) or NONE


def _credentials(case: Case) -> str:
    """Say which credentials were made safe, and how one knows; whose item was done without a proof is attested."""
    items = [item for item in case.containment if item.area in _OF_CREDENTIALS]
    if not items:
        return "none proposed"
    done = [item for item in items if item.state is ContainmentState.DONE]
    named = [
        f"{item.target or item.system} ({_PROOF[item.proof]})"
        for item in done
        if item.proof and (item.target or item.system)
    ]
    counted = f"{len(done)} of {len(items)}"
    return f"{counted}: {listed(named, most=10)}" if named else counted


def _hurried(case: Case) -> str:
    """Say what was done before the evidence was sealed, by whom and why; empty when nothing was."""
    return "; ".join(
        f"hook {place.name} did not wait for it ({place.by}): {clause(place.before_capture)}"
        for item in case.containment
        for place in item.places
        if place.before_capture
    )


def _evidence(case: Case) -> str:
    hurried = f"; {text}" if (text := _hurried(case)) else ""
    if case.bundle is None:
        return f"not sealed yet{hurried}"
    kinds = [
        f"{kind.replace('_', ' ')} ({number})" for kind, number in sorted(case.bundle.kinds.items()) if number
    ]
    missing = f"; missing: {'; '.join(map(clause, case.bundle.missing))}" if case.bundle.missing else ""
    return f"{case.bundle.id}: {listed(kinds, most=12) or NONE}{missing}{hurried}"


def _side_effects(case: Case) -> str:
    if case.audit is None:
        return "not audited yet"
    open_questions = sum(bool(answer.missing) for answer in case.audit.answers)
    gaps = f"; {count_of(open_questions, 'question')} not fully answered" if open_questions else ""
    about = f"; about {described(case.audit.scope)}" if case.audit.scope.narrowed else ""
    return f"{count_of(case.audit.objects, 'object')}{about}{gaps}"


def _completeness(case: Case) -> str:
    if case.audit is None or case.audit.completeness is None:
        return "not audited yet" if case.audit is None else NOT_KNOWN
    return " ".join(case.audit.completeness.says)


def _exceptions(case: Case) -> str:
    return _first_of(f"{item.object}: {item.note} ({item.approved_by})" for item in exceptions(case.items))


def _undone_in_part(case: Case) -> str:
    return _first_of(map(undone_in_words, partly_undone(case.items)))


def _first_of(said: Iterable[str]) -> str:
    every = list(said)
    more = [f"{len(every) - MAX_EXCEPTIONS} more"] if len(every) > MAX_EXCEPTIONS else []
    return "; ".join([*every[:MAX_EXCEPTIONS], *more]) or NONE


def _recovery(case: Case) -> str:
    if case.plan is None:
        return NONE if case.audit is not None and case.audit.objects == 0 else "not planned yet"
    standing = {item.id for item in case.items}
    going = case.plan_items if case.plan.state is not PlanState.FINISHED else ()
    items = (*case.items, *(item for item in going if item.id not in standing))
    counted = Counter(
        _TAKING_BACK.get(item.state, _BECOME[item.state]) if item.takes_back else _BECOME[item.state]
        for item in items
    )
    told = (*_TAKING_BACK.values(), *_BECOME.values())
    return listed((f"{counted[words]} {words}" for words in told if counted[words]), most=10) or NONE


_BECOME: Final = {
    ItemState.VERIFIED: "put back and read back",
    ItemState.ACCEPTED: "left as they are with a reason",
    ItemState.CONFLICT: "in conflict with a later change",
    ItemState.FAILED: "failed",
    ItemState.IN_DOUBT: "in doubt",
    ItemState.CANCELLED: "cancelled",
    ItemState.APPROVED: "approved and not yet done",
    ItemState.PROPOSED: "waiting for approval",
}
"""What has become of an item, in the order in which it is told."""
_TAKING_BACK: Final = {
    ItemState.VERIFIED: "taken back again, so that they hold what the agent left",
    ItemState.ACCEPTED: "not taken back, with a reason",
    ItemState.CONFLICT: "not taken back for a later change",
    ItemState.CANCELLED: "not taken back",
    ItemState.APPROVED: "approved to be taken back",
    ItemState.PROPOSED: "proposed to be taken back",
}
"""The same of an item that undoes a repair, where it says something else."""


def _fixes(case: Case) -> str:
    if case.postmortem is None:
        required = case.incident.severity is not Severity.SEV3
        return "the postmortem is not written yet" if required else "no postmortem (optional at SEV3)"
    fixes = (f"{each.what} ({each.owner}, by {each.due_date})" for each in case.postmortem.follow_ups)
    return listed(fixes, most=10) or NONE


def _scope(case: Case) -> str:
    stage = case.workflow.stage.value.replace("_", " ")
    if case.incident.reenabled_at is None:
        first = next_step(case).after or Stage.READ_ONLY
        return f"not yet; first to the stage {first.value.replace('_', ' ')}"
    return f"at the stage {stage} since {moment(case.workflow.stage_since or case.incident.reenabled_at)}"


def _first_run(case: Case) -> str:
    back = case.incident.reenabled_at
    if back is None:
        return "not yet"
    runs = [run for run in case.later_runs if run.started_at >= back and run.status is not RunStatus.RUNNING]
    return f"{runs[0].id}, {moment(runs[0].started_at)}, {runs[0].status}" if runs else "not yet"
