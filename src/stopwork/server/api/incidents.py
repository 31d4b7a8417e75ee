"""Incidents: opening, the phases in order, and the one page at the end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from stopwork.incidents.audit import AffectedObject, affected_objects
from stopwork.incidents.lifecycle import NextAction, PhaseView, next_action, phase_states
from stopwork.incidents.prepare import Preparedness
from stopwork.incidents.reenable import CheckView, StageStep, checks, next_step
from stopwork.incidents.report import OnePage, one_page
from stopwork.kernel.errors import NotFound
from stopwork.ledger import records as r
from stopwork.ledger.words import (
    ContainmentState,
    DetectedBy,
    IncidentStatus,
    IncidentType,
    ReenableCheck,
    Severity,
    Stage,
)
from stopwork.operations import (
    audits,
    containment,
    evidence,
    incidents,
    messages,
    postmortems,
    preparedness,
    recovery,
    returning,
)
from stopwork.operations.cases import gather
from stopwork.server.api.controls import Reason, _page
from stopwork.server.api.endpoint import Act, Endpoint, Given, Page, Read, Write
from stopwork.server.api.records import JournalLine, line_of
from stopwork.storage.view import View

Text = Annotated[str, Meta(max_length=20_000)]


class OpenIncident(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only ``workflow`` is needed. ``request`` makes it safe to send twice."""

    workflow: Annotated[str, Meta(min_length=1, max_length=200)]
    type: IncidentType = IncidentType.BAD_WRITEBACK
    title: Annotated[str, Meta(max_length=300)] = ""
    detected_by: DetectedBy = DetectedBy.USER_REPORT
    detected_at: datetime | None = None
    severity: Severity | None = None
    runs: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    request: Annotated[str, Meta(max_length=200)] = ""


class IncidentFilter(Page, frozen=True, kw_only=True):
    workflow: str | None = None
    status: IncidentStatus | None = None


