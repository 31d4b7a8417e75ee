"""Opening an incident: one record for one cause, filled from the manifest, never without an owner.

Signals of one cause share one incident while it is open; a closed incident absorbs nothing. What follows from
an incident (its run fails because the guard stopped it) joins it too, instead of opening a second one about
the same morning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from stopwork.detect.detector import Finding
from stopwork.incidents.questions import asked
from stopwork.incidents.severity import Assessment
from stopwork.kernel.errors import Invalid
from stopwork.ledger import words as w
from stopwork.ledger.events import IncidentOpened
from stopwork.ledger.records import Incident, Principal, Signal
from stopwork.manifest.model import Manifest

FIRST_UPDATE: Final = {
    w.Severity.SEV0: timedelta(minutes=5),
    w.Severity.SEV1: timedelta(minutes=5),
    w.Severity.SEV2: timedelta(hours=1),
    w.Severity.SEV3: timedelta(days=1),
}
LATER_UPDATES: Final = {
    w.Severity.SEV0: timedelta(minutes=20),
    w.Severity.SEV1: timedelta(minutes=20),
    w.Severity.SEV2: timedelta(hours=4),
    w.Severity.SEV3: timedelta(days=1),
}

_WHAT: Final = {
    w.IncidentType.MISSED_WORKFLOW: "did not run as scheduled",
    w.IncidentType.DUPLICATE_WORK: "did the same work twice",
    w.IncidentType.STALE_OR_WRONG_INPUT: "worked from stale or wrong input",
    w.IncidentType.TOOL_MISUSE: "used a tool unsafely",
    w.IncidentType.APPROVAL_BYPASS: "acted without the approval it needs",
    w.IncidentType.BAD_WRITEBACK: "may have written wrong values",
    w.IncidentType.EXTERNAL_SEND: "sent something it should not have sent",
    w.IncidentType.SENSITIVE_DATA_EXPOSURE: "may have exposed sensitive data",
    w.IncidentType.COST_RUNAWAY: "spends more than it should",
    w.IncidentType.PROMPT_INJECTION: "may have followed instructions from outside",
    w.IncidentType.POLICY_DRIFT: "behaves differently since a change",
}


def cause_key(finding: Finding) -> str:
    """Answer the typed cause of a finding, as it stands in a signal and an incident.

    The leading ``1`` is the version of this rule: should it change, an open incident keeps the causes it was
    opened with.
    """
    return f"1/{finding.type}/{finding.workflow}/{finding.key}"


def home_of(finding: Finding, incidents: Iterable[Incident]) -> Incident | None:
    """Answer the open incident that a finding belongs to; ``None`` when it opens its own.

    The same cause comes first. A failed run, or a write that failed, joins an incident that lists the run, or the run
    that it retried: it is a consequence, not another cause.
    """
    same_workflow = [incident for incident in incidents if incident.workflow == finding.workflow]
    if home := home_of_cause(cause_key(finding), same_workflow):
        return home
    if finding.kind is not w.SignalKind.FAILED_RUN and finding.type is not w.IncidentType.BAD_WRITEBACK:
        return None
    runs = {finding.run, finding.facts.get("retry_of")} - {None}
    return next((each for each in same_workflow if _absorbs(each) and runs & set(each.runs)), None)


def home_of_cause(cause: str, incidents: Iterable[Incident]) -> Incident | None:
    """Answer the open incident of a cause: the one opened for it, or else the one that an incident about it was merged into."""
    open_ones = [incident for incident in incidents if _absorbs(incident)]
    of_its_own = (each for each in open_ones if each.cause == cause)
    return next(of_its_own, None) or next((each for each in open_ones if cause in each.causes), None)


def _absorbs(incident: Incident) -> bool:
    """What has ended takes in nothing more, and a drill nothing that is real."""
    return not incident.status.ended and not incident.practice


def incident_id(opened_at: datetime, earlier_that_day: int) -> str:
    """Answer an incident's id, by the UTC day of its opening; ``earlier_that_day`` counts those before it."""
    return f"AI-INC-{opened_at.astimezone(UTC):%Y-%m%d}-{earlier_that_day + 1:03d}"


def day_prefix(opened_at: datetime) -> str:
    """Answer what the ids of a UTC day begin with."""
    return f"AI-INC-{opened_at.astimezone(UTC):%Y-%m%d}-"


