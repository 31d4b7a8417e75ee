"""One incident, told ten times: the page at each phase, from the first minute to the closed record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from stopwork.incidents.lifecycle import NextAction, PhaseState, PhaseView
from stopwork.incidents.prepare import Preparedness
from stopwork.incidents.reenable import CheckView
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import aftermath as a
from stopwork.server.pages.stories import panels as p
from stopwork.server.pages.stories import world as s
from stopwork.server.pages.stories.custody import CUSTODY, LEGAL_HOLD
from stopwork.server.pages.stories.sorting import sorting_stories

changed = msgspec.structs.replace
PHASES = tuple(w.Phase)

_NEXT = {
    w.Phase.OPEN: ("Confirm what this is", "Two signals joined; say whether the severity fits."),
    w.Phase.PAUSE: (
        "Pause the smallest part that is unsafe",
        "Creating tasks repeats writes. Hold crm.create_task.",
    ),
    w.Phase.PRESERVE: ("Seal the evidence", "Nothing may be cleaned up before the records are sealed."),
    w.Phase.CONTAIN: ("Verify 2 containment items", "The retry and the stale source are still open."),
    w.Phase.AUDIT: ("Run the side-effect audit", "Until it is done nobody knows what to put back."),
    w.Phase.RECOVER: ("Approve the recovery plan", "4 objects; each is shown with what would be put back."),
    w.Phase.COMMUNICATE: ("Approve the message to the business owner", "It must be sent at every incident."),
    w.Phase.LEARN: (
        "Write down the root cause",
        "The postmortem is filled in from the records but for this.",
    ),
    w.Phase.REENABLE: ("Raise the stage to limited", "All checks of this stage are settled."),
    w.Phase.PREPARE: ("Record the preparedness review", "Two checks would have made this smaller."),
}

TIMELINE = tuple(
    c.TimelineRow(
        seq=1880 + index,
        at=s.ago(minutes=14 - index),
        actor=actor,
        kind=kind,
        text=text,
        href=href,
        occurred_at=occurred,
    )
    for index, (kind, text, actor, href, occurred) in enumerate(
        (
            ("run.started", "Attempt 2 of the scheduled run started", s.AGENT, f"/runs/{s.RUN.id}", None),
            ("signal.raised", "crm.create_task did the same thing twice", s.RULE, "", None),
            (
                "hold.set",
                "Hold set: tool crm.create_task of weekly-renewal-risk",
                s.RULE,
                "/holds/hold_1",
                None,
            ),
            ("incident.opened", "Incident opened at SEV2", s.RULE, "", None),
            (
                "incident.note_added",
                f"Customer success saw wrong dates {s.HOSTILE}",
                s.DANA,
                "",
                datetime(2026, 1, 5, 8, 18, tzinfo=s.NOW.tzinfo),
            ),
            ("evidence.sealed", "Evidence sealed: 143 entries", s.LEE, "#preserve", None),
        )
    )
)


def steps(now: w.Phase | None) -> tuple[PhaseView, ...]:
    """Answer the rail with one phase at hand, those before done and those after later or blocked."""
    position = len(PHASES) if now is None else PHASES.index(now)
    return tuple(_step(phase, index - position) for index, phase in enumerate(PHASES))


def _step(phase: w.Phase, ahead: int) -> PhaseView:
    if ahead < 0:
        return PhaseView(
            phase=phase, state=PhaseState.DONE, reason="done by lee@acme.test", at=s.ago(minutes=10)
        )
    title, why = _NEXT[phase]
    if ahead and phase in (w.Phase.RECOVER, w.Phase.REENABLE):
        return PhaseView(phase=phase, state=PhaseState.BLOCKED, reason="the side effects are not audited yet")
    state = PhaseState.LATER if ahead else PhaseState.NOW
    return PhaseView(phase=phase, state=state, reason=why, next_action=title)


def incident_stories(
    frame: Callable[..., c.Frame],
    enforced: c.HoldRow,
    pausing: c.HoldRow,
    stages: tuple[c.StageStep, ...],
    preparedness: Preparedness,
) -> Iterator[tuple[str, c.Context]]:
    """Answer the incident page at each phase, the lists and the report."""
    path = f"/incidents/{a.INCIDENT.id}"
    whole = c.IncidentContext(
        frame=frame(a.INCIDENT.id, "incidents", path=path, watch=f"incident:{a.INCIDENT.id}"),
        incident=a.INCIDENT,
        deciding=c.IncidentRow(incident=a.INCIDENT, holds=(), unsettled=c.Unsettled()),
        workflow=s.WORKFLOW,
        phases=steps(w.Phase.OPEN),
        next=_next(w.Phase.OPEN),
        decisions=(),
        signals=(a.SIGNAL,),
        holds=(enforced,),
        goes_on="crm.list_accounts, crm.update_account and mail.send may still run",
        touched="1 account changed and 2 tasks created in crm. Not audited yet.",
        doubtful=(s.DOUBTFUL_CALL,),
        points=2,
        proposed_pause="The tool crm.create_task repeats writes; holding it stops that and nothing else.",
        evidence=c.EvidencePanel(
            kinds=tuple(
                c.KindCount(kind=kind, records=a.BUNDLE.kinds.get(kind.value, 0)) for kind in w.EvidenceKind
            ),
            missing=a.BUNDLE.missing,
        ),
        containment=(),
        audit=c.AuditPanel(audit=None),
        recover=c.RecoverPanel(plan=None, approver="dana@acme.test"),
        audiences=(),
        not_told=p.NOT_TOLD,
        learn=p.LEARN,
        reenable=c.ReenablePanel(
            checks=tuple(
                c.CheckRow(
                    view=CheckView(check=check, state=state, why=why, how="computed", by=by), answer=answer
                )
                for check, state, why, by, answer in p.CHECK_STATES
            ),
            stages=stages,
            next_stage=w.Stage.LIMITED,
            owner="dana@acme.test",
            why_not="2 checks of this stage are open.",
        ),
        preparedness=preparedness,
        timeline=TIMELINE,
        timeline_left_out=12,
        people=("dana@acme.test", "lee@acme.test", "kim@acme.test"),
    )
    known: dict[str, Any] = {}
    for phase in PHASES:
        known |= _learned_before(phase, whole, enforced, pausing)
        yield f"incident-{phase.value}", changed(whole, phases=steps(phase), next=_next(phase), **known)
    yield (
        "incident-recovering",
        changed(
            whole, phases=steps(w.Phase.RECOVER), next=_next(w.Phase.RECOVER), **(known | {"recover": p.RAN})
        ),
    )
    again = known | {"recover": p.ASKED_AGAIN}
    yield (
        "incident-recovering-what-is-left",
        changed(whole, phases=steps(w.Phase.RECOVER), next=_next(w.Phase.RECOVER), **again),
    )
    closing = NextAction(
        phase=w.Phase.PREPARE, title="Close the incident", why="all ten phases are done", who="lee@acme.test"
    )
    yield "incident-to-close", changed(whole, phases=steps(None), next=closing, **known)
    closed = changed(a.INCIDENT, status=w.IncidentStatus.CLOSED, closed_at=s.NOW)
    finished = changed(
        p.LEARN,
        shallow="",
        postmortem=r.Postmortem(
            id=closed.id,
            incident=closed.id,
            fields={},
            follow_ups=a.CALM_FOLLOW_UPS,
            at=s.NOW,
            by=s.LEE,
            closed_at=s.NOW,
        ),
        follow_ups=a.CALM_FOLLOW_UPS,
    )
    yield (
        "incident-closed",
        changed(
            whole,
            phases=steps(None),
            next=None,
            **(known | {"incident": closed, "learn": finished, "decisions": ()}),
        ),
    )
    yield from _list_stories(frame, whole, enforced)


def _learned_before(
    phase: w.Phase, whole: c.IncidentContext, enforced: c.HoldRow, pausing: c.HoldRow
) -> dict[str, Any]:
    """Answer what is new on the page when the incident reaches this phase."""
    if phase is w.Phase.PAUSE:
        return {"holds": (pausing,)}
    if phase is w.Phase.PRESERVE:
        return {"holds": (enforced,)}
    if phase is w.Phase.CONTAIN:
        sealed = changed(
            whole.evidence,
            bundle=a.BUNDLE,
            custody=CUSTODY,
            legal_hold=LEGAL_HOLD,
            may_lift=True,
            verify_command="stopwork evidence verify AI-INC-2026-0105-001.zip",
        )
        return {"evidence": sealed, "containment": a.CONTAINMENT, "offers": a.OFFERS}
    if phase is w.Phase.RECOVER:
        decision = c.DecisionNeeded(
            title="Approve the recovery plan", href="#recover", due=a.INCIDENT.next_update_at
        )
        return {
            "audit": c.AuditPanel(
                audit=a.AUDIT,
                objects=p.OBJECTS,
                total=len(p.OBJECTS),
                similar=p.SIMILAR,
                tools=("crm.create_task",),
            ),
            "recover": p.PROPOSED,
            "decisions": (decision,),
        }
    if phase is w.Phase.COMMUNICATE:
        return {"recover": p.RAN, "audiences": p.AUDIENCES}
    return {}


def _next(phase: w.Phase) -> NextAction:
    title, why = _NEXT[phase]
    who = "lee@acme.test" if phase is w.Phase.CONTAIN else ""
    return NextAction(phase=phase, title=title, why=why, who=who)


def _list_stories(
    frame: Callable[..., c.Frame], whole: c.IncidentContext, enforced: c.HoldRow
) -> Iterator[tuple[str, c.Context]]:
    filters = (
        c.Filter(
            name="status",
            label="Status",
            choices=(
                c.Choice(value="open", label="Open", chosen=True),
                c.Choice(value="closed", label="Closed"),
            ),
        ),
    )
    listing = c.IncidentsContext(
        frame=frame("Incidents", "incidents"),
        incidents=(
            c.IncidentRow(
                incident=a.INCIDENT,
                holds=(enforced.hold,),
                unsettled=enforced.unsettled,
                next_title="Seal the evidence",
            ),
        ),
        filters=filters,
        paging=c.Paging(shown=1),
    )
    yield "incidents", listing
    yield from sorting_stories(whole, listing)
    yield "incidents-none", changed(listing, incidents=(), paging=c.Paging(shown=0))
    yield (
        "incident-new",
        c.OpenIncidentContext(
            frame=frame("Open an incident", "incidents", watch="none"),
            workflows=(c.Choice(value=s.WORKFLOW.id, label=s.WORKFLOW.title, chosen=True),),
            types=tuple(
                c.Choice(value=kind.value, label=kind.value.replace("_", " ")) for kind in w.IncidentType
            ),
            run=s.RUN.id,
        ),
    )
    yield (
        "report",
        c.ReportContext(
            frame=frame("Report", "incidents", watch="none"),
            incident=a.INCIDENT,
            lines=(
                ("Incident", a.INCIDENT.id),
                ("Workflow", s.WORKFLOW.title),
                ("Agent", "renewal-risk 1.4.0"),
                ("Business owner", "dana@acme.test"),
                ("Technical owner", "lee@acme.test"),
                ("Detected", "2026-01-05 08:17:14 UTC by an alert"),
                ("Severity", "SEV2"),
                ("Affected systems", "crm"),
                ("Data classes", "customer commitments"),
                ("Agent paused", "Partly: tool crm.create_task"),
                ("Evidence", "Sealed, 143 journal entries"),
                ("Side effects", "12 accounts, 5 duplicate tasks"),
                ("Recovery", "2 of 4 items settled"),
                ("Required fixes", "Idempotency key, freshness limit"),
                ("Re-enable", "Approved writes, approver dana@acme.test"),
                ("First monitored run", "none yet"),
            ),
            objects=p.OBJECTS,
            timeline=TIMELINE,
            durations=(
                ("Detect", "4 s"),
                ("Pause", "1 s"),
                ("Recover", "pending"),
            ),
        ),
    )
    every = c.ObjectsContext(
        frame=frame("Affected objects", "incidents"),
        incident=a.INCIDENT,
        objects=p.OBJECTS,
        total=60,
        fitting=len(p.OBJECTS),
        filters=(
            c.Filter(
                name="system",
                label="System",
                choices=(c.Choice(value="", label="any"), c.Choice(value="crm", label="crm", chosen=True)),
            ),
        ),
        paging=c.Paging(shown=len(p.OBJECTS), older="?after=crm/task/task-3320"),
    )
    yield "objects", every
    yield "objects-none", changed(every, objects=(), fitting=0, call=s.COPY_CALL.id)
    row = whole.timeline[2]
    entries = c.JournalContext(
        frame=frame("Journal", "journal"),
        rows=tuple(
            c.JournalRow(line=line, body={"event": line.kind, "text": line.text}) for line in whole.timeline
        ),
        filters=(
            c.Filter(
                name="incident",
                label="Incident",
                choices=(
                    c.Choice(value="", label="any", chosen=True),
                    c.Choice(value=a.INCIDENT.id, label=a.INCIDENT.id),
                ),
            ),
        ),
        paging=c.Paging(shown=len(whole.timeline), older=f"/journal?before={row.seq}"),
    )
    yield "journal", entries
    yield "journal-none", changed(entries, rows=(), paging=c.Paging(shown=0))
