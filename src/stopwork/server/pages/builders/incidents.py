"""The lists of incidents, the form that opens one, and the one-page report."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from stopwork.incidents import affected, lifecycle, report, routing
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events import Event, ItemFinished, name_of
from stopwork.operations.cases import gather
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import OPEN_STATUSES, Look, field_changes, hold_row
from stopwork.server.pages.sentences import timeline_row
from stopwork.server.pages.vocabulary import label

INCIDENTS_A_PAGE: Final = 25
MAX_CHOICES: Final = 100
MAX_PROPOSALS: Final = 50
MAX_OTHERS: Final = 20
REPORT_ENTRIES: Final = 200
MAX_ENTRIES: Final = 10_000

#: Entries that repeat call by call what the run's page shows; a timeline is read by people.
QUIET: Final = frozenset(
    {
        "call.decided",
        "call.attempted",
        "call.finished",
        "step.recorded",
        "item.attempted",
        "incident.paused",
        "incident.update_scheduled",
        "message.attempted",
        "telling.planned",
        "telling.attempted",
        "evidence.viewed",
    }
)


def incident_row(look: Look, incident: r.Incident) -> c.IncidentRow:
    """Answer an incident as a line: whether its pause is enforced, and what comes next."""
    rows = [hold_row(look, hold) for hold in look.view.each(r.Hold, incident=incident.id, active=True)]
    action = None
    if not incident.status.ended:
        action = lifecycle.next_action(gather(look.view, look.manifests, incident.id))
    return c.IncidentRow(
        incident=incident,
        holds=tuple(row.hold for row in rows),
        unsettled=c.Unsettled.of(row.pause for row in rows),
        next_title=action.title if action else "",
        next_who=action.who if action else "",
        waits_since=_waits_since(look, incident),
    )


def _waits_since(look: Look, incident: r.Incident) -> datetime | None:
    response = None if incident.status.ended else look.view.get(r.Response, incident.id)
    return routing.late_from(response, look.now)


def proposals(look: Look) -> tuple[c.IncidentRow, ...]:
    """Answer what is only proposed, the gravest first, with what each can be merged into and when it ought to be decided."""
    found = look.view.find(
        r.Incident, status=w.IncidentStatus.PROPOSED, order="opened_at", limit=MAX_PROPOSALS
    )
    return tuple(deciding(look, each) for each in sorted(found, key=lambda it: it.severity))


def deciding(look: Look, incident: r.Incident) -> c.IncidentRow:
    """Answer an incident as a line with what it can be merged into; a proposal also with when it ought to be decided."""
    rows = [hold_row(look, hold) for hold in look.view.each(r.Hold, incident=incident.id, active=True)]
    manifest = look.manifests.version(look.view, incident.workflow, incident.version).manifest
    proposed = incident.status is w.IncidentStatus.PROPOSED
    others = look.view.find(
        r.Incident,
        workflow=incident.workflow,
        status=OPEN_STATUSES,
        order="-opened_at",
        limit=MAX_OTHERS + 1,
    )
    return c.IncidentRow(
        incident=incident,
        holds=tuple(row.hold for row in rows),
        unsettled=c.Unsettled.of(row.pause for row in rows),
        others=tuple(
            c.Choice(value=other.id, label=f"{other.id}: {other.title}")
            for other in others
            if other.id != incident.id and other.practice == incident.practice
        ),
        decide_by=incident.opened_at + manifest.response.within(incident.severity) if proposed else None,
    )


def incidents(look: Look) -> c.IncidentsContext:
    """Answer incidents, newest first; status and workflow stand in the address."""
    view = look.view
    status = look.query.get("status", "open")
    wanted: dict[str, object] = {}
    if status == "open":
        wanted["status"] = tuple(each for each in OPEN_STATUSES if each is not w.IncidentStatus.PROPOSED)
    elif status in set(w.IncidentStatus):
        wanted["status"] = status
    if workflow := look.query.get("workflow"):
        wanted["workflow"] = workflow
    found = view.find(
        r.Incident,
        order="-opened_at",
        limit=INCIDENTS_A_PAGE + 1,
        after=look.query.get("after") or None,
        **wanted,
    )
    shown = found[:INCIDENTS_A_PAGE]
    workflows = view.find(r.Workflow, limit=MAX_CHOICES)
    statuses = [
        ("open", "All open"),
        ("all", "All"),
        *((each.value, label(each)) for each in w.IncidentStatus),
    ]
    return c.IncidentsContext(
        frame=look.frame("Incidents", "incidents"),
        incidents=tuple(incident_row(look, each) for each in shown),
        proposals=proposals(look) if status == "open" else (),
        filters=(
            look.chosen("status", "Status", statuses),
            look.chosen("workflow", "Workflow", [("", "any"), *((it.id, it.title) for it in workflows)]),
        ),
        paging=c.Paging(
            shown=len(shown),
            newest=look.address("/incidents", after="") if look.query.get("after") else None,
            older=look.address("/incidents", after=shown[-1].id) if len(found) > len(shown) else None,
        ),
    )


def open_incident(look: Look) -> c.OpenIncidentContext:
    """Answer the form that opens an incident; ``workflow`` and ``run`` may stand in the address."""
    chosen = look.query.get("workflow", "")
    return c.OpenIncidentContext(
        frame=look.frame("Open an incident", "incidents", watch="none"),
        workflows=tuple(
            c.Choice(value=each.id, label=each.title, chosen=each.id == chosen)
            for each in look.view.find(r.Workflow, limit=MAX_CHOICES)
        ),
        types=tuple(c.Choice(value=each.value, label=label(each)) for each in w.IncidentType),
        run=look.query.get("run", ""),
        text=look.query.get("text", ""),
    )


def incident_report(look: Look, incident_id: str) -> c.ReportContext:
    """Answer the one page of an incident."""
    case = gather(look.view, look.manifests, incident_id)
    page = report.one_page(case, look.now)
    return c.ReportContext(
        frame=look.frame(f"Report of {incident_id}", "incidents", watch="none"),
        incident=case.incident,
        lines=report.lines(page),
        objects=affected_rows(case.effects, case.items, affected.affected_objects(case)),
        timeline=timeline(look, incident_id, limit=REPORT_ENTRIES),
        durations=report.phase_lines(page),
    )


def timeline(look: Look, incident_id: str, *, limit: int) -> tuple[c.TimelineRow, ...]:
    """Answer the incident's story in order, at most its last ``limit`` lines, without what repeats call by call."""
    entries = look.view.entries(incident=incident_id, newest_first=True, limit=MAX_ENTRIES)
    told = [
        timeline_row(entry, look.view)
        for entry in entries
        if name_of(entry.event) not in QUIET and not _went_as_planned(entry.event)
    ][:limit]
    here = f"/incidents/{incident_id}"
    return tuple(replace(row, href=row.href.removeprefix(here)) for row in reversed(told))


def _went_as_planned(event: Event) -> bool:
    """Answer whether an item was put right: the end of the plan counts those, and only the others need a line."""
    return isinstance(event, ItemFinished) and event.state is w.ItemState.VERIFIED


def affected_rows(
    effects: tuple[r.Effect, ...],
    items: tuple[r.Item, ...],
    objects: tuple[affected.AffectedObject, ...],
    looked: r.Drift | None = None,
) -> tuple[c.AffectedRow, ...]:
    """Answer each touched object field by field; *now* is what recovery found there, or else the audit, where it has looked."""
    run_of = {effect.call: effect.run for effect in effects}
    found = {item.object: item.found for item in items if item.found is not None}
    drifted = {each.object: each for each in looked.objects} if looked else {}
    return tuple(
        c.AffectedRow(
            object=each,
            fields=field_changes(each.before, each.after, found.get(each.object, each.seen)),
            calls=tuple((call, run_of[call]) for call in each.calls),
            drifted=drifted.get(each.object),
        )
        for each in objects
    )
