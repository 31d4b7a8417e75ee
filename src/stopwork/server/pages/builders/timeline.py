"""The timeline of an incident: everything that happened, narrowed by the address, in a time zone that the visitor chooses."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final
from urllib.parse import urlencode

from stopwork.incidents.timeline import Line, Order, Wanted
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events import NoteAdded, name_of
from stopwork.ledger.words import Phase
from stopwork.operations.attaching import MAX_UPLOAD_BYTES
from stopwork.server import timelines
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import Look
from stopwork.server.pages.vocabulary import label

LINES_A_PAGE: Final = 100
MAX_ACTORS: Final = 60
MAX_TEXT: Final = 200
MAX_DIGITS: Final = 15
_KEPT: Final = ("person", "kind", "phase", "pinned", "text", "order", "zone", "after")
_NOTE: Final = name_of(NoteAdded)
#: Kinds of entries by what stands before the dot, as people choose among them.
_KINDS: Final = (
    "signal", "incident", "response", "telling", "hold", "run", "call", "approval", "draft", "evidence",
    "containment", "audit", "plan", "item", "message", "postmortem", "reenable", "workflow", "timeline",
)  # fmt: skip


def timeline(look: Look, incident_id: str) -> c.TimelineContext:
    """Answer a page of the timeline, the oldest first."""
    view = look.view
    known = view.need(r.Incident, incident_id)
    zone_name = look.query.get("zone", "") or "UTC"
    zone = timelines.zone_of(zone_name)
    wanted = _wanted(look)
    after = look.query.get("after", "")
    found = timelines.part(
        view,
        incident_id,
        wanted,
        after=int(after) if after.isdecimal() and len(after) <= MAX_DIGITS else None,
        limit=LINES_A_PAGE,
    )
    path = f"/incidents/{incident_id}/timeline"
    older = look.address(path, after=str(found.lines[-1].seq)) if found.more else None
    return c.TimelineContext(
        frame=look.frame(f"Timeline of {incident_id}", "incidents", watch="none"),
        incident=known,
        rows=tuple(_row(line, zone) for line in found.lines),
        filters=_filters(look, known, zone_name),
        order=wanted.order,
        text=wanted.text,
        zone=zone_name,
        here=urlencode({name: look.query[name] for name in _KEPT if look.query.get(name)}),
        whole=found.whole,
        max_upload_bytes=MAX_UPLOAD_BYTES,
        paging=c.Paging(
            shown=len(found.lines),
            newest=look.address(path, after="") if after else None,
            older=older,
        ),
    )


def _wanted(look: Look) -> Wanted:
    phase, order = look.query.get("phase", ""), look.query.get("order", "")
    return Wanted(
        person=look.query.get("person", "")[:MAX_TEXT],
        kind=look.query.get("kind", "")[:MAX_TEXT],
        phase=Phase(phase) if phase in set(Phase) else None,
        pinned=look.query.get("pinned") == "only",
        text=look.query.get("text", "").strip()[:MAX_TEXT],
        order=Order.OCCURRED if order == Order.OCCURRED else Order.RECORDED,
    )


def _filters(look: Look, known: r.Incident, zone: str) -> tuple[c.Filter, ...]:
    workflow = look.view.need(r.Workflow, known.workflow)
    people = dict.fromkeys((known.commander, *workflow.owners.values(), *_acted(look, known.id)))
    schedule = look.manifests.version(look.view, workflow.id, workflow.version).manifest.schedule
    zones = dict.fromkeys(("UTC", *((schedule.timezone,) if schedule else ()), zone))
    return (
        look.chosen("person", "Person", [("", "anybody"), *((each, each) for each in people)]),
        look.chosen("kind", "Kind", [("", "any"), *((each, label(each)) for each in _KINDS)]),
        look.chosen("phase", "Phase", [("", "any"), *((each.value, label(each)) for each in Phase)]),
        look.chosen("pinned", "Pins", [("", "all entries"), ("only", "pinned only")]),
        look.chosen("order", "Sorted by", [("recorded", "when recorded"), ("occurred", "when it happened")]),
        look.chosen("zone", "Time zone", [(each, each) for each in zones]),
    )


def _acted(look: Look, incident: str) -> tuple[str, ...]:
    """Answer the people who did something in the incident lately."""
    latest = look.view.entries(incident=incident, newest_first=True, limit=1_000)
    found = dict.fromkeys(entry.actor.id for entry in latest if entry.actor.kind is w.PrincipalKind.PERSON)
    return tuple(found)[:MAX_ACTORS]


def _row(line: Line, zone: tzinfo) -> c.TimelineLine:
    href = str(line.event.get("hold", "")) and f"/holds/{line.event['hold']}"
    if not href and (run := line.event.get("run")):
        href = f"/runs/{run}"
    return c.TimelineLine(
        line=line,
        recorded=_moment(line.at, zone),
        occurred=_moment(line.occurred_at, zone),
        first=_moment(line.first_occurred_at, zone) if line.first_occurred_at else "",
        href=href,
        note=line.kind == _NOTE,
    )


def _moment(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
