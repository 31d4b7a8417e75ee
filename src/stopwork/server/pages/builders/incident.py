"""The page of one incident: all ten phases from one case."""

from __future__ import annotations

from typing import Final

from stopwork.incidents import (
    communicate,
    drafting,
    learn,
    lifecycle,
    pause,
    reenable,
)
from stopwork.incidents.case import Case
from stopwork.incidents.contain import ENDED, who_can
from stopwork.incidents.severity import beyond_factors
from stopwork.incidents.standing import protecting
from stopwork.kernel.phrases import listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events import IncidentMerged, StatusChanged, name_of
from stopwork.operations import (
    acknowledging,
    custody,
    evidence,
    legal_hold,
    points,
    postmortems,
    preparedness,
)
from stopwork.operations.cases import gather
from stopwork.server import timelines
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.auditing import audit_panel
from stopwork.server.pages.builders.incidents import deciding, timeline
from stopwork.server.pages.builders.look import Look, hold_row, pending_approvals
from stopwork.server.pages.builders.plan import recover_panel
from stopwork.server.pages.builders.workflow import ladder
from stopwork.server.pages.held import goes_on
from stopwork.server.pages.vocabulary import label

TIMELINE_LINES: Final = 150
CUSTODY_LINES: Final = 50
#: An ending is among the last entries of its kinds: only what was merged in at the same time may stand after it.
A_FEW: Final = 10
_STATES_WITH_TASKS: Final = (lifecycle.PhaseState.NOW, lifecycle.PhaseState.LATER)
#: What nobody needs to be called for while the incident is young.
_AFTERWARDS: Final = (w.Phase.LEARN, w.Phase.PREPARE)
_OPEN_TO_ALL: Final = {
    "attest": "Attest in my name",
    "except": "Make an exception",
    "sign": "Sign the return",
}


def incident(look: Look, incident_id: str) -> c.IncidentContext:
    """Answer everything that this incident asks for, of this visitor and of others."""
    view = look.view
    case = gather(view, look.manifests, incident_id)
    known = case.incident
    phases = lifecycle.phase_states(case)
    action = lifecycle.next_action(case)
    told = communicate.audiences(case)
    rows = timeline(look, incident_id, limit=TIMELINE_LINES + 1)
    return c.IncidentContext(
        frame=look.frame(known.title, "incidents", watch=f"incident:{incident_id}"),
        incident=known,
        taken=acknowledging.answering(view, look.manifests, incident_id, look.now),
        deciding=deciding(look, known),
        workflow=case.workflow,
        phases=phases,
        next=action,
        decisions=_decisions(look, case, phases, action),
        signals=case.signals,
        holds=tuple(hold_row(look, hold) for hold in _shown(case)),
        goes_on=goes_on((hold for hold in case.holds if hold.active), case.current),
        touched=_touched(case),
        doubtful=tuple(call for call in case.calls if call.outcome is w.Outcome.UNKNOWN),
        points=len(points.live(view, now=look.now, workflow=known.workflow)),
        proposed_pause=_proposed_pause(case),
        evidence=_evidence(look, case),
        containment=case.containment,
        offers=look.offers,
        audit=audit_panel(look, case),
        recover=recover_panel(look, case),
        audiences=tuple(_audience(case, each) for each in told if each.needed),
        not_told=tuple(each for each in told if not each.needed),
        learn=_learn(look, case),
        reenable=_reenable(look, case),
        preparedness=preparedness.assess(view, look.manifests, workflow=known.workflow, now=look.now),
        timeline=rows[-TIMELINE_LINES:],
        timeline_left_out=max(0, len(rows) - TIMELINE_LINES),
        people=tuple(dict.fromkeys((*case.workflow.owners.values(), *who_can(case.current)))),
        weighed=beyond_factors(case),
        ending=_ending(look, known),
    )


def _ending(look: Look, incident: r.Incident) -> c.Ending | None:
    """Answer why a declined or merged incident ended, as whoever did it said."""
    if incident.status not in (w.IncidentStatus.DECLINED, w.IncidentStatus.MERGED):
        return None
    kinds = (name_of(IncidentMerged), name_of(StatusChanged))
    for entry in look.view.entries(incident=incident.id, kinds=kinds, newest_first=True, limit=A_FEW):
        match entry.event:
            case IncidentMerged(incident=incident.id, reason=reason):
                return c.Ending(reason=reason, by=entry.actor, at=entry.at)
            case StatusChanged(after=w.IncidentStatus.DECLINED, reason=reason):
                return c.Ending(reason=reason, by=entry.actor, at=entry.at)
    return None


def _shown(case: Case) -> tuple[r.Hold, ...]:
    """Answer what is held for this incident; after its end only what was held for it alone."""
    holds = protecting(case)
    return tuple(
        hold for hold in holds if not case.incident.status.ended or hold.incident == case.incident.id
    )