class NewNote(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Text
    occurred_at: datetime | None = None


class ChangeSeverity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    severity: Severity
    reason: Annotated[str, Meta(max_length=2_000)] = ""


class HandOver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: str
    to: str
    note: Annotated[str, Meta(max_length=2_000)] = ""


class RootCause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Text


class NextUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    at: datetime
    reason: Annotated[str, Meta(max_length=2_000)] = ""


class ContainmentDone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: ContainmentState
    verified_how: Reason


class ProposePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``calls`` are those to be undone; left out, every writing call of the incident."""

    calls: Annotated[tuple[str, ...], Meta(max_length=50_000)] | None = None


class ApprovePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``items`` are run; ``accept`` stay as they are, for the reason in ``note``."""

    digest: str
    items: tuple[str, ...] | None = None
    accept: tuple[str, ...] = ()
    note: Annotated[str, Meta(max_length=2_000)] = ""


class EditMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    recipients: Annotated[tuple[str, ...], Meta(max_length=500)]
    subject: Annotated[str, Meta(max_length=500)]
    body: Text


class ApproveMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``digest`` is that of the text which was read."""

    digest: str


class WithReason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class SavePostmortem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fields: dict[str, Text]
    follow_ups: Annotated[tuple[r.FollowUp, ...], Meta(max_length=200)] = ()


class AnswerCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    note: Reason


class RaisedStage(Struct, frozen=True, kw_only=True):
    stage: Stage


class Return(Struct, frozen=True, kw_only=True):
    """The eleven checks and the next step of the return."""

    checks: tuple[CheckView, ...]
    next: StageStep


class Phases(Struct, frozen=True, kw_only=True):
    """Where the incident stands in each of the ten phases, and the one thing to do next; ``null`` when nothing is left."""

    phases: tuple[PhaseView, ...]
    next: NextAction | None


def _phases(view: View, given: Given) -> Phases:
    case = _case(view, given)
    return Phases(phases=phase_states(case), next=next_action(case))


def _case(view: View, given: Given) -> Any:
    return gather(view, given.installation.manifests, given.path["incident"])


def _return(view: View, given: Given) -> Return:
    case = _case(view, given)
    return Return(checks=checks(case), next=next_step(case))


def _id(given: Given) -> str:
    return given.path["incident"]


def _incident(
    method: str, path: str, name: str, summary: str, does: Any, answer: Any, **more: Any
) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/v1/incidents/{{incident}}{path}",
        name=name,
        summary=summary,
        does=does,
        answer=answer,
        tag="incidents",
        **more,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/incidents",
        name="open_incident",
        summary="Open an incident; the workflow is all that is needed",
        does=Write(
            lambda tx, g: incidents.open_by_hand(
                tx, g.installation.manifests, **{f: getattr(g.body, f) for f in g.body.__struct_fields__}
            )
        ),
        body=OpenIncident,
        answer=r.Incident,
        status=201,
        tag="incidents",
    ),
    Endpoint(
        method="GET",
        path="/v1/incidents",
        name="list_incidents",
        summary="List incidents, newest first",
        does=Read(
            lambda view, g: view.find(
                r.Incident,
                order="-opened_at",
                **_page(g.query, workflow=g.query.workflow, status=g.query.status),
            )
        ),
        query=IncidentFilter,
        answer=list[r.Incident],
        tag="incidents",
    ),
    _incident(
        "GET",
        "",
        "get_incident",
        "One incident",
        Read(lambda view, g: view.need(r.Incident, _id(g))),
        r.Incident,
    ),
    _incident(
        "GET",
        "/phases",
        "get_phases",
        "The ten phases, and the one thing to do next",
        Read(_phases),
        Phases,
    ),
    _incident(
        "GET",
        "/timeline",
        "get_timeline",
        "Everything that happened in the incident, oldest first",
        Read(lambda view, g: [line_of(entry) for entry in view.entries(incident=_id(g), limit=10_000)]),
        list[JournalLine],
    ),
    _incident(
        "POST",
        "/notes",
        "add_note",
        "Write a note into the timeline",
        Write(
            lambda tx, g: incidents.add_note(
                tx, incident=_id(g), text=g.body.text, occurred_at=g.body.occurred_at
            )
        ),
        r.Note,
        body=NewNote,
        status=201,
    ),
    _incident(
        "POST",
        "/severity",
        "change_severity",
        "Raise the severity, or lower it after containment",
        Write(
            lambda tx, g: incidents.change_severity(
                tx,
                g.installation.manifests,
                incident=_id(g),
                severity=g.body.severity,
                reason=g.body.reason,
            )
        ),
        r.Incident,
        body=ChangeSeverity,
    ),
    _incident(
        "POST",
        "/handover",
        "hand_over",
        "Hand a role to another person",
        Write(
            lambda tx, g: incidents.hand_over(
                tx, incident=_id(g), role=g.body.role, to=g.body.to, note=g.body.note
            )
        ),
        r.Incident,
        body=HandOver,
    ),
    _incident(
        "POST",
        "/root-cause",
        "record_root_cause",
        "Write down why the system allowed it",
        Write(lambda tx, g: incidents.record_root_cause(tx, incident=_id(g), text=g.body.text)),
        r.Incident,
        body=RootCause,
    ),
    _incident(
        "POST",
        "/next-update",
        "schedule_update",
        "Say when the next update comes",
        Write(
            lambda tx, g: incidents.schedule_update(tx, incident=_id(g), at=g.body.at, reason=g.body.reason)
        ),
        r.Incident,
        body=NextUpdate,
    ),
    _incident(
        "POST",
        "/seal",
        "seal_evidence",
        "Seal the evidence into a bundle",
        Act(lambda g: evidence.seal(g.installation, g.actor, incident=_id(g))),
        r.Bundle,
        status=201,
    ),
    _incident(
        "POST",
        "/containment",
        "propose_containment",
        "The containment checklist; proposed on first use",
        Write(lambda tx, g: containment.checklist(tx, g.installation.manifests, incident=_id(g))),
        list[r.ContainmentItem],
    ),
    _incident(
        "GET",
        "/containment",
        "get_containment",
        "The containment checklist as it stands",
        Read(lambda view, g: view.find(r.ContainmentItem, incident=_id(g))),
        list[r.ContainmentItem],
    ),
    Endpoint(
        method="POST",
        path="/v1/containment/{item:path}",
        name="record_containment",
        summary="Record how one containment item ended, and how that was verified",
        does=Write(
            lambda tx, g: containment.record(
                tx, item=g.path["item"], state=g.body.state, verified_how=g.body.verified_how
            )
        ),
        body=ContainmentDone,
        answer=r.ContainmentItem,
        tag="incidents",
    ),
    _incident(
        "POST",
        "/audit",
        "complete_audit",
        "Compute the twelve answers and record them",
        Write(lambda tx, g: audits.complete(tx, g.installation.manifests, incident=_id(g))),
        r.Audit,
        status=201,
    ),
    _incident(
        "GET",
        "/audit",
        "get_audit",
        "The newest audit; null before there is one",
        Read(lambda view, g: view.first(r.Audit, incident=_id(g), order="-at")),
        r.Audit | None,
    ),
    _incident(
        "GET",
        "/objects",
        "list_affected_objects",
        "Every object that the incident's calls changed",
        Read(lambda view, g: affected_objects(_case(view, g))),
        tuple[AffectedObject, ...],
    ),
    _incident(
        "POST",
        "/plan",
        "propose_plan",
        "Propose how each changed object is put right",
        Write(
            lambda tx, g: recovery.propose(
                tx,
                g.installation.manifests,
                g.installation.systems,
                incident=_id(g),
                calls=g.body.calls,
            )
        ),
        r.Plan,
        body=ProposePlan,
        status=201,
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}",
        name="get_plan",
        summary="One recovery plan",
        does=Read(lambda view, g: view.need(r.Plan, g.path["plan"])),
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}/items",
        name="list_items",
        summary="The items of a plan, in the order in which they run",
        does=Read(lambda view, g: view.find(r.Item, plan=g.path["plan"], order="order", limit=10_000)),
        answer=list[r.Item],
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/approve",
        name="approve_plan",
        summary="Approve the plan that was shown, as the business owner",
        does=Write(
            lambda tx, g: recovery.approve(
                tx,
                plan=g.path["plan"],
                digest=g.body.digest,
                items=g.body.items,
                accept=g.body.accept,
                note=g.body.note,
            )
        ),
        body=ApprovePlan,
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/run",
        name="run_plan",
        summary="Run the approved items that are left, and read each back",
        does=Act(lambda g: recovery.run(g.installation, g.actor, plan=g.path["plan"])),
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/reverse",
        name="reverse_plan",
        summary="Propose the undo of a finished recovery",
        does=Write(lambda tx, g: recovery.propose_reversal(tx, plan=g.path["plan"])),
        answer=r.Plan,
        status=201,
        tag="recovery",
    ),
    _incident(
        "POST",
        "/messages",
        "draft_messages",
        "Draft a message for everyone who must be told",
        Write(lambda tx, g: messages.draft(tx, g.installation.manifests, incident=_id(g))),
        list[r.Message],
        status=201,
    ),
    _incident(
        "GET",
        "/messages",
        "list_messages",
        "The incident's messages",
        Read(lambda view, g: view.find(r.Message, incident=_id(g), order="drafted_at")),
        list[r.Message],
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}",
        name="edit_message",
        summary="Change a draft; an approval of the old text is void",
        does=Write(
            lambda tx, g: messages.edit(
                tx,
                message=g.path["message"],
                recipients=g.body.recipients,
                subject=g.body.subject,
                body=g.body.body,
            )
        ),
        body=EditMessage,
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/approve",
        name="approve_message",
        summary="Approve the exact text",
        does=Write(lambda tx, g: messages.approve(tx, message=g.path["message"], digest=g.body.digest)),
        body=ApproveMessage,
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/send",
        name="send_message",
        summary="Send an approved message",
        does=Act(lambda g: messages.send(g.installation, g.actor, message=g.path["message"])),
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/discard",
        name="discard_message",
        summary="Drop a message that will not be sent",
        does=Write(lambda tx, g: messages.discard(tx, message=g.path["message"], reason=g.body.reason)),
        body=WithReason,
        answer=r.Message,
        tag="messages",
    ),
    _incident(
        "GET",
        "/postmortem",
        "get_postmortem",
        "The postmortem, pre-filled from records until it is saved",
        Read(
            lambda view, g: postmortems.proposed(
                view, g.installation.manifests, incident=_id(g), now=g.installation.store.clock.now()
            )
        ),
        r.Postmortem,
    ),
    _incident(
        "PUT",
        "/postmortem",
        "save_postmortem",
        "Save the postmortem",
        Write(
            lambda tx, g: postmortems.save(
                tx, incident=_id(g), fields=g.body.fields, follow_ups=g.body.follow_ups
            )
        ),
        r.Postmortem,
        body=SavePostmortem,
    ),
    _incident(
        "POST",
        "/postmortem/close",
        "close_postmortem",
        "Close the postmortem; the incident stays as it is",
        Write(lambda tx, g: postmortems.close(tx, incident=_id(g))),
        r.Postmortem,
    ),
    _incident(
        "GET",
        "/return",
        "get_return",
        "The eleven checks and the next stage",
        Read(_return),
        Return,
    ),
    _incident(
        "POST",
        "/checks/{check}",
        "answer_check",
        "Attest a check, take an exception, or sign as the owner",
        Write(
            lambda tx, g: returning.answer(
                tx,
                g.installation.manifests,
                incident=_id(g),
                check=_check(g.path["check"]),
                note=g.body.note,
            )
        ),
        CheckView,
        body=AnswerCheck,
    ),
    _incident(
        "POST",
        "/raise",
        "raise_stage",
        "Give one stage of autonomy back, as the business owner",
        Write(
            lambda tx, g: RaisedStage(
                stage=returning.raise_stage(tx, g.installation.manifests, incident=_id(g))
            )
        ),
        RaisedStage,
    ),
    _incident(
        "POST",
        "/preparedness",
        "review_preparedness",
        "Review how ready the workflow is for its next incident, and record it",
        Write(
            lambda tx, g: preparedness.record(
                tx,
                g.installation.manifests,
                workflow=tx.need(r.Incident, _id(g)).workflow,
                incident=_id(g),
            )
        ),
        Preparedness,
    ),
    _incident(
        "POST",
        "/close",
        "close_incident",
        "Close the incident",
        Write(lambda tx, g: returning.close(tx, incident=_id(g), reason=g.body.reason)),
        r.Incident,
        body=WithReason,
    ),
    _incident(
        "GET",
        "/report",
        "get_report",
        "The one-page report",
        Read(lambda view, g: one_page(_case(view, g), now=g.installation.store.clock.now())),
        OnePage,
    ),
)


def _check(name: str) -> ReenableCheck:
    try:
        return ReenableCheck(name)
    except ValueError:
        raise NotFound(f"there is no check {name!r}", hint=f"One of: {', '.join(ReenableCheck)}.") from None
