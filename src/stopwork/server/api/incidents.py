"""Incidents: opening, the phases in order, and the one page at the end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from stopwork.incidents.case import Case
from stopwork.incidents.lifecycle import NextAction, PhaseView, next_action, phase_states
from stopwork.ledger import records as r
from stopwork.ledger.peoples_words import MAX_TEXT_CHARS
from stopwork.ledger.words import (
    DetectedBy,
    IncidentStatus,
    IncidentType,
    Severity,
)
from stopwork.operations import (
    drifting,
    evidence,
    incidents,
)
from stopwork.operations.cases import gather
from stopwork.server.api.controls import page_of
from stopwork.server.api.endpoint import Act, Endpoint, Fetch, Given, Page, Read, Write
from stopwork.storage.view import View

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]


class OpenIncident(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow, a signal, or a run is all that is needed. ``request`` makes it safe to send twice."""

    workflow: Annotated[str, Meta(max_length=200)] = ""
    signal: Annotated[str, Meta(max_length=200)] = ""
    type: IncidentType | None = None
    title: Annotated[str, Meta(max_length=300)] = ""
    detected_by: DetectedBy | None = None
    detected_at: datetime | None = None
    severity: Severity | None = None
    runs: Annotated[tuple[str, ...], Meta(max_length=1000)] = ()
    request: Annotated[str, Meta(max_length=200)] = ""
    practice: bool = False


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


class Phases(Struct, frozen=True, kw_only=True):
    """Where the incident stands in each of the ten phases, and the one thing to do next; ``null`` when nothing is left."""

    phases: tuple[PhaseView, ...]
    next: NextAction | None


def _phases(view: View, given: Given) -> Phases:
    case = case_of(view, given)
    return Phases(phases=phase_states(case), next=next_action(case))


def case_of(view: View, given: Given) -> Case:
    """Answer the case that the path names."""
    return gather(view, given.installation.manifests, given.path["incident"])


def incident_of(given: Given) -> str:
    """Answer the incident that the path names."""
    return given.path["incident"]


def known_incident(view: View, given: Given) -> str:
    """Answer the incident that the path names; ``NotFound`` when there is none, so that nothing is not taken for empty."""
    return view.need(r.Incident, incident_of(given)).id


def of_incident(
    method: str, path: str, name: str, summary: str, does: Any, answer: Any, **more: Any
) -> Endpoint:
    """Answer a row below ``/v1/incidents/{incident}``."""
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
                **page_of(g.query, workflow=g.query.workflow, status=g.query.status),
            )
        ),
        query=IncidentFilter,
        answer=list[r.Incident],
        tag="incidents",
    ),
    of_incident(
        "GET",
        "",
        "get_incident",
        "One incident",
        Read(lambda view, g: view.need(r.Incident, incident_of(g))),
        r.Incident,
    ),
    of_incident(
        "GET",
        "/phases",
        "get_phases",
        "The ten phases, and the one thing to do next",
        Read(_phases),
        Phases,
    ),
    of_incident(
        "POST",
        "/notes",
        "add_note",
        "Write a note into the timeline",
        Write(
            lambda tx, g: incidents.add_note(
                tx, incident=incident_of(g), text=g.body.text, occurred_at=g.body.occurred_at
            )
        ),
        r.Note,
        body=NewNote,
        status=201,
    ),
    of_incident(
        "POST",
        "/severity",
        "change_severity",
        "Raise the severity, or lower it after containment",
        Write(
            lambda tx, g: incidents.change_severity(
                tx,
                g.installation.manifests,
                incident=incident_of(g),
                severity=g.body.severity,
                reason=g.body.reason,
            )
        ),
        r.Incident,
        body=ChangeSeverity,
    ),
    of_incident(
        "POST",
        "/handover",
        "hand_over",
        "Hand a role to another person",
        Write(
            lambda tx, g: incidents.hand_over(
                tx, incident=incident_of(g), role=g.body.role, to=g.body.to, note=g.body.note
            )
        ),
        r.Incident,
        body=HandOver,
    ),
    of_incident(
        "POST",
        "/root-cause",
        "record_root_cause",
        "Write down why the system allowed it",
        Write(lambda tx, g: incidents.record_root_cause(tx, incident=incident_of(g), text=g.body.text)),
        r.Incident,
        body=RootCause,
    ),
    of_incident(
        "POST",
        "/next-update",
        "schedule_update",
        "Say when the next update comes",
        Write(
            lambda tx, g: incidents.schedule_update(
                tx, incident=incident_of(g), at=g.body.at, reason=g.body.reason
            )
        ),
        r.Incident,
        body=NextUpdate,
    ),
    of_incident(
        "POST",
        "/seal",
        "seal_evidence",
        "Seal the evidence into a bundle",
        Act(lambda g: evidence.seal(g.installation, g.actor, incident=incident_of(g))),
        r.Bundle,
        status=201,
    ),
    of_incident(
        "GET",
        "/bundle",
        "get_bundle",
        "The newest evidence bundle, as a zip file; that it was taken out is recorded",
        Fetch(lambda g: evidence.fetch(g.installation, g.actor, incident=incident_of(g)), "application/zip"),
        None,
    ),
    of_incident(
        "POST",
        "/drift",
        "look_at_objects",
        "Look what has become of every affected object, and record it",
        Act(lambda g: drifting.look_at_objects(g.installation, g.actor, incident=incident_of(g))),
        r.Drift,
        status=201,
    ),
    of_incident(
        "GET",
        "/drift",
        "get_drift",
        "What had become of the affected objects at the newest look; null before there is one",
        Read(lambda view, g: view.get(r.Drift, known_incident(view, g))),
        r.Drift | None,
    ),
)