def _decisions(
    look: Look,
    case: Case,
    phases: tuple[lifecycle.PhaseView, ...],
    action: lifecycle.NextAction | None,
) -> tuple[c.DecisionNeeded, ...]:
    """Answer what waits for this visitor beside the next action: their other phases, calls that ask, and what was given to them to make safe."""
    me = look.visit.person
    own = [
        c.DecisionNeeded(title=each.next_action, href=f"#{each.phase}")
        for each in phases
        if each.state in _STATES_WITH_TASKS
        and each.phase not in _AFTERWARDS
        and each.who == me
        and not (action and each.phase is action.phase)
    ]
    asked = [
        c.DecisionNeeded(
            title=row.approval.title, href=f"/approvals/{row.approval.id}", due=row.approval.expires_at
        )
        for row in pending_approvals(look)
        if not row.why_not and row.approval.run in case.incident.runs
    ]
    given = [
        c.DecisionNeeded(title=item.what, href=f"#{w.Phase.CONTAIN}", due=item.due_at)
        for item in case.containment
        if item.assignee == me and item.state not in ENDED and not case.incident.status.ended
    ]
    return (*own, *asked, *given)


def _touched(case: Case) -> str:
    """Answer what is known to be changed, and whether anybody has made sure that it is all."""
    known = drafting.six_facts(case).known_affected
    return f"{known} Audited." if case.audit else f"{known} Not audited yet."


def _proposed_pause(case: Case) -> str:
    smallest = pause.proposals(case.incident.type, pause.facts_of(case.signals), case.current)[0]
    return f"Proposed: {smallest.scope}. It stops {smallest.stops}; {smallest.keeps_running} goes on."


def _evidence(look: Look, case: Case) -> c.EvidencePanel:
    view, incident = look.view, case.incident
    collected = evidence.collected(view, case)
    bundle = case.bundle
    counts = {
        each.kind: bundle.kinds.get(each.kind.value, 0) if bundle else len(each.items) for each in collected
    }
    return c.EvidencePanel(
        kinds=tuple(c.KindCount(kind=kind, records=number) for kind, number in counts.items()),
        missing=bundle.missing if bundle else tuple(each.missing for each in collected if each.missing),
        bundle=bundle,
        verify_command=f"stopwork evidence verify {bundle.path}" if bundle else "",
        earlier=tuple(each for each in view.each(r.Bundle, incident=incident.id) if each != bundle),
        custody=tuple(custody.custody(view, incident.id))[-CUSTODY_LINES:],
        legal_hold=view.get(r.LegalHold, incident.id),
        may_lift=legal_hold.may_lift(view, incident, look.visit.person, look.now),
    )


def _audience(case: Case, told: communicate.Told) -> c.AudienceRow:
    written = [
        message
        for message in case.messages
        if message.audience is told.audience and message.state is not w.MessageState.DISCARDED
    ]
    return c.AudienceRow(told=told, message=written[-1] if written else None)


def _learn(look: Look, case: Case) -> c.LearnPanel:
    saved = case.postmortem
    shown = saved or postmortems.prefilled(case, look.now, timelines.pinned(look.view, case.incident.id))
    return c.LearnPanel(
        fields=tuple(
            c.PostmortemField(
                name=field.name,
                label=field.label,
                value=shown.fields.get(field.name, ""),
                hint=field.asks,
                prefilled=saved is None and bool(shown.fields.get(field.name)),
            )
            for field in learn.FIELDS
        ),
        follow_ups=shown.follow_ups,
        proposed=learn.proposed_classes(case.incident.type),
        postmortem=saved,
        root_cause=case.incident.root_cause,
        shallow=learn.shallow(saved.fields, saved.follow_ups) if saved else "",
        mandatory=case.incident.severity in learn.MANDATORY,
    )


def _reenable(look: Look, case: Case) -> c.ReenablePanel:
    step = reenable.next_step(case)
    views = reenable.checks(case)
    owner = case.incident.business_owner
    mine = look.visit.person == owner
    return c.ReenablePanel(
        checks=tuple(c.CheckRow(view=view, answer=_answer(view, owner, look.visit.person)) for view in views),
        stages=ladder(case.workflow.stage if case.incident.reenabled_at else None),
        next_stage=step.after,
        owner=owner,
        may_raise=mine and not step.blocked,
        why_not=_why_not_raise(case, views, step.blocked)
        or ("" if mine else f"Only {owner} gives autonomy back."),
    )


def _why_not_raise(case: Case, views: tuple[reenable.CheckView, ...], blocked: str) -> str:
    """Answer what is missing before the next stage, with the names that the page gives it."""
    if case.incident.reenabled_at is not None or not blocked:
        return blocked
    left = [
        label(view.check).lower()
        for view in views
        if view.state not in reenable.GOOD and view.check is not w.ReenableCheck.FIRST_RUN_MONITORED
    ]
    return f"Still open: {listed(left, most=len(left))}."


def _answer(view: reenable.CheckView, owner: str, person: str) -> str:
    """Answer what this person may do about a check; empty when it is settled, computed, or another's to answer."""
    if view.state in reenable.GOOD or (view.how in ("except", "sign") and person != owner):
        return ""
    return _OPEN_TO_ALL.get(view.how, "")
