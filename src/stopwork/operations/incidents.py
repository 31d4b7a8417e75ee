"""Incidents: opening one by hand, and what people say and decide about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from stopwork.incidents import open as opening
from stopwork.incidents.lifecycle import require_open
from stopwork.incidents.severity import assess, check_change, of_case
from stopwork.incidents.tags import chosen as chosen_tags
from stopwork.incidents.tags import proposed as proposed_tags
from stopwork.kernel.addresses import one_address
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger.events import (
    IncidentTagged,
    NoteAdded,
    QuestionAnswered,
    RoleHandedOver,
    RootCauseRecorded,
    SignalJoined,
    UpdateScheduled,
)
from stopwork.ledger.words import DetectedBy, IncidentType, Severity
from stopwork.operations import returning
from stopwork.operations.acknowledging import taken
from stopwork.operations.cases import gather
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import administrators, require_known_person, require_person
from stopwork.operations.signals import circumstances, new_incident_id, open_incidents, set_severity
from stopwork.storage.transaction import Tx

#: The roles that can be handed over; the owners come from the manifest.
HANDED_OVER: Final = ("commander", "communication_owner", "postmortem_owner")
RECENT: Final = timedelta(days=1)


def open_by_hand(
    tx: Tx,
    manifests: Manifests,
    *,
    workflow: str = "",
    type: IncidentType | None = None,  # noqa: A002 - the record's own word
    title: str = "",
    detected_by: DetectedBy | None = None,
    detected_at: datetime | None = None,
    severity: Severity | None = None,
    runs: tuple[str, ...] = (),
    signal: str = "",
    request: str = "",
    practice: bool = False,
) -> r.Incident:
    """Open an incident; a workflow, a run or a signal is all that has to be given.

    Without ``runs`` it is about those of the last day. Where a ``signal`` belongs to an open incident, or one is open about its cause,
    that one is answered; the signal of an incident that has ended opens a new one. ``request`` names this opening: saying it twice
    opens one incident. A ``practice`` one is a drill, and not opened from a signal.
    """
    person = require_person(tx, "open an incident")
    source = tx.need(r.Signal, signal) if signal else None
    if source is not None and practice:
        raise Invalid(
            f"{signal} is real, and a drill takes in nothing real",
            hint="Open the drill about the workflow or about one of its runs.",
            field="practice",
        )
    if source is not None and source.incident is not None:
        known_home = tx.need(r.Incident, source.incident)
        if not known_home.status.ended:
            return known_home
    workflow = workflow or _workflow_of(tx, source, runs)
    if source is not None and source.workflow != workflow:
        raise Invalid(f"{signal} is about {source.workflow}", hint="Leave the workflow out.", field="signal")
    if source is not None and (home := opening.home_of_cause(source.key, open_incidents(tx, workflow))):
        tx.record(SignalJoined(incident=home.id, workflow=workflow, signal=source.id, run=source.run))
        return tx.need(r.Incident, home.id)
    type = type or (source.type if source else IncidentType.BAD_WRITEBACK)  # noqa: A001
    known = known_workflow(tx, workflow)
    manifest = manifests.version(tx, workflow, known.version).manifest
    cause = (
        source.key if source else f"1/{type}/{workflow}/by hand/{person}/{request or tx.new_id('request')}"
    )
    if source is None and (earlier := tx.first(r.Incident, cause=cause)) is not None:
        return earlier
    named = (*runs, *((source.run,) if source and source.run else ()))
    chosen = [tx.need(r.Run, run) for run in dict.fromkeys(named)] or list(
        tx.each(r.Run, workflow=workflow, started_at_from=tx.now - RECENT, order="started_at")
    )
    if strange := [run.id for run in chosen if run.workflow != workflow]:
        raise Invalid(
            f"{strange[0]} is no run of {workflow}", hint="Choose runs of this workflow.", field="runs"
        )
    ids = tuple(run.id for run in chosen)
    assessment = assess(circumstances(tx, manifest, type, ids, at_least=severity))
    incident = new_incident_id(tx)
    tx.record(
        opening.opening(
            incident=incident,
            cause=cause,
            incident_type=type,
            manifest=manifest,
            version=known.version,
            assessment=assessment,
            noticed_by=detected_by
            or (opening.detected_by(source.kind) if source else DetectedBy.USER_REPORT),
            detected_at=in_utc(detected_at) if detected_at else source.raised_at if source else tx.now,
            now=tx.now,
            opener=tx.actor,
            administrators=administrators(tx, tx.now),
            runs=ids,
            tools=opening.tools_of(source) if source else (),
            title=title,
            practice=practice,
            tags=proposed_tags(type, source.kind if source else None),
        )
    )
    if source is not None:
        tx.record(SignalJoined(incident=incident, workflow=workflow, signal=source.id, run=source.run))
    opened = tx.need(r.Incident, incident)
    if not practice:
        returning.demote(tx, manifests, incident=incident, because=opened.title)
    return tx.need(r.Incident, incident)


def _workflow_of(tx: Tx, signal: r.Signal | None, runs: tuple[str, ...]) -> str:
    if signal is not None:
        return signal.workflow
    if runs:
        return tx.need(r.Run, runs[0]).workflow
    raise Invalid(
        "nothing says which workflow it is about",
        hint="Name the workflow, or one of its runs or signals.",
        field="workflow",
    )


def change_severity(
    tx: Tx, manifests: Manifests, *, incident: str, severity: Severity, reason: str
) -> r.Incident:
    """Raise the severity freely; lower it only after verified containment and with a reason."""
    require_person(tx, "change the severity")
    known = _open(tx, incident)
    check_change(known, severity, reason=reason)
    factors = assess(of_case(gather(tx, manifests, incident))).factors
    set_severity(tx, known, severity, factors=factors, reason=reason.strip())
    return tx.need(r.Incident, incident)


def add_note(tx: Tx, *, incident: str, text: str, occurred_at: datetime | None = None) -> r.Note:
    """Write a remark into the incident's timeline; when it happened may be earlier than now."""
    require_person(tx, "write a note")
    known = tx.need(r.Incident, incident)
    text = text.strip()
    if not text:
        raise Invalid("the note is empty", hint="Write what happened.", field="text")
    note = tx.new_id("note")
    tx.record(
        NoteAdded(
            incident=incident,
            workflow=known.workflow,
            note=note,
            text=text,
            occurred_at=in_utc(occurred_at) if occurred_at else tx.now,
        )
    )
    return tx.need(r.Note, note)