def title_of(incident_type: w.IncidentType, manifest: Manifest, *, tool: str | None = None) -> str:
    """Answer a title in plain words: what happened to which workflow, and with which tool."""
    declared = manifest.tools.get(tool) if tool else None
    by = f" ({declared.title or tool})" if declared else ""
    return f"{manifest.heading} {_WHAT[incident_type]}{by}"


def first_update_at(severity: w.Severity, opened_at: datetime) -> datetime:
    """Answer when the first update is due."""
    return opened_at + FIRST_UPDATE[severity]


def next_update_at(severity: w.Severity, sent_at: datetime) -> datetime:
    """Answer when the update after one is due."""
    return sent_at + LATER_UPDATES[severity]


def detected_by(kind: w.SignalKind) -> w.DetectedBy:
    """Answer who noticed, for a signal of this kind that a machine raised."""
    match kind:
        case w.SignalKind.FAILED_RUN:
            return w.DetectedBy.FAILED_RUN
        case w.SignalKind.USER_REPORT:
            return w.DetectedBy.USER_REPORT
        case w.SignalKind.SECURITY:
            return w.DetectedBy.SECURITY_TOOL
        case _:
            return w.DetectedBy.ALERT


def opening(
    *,
    incident: str,
    cause: str,
    incident_type: w.IncidentType,
    manifest: Manifest,
    version: int,
    assessment: Assessment,
    noticed_by: w.DetectedBy,
    detected_at: datetime,
    now: datetime,
    opener: Principal,
    administrators: Sequence[str] = (),
    runs: tuple[str, ...] = (),
    tools: Iterable[str] = (),
    title: str = "",
    status: w.IncidentStatus = w.IncidentStatus.INVESTIGATING,
    rule: str = "",
    practice: bool = False,
    tags: tuple[str, ...] = (),
) -> IncidentOpened:
    """Answer the event that opens or proposes an incident, with everything the manifest can fill in.

    A person who opens it commands it until handed over; otherwise the technical owner does. Where a role is
    empty the backup steps in, then the first administrator. Until somebody accepts a proposal no update is due.
    """
    owners = manifest.owners
    used = [tool for tool in dict.fromkeys(tools) if tool in manifest.tools]
    business = _first(owners.business, owners.backup, *administrators)
    technical = _first(owners.technical, owners.backup, *administrators)
    person = opener.id if opener.kind is w.PrincipalKind.PERSON else None
    return IncidentOpened(
        incident=incident,
        type=incident_type,
        title=title.strip() or title_of(incident_type, manifest, tool=used[0] if len(used) == 1 else None),
        workflow=manifest.workflow,
        version=version,
        detected_by=noticed_by,
        detected_at=detected_at,
        commander=_first(person, technical),
        business_owner=business,
        technical_owner=technical,
        backup_owner=_first(owners.backup, *administrators, business),
        communication_owner=_first(owners.communication, business),
        postmortem_owner=technical,
        severity=assessment.severity,
        factors=assessment.factors,
        cause=cause,
        affected_systems=affected_systems(manifest, used),
        data_classes=tuple(manifest.data_classes),
        affected_parties=tuple(party.value for party in manifest.affected_parties),
        next_update_at=None
        if status is w.IncidentStatus.PROPOSED
        else first_update_at(assessment.severity, now),
        runs=runs,
        status=status,
        rule=rule,
        practice=practice,
        tags=tags,
        checklist=asked(incident_type, manifest),
    )


def affected_systems(manifest: Manifest, tools: Sequence[str]) -> tuple[str, ...]:
    """Answer the systems that these tools change; of all tools when none is known to be involved."""
    declared = (manifest.tools[name].object for name in tools)
    return tuple(dict.fromkeys(thing.system for thing in declared if thing)) or manifest.systems


def tools_of(signal: Finding | Signal) -> tuple[str, ...]:
    """Answer the tools that a signal names."""
    tool = signal.facts.get("tool")
    return (tool,) if isinstance(tool, str) and tool else ()


def _first(*candidates: str | None) -> str:
    for candidate in candidates:
        if candidate:
            return candidate
    raise Invalid(
        "an incident needs an owner, and nobody is known",
        hint="Name owners in the manifest, or make somebody an administrator.",
    )