def record_root_cause(tx: Tx, *, incident: str, text: str) -> r.Incident:
    """Write down why the system allowed it."""
    require_person(tx, "record the root cause")
    known = _open(tx, incident)
    text = text.strip()
    if not text:
        raise Invalid("the root cause is empty", hint="Say why the system allowed it.", field="text")
    tx.record(RootCauseRecorded(incident=incident, workflow=known.workflow, text=text))
    return tx.need(r.Incident, incident)


def hand_over(tx: Tx, *, incident: str, role: str, to: str, note: str = "") -> r.Incident:
    """Give a role to another person whom this server knows, with what they need to know.

    Whoever takes the command has taken the incident; whoever is given it is told, and until they acknowledge it nobody has.
    """
    person = require_person(tx, "hand over a role")
    known = _open(tx, incident)
    if role not in HANDED_OVER:
        raise Invalid(
            f"{role!r} cannot be handed over", hint=f"Possible: {', '.join(HANDED_OVER)}.", field="role"
        )
    to = one_address(to, "to")
    require_known_person(tx, to, field="to", besides=(person,))
    before = str(getattr(known, role))
    if before != to:
        tx.record(
            RoleHandedOver(
                incident=incident,
                workflow=known.workflow,
                role=role,
                before=before,
                after=to,
                note=note.strip(),
            )
        )
    if role == "commander" and to == person:
        taken(tx, known, person, note="by taking the command")
    return tx.need(r.Incident, incident)


def tag(tx: Tx, *, incident: str, tags: Iterable[str]) -> r.Incident:
    """Say what the incident is called in the lists that security teams share; these tags and no others."""
    require_person(tx, "tag an incident")
    known = _open(tx, incident)
    wanted = chosen_tags(tags)
    if wanted != known.tags:
        tx.record(IncidentTagged(incident=incident, workflow=known.workflow, tags=wanted))
    return tx.need(r.Incident, incident)


def answer_question(tx: Tx, *, incident: str, item: str, answer: str) -> r.Incident:
    """Answer a question of the incident's checklist, in one's own name; the newest answer counts, and every one is on the timeline."""
    require_person(tx, "answer a question")
    known = _open(tx, incident)
    if item not in {each.id for each in known.checklist}:
        raise Invalid(
            f"{item[:80]!r} is no question of {incident}",
            hint=f"Its checklist: stopwork incident checklist {incident}",
            field="item",
        )
    if not answer.strip():
        raise Invalid("the answer is empty", hint="One sentence is enough.", field="answer")
    tx.record(QuestionAnswered(incident=incident, workflow=known.workflow, item=item, answer=answer.strip()))
    return tx.need(r.Incident, incident)


def schedule_update(tx: Tx, *, incident: str, at: datetime, reason: str = "") -> r.Incident:
    """Say when the next update comes; a later time than planned needs a reason."""
    require_person(tx, "schedule an update")
    known = _open(tx, incident)
    at = in_utc(at)
    if at <= tx.now:
        raise Invalid("the next update lies in the past", hint="Give a time to come.", field="at")
    if known.next_update_at and at > known.next_update_at and not reason.strip():
        raise Invalid("a later update needs a reason", hint="Say why in a sentence.", field="reason")
    tx.record(
        UpdateScheduled(incident=incident, workflow=known.workflow, next_update_at=at, reason=reason.strip())
    )
    return tx.need(r.Incident, incident)


def _open(tx: Tx, incident: str) -> r.Incident:
    known = tx.need(r.Incident, incident)
    require_open(known)
    return known
