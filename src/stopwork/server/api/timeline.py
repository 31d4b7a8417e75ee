"""The timeline of an incident, what people attach to it, and who has taken the incident."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from stopwork.incidents.timeline import Line, Order, Wanted
from stopwork.ledger import records as r
from stopwork.ledger.words import Phase
from stopwork.operations import acknowledging, attaching, timeline
from stopwork.server import timelines
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import MAX_NUMBER, Act, Given, Raw, Read, Rendered, Write
from stopwork.server.api.incidents import Text, incident_of, known_incident, of_incident
from stopwork.server.api.looking import looking_into
from stopwork.server.pages.sentences import sentence
from stopwork.storage.view import View

MAX_LINES: Final = 10_000
BINARY: Final = "application/octet-stream"

Number = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
Short = Annotated[str, Meta(max_length=200)]


class TimelineFilter(Struct, frozen=True, kw_only=True):
    """All entries unless something is said; ``after`` is the number of the entry after which it goes on."""

    person: Short = ""
    kind: Short = ""
    phase: Phase | None = None
    pinned: bool = False
    text: Short = ""
    order: Order = Order.RECORDED
    limit: Annotated[int, Meta(ge=1, le=MAX_LINES)] = MAX_LINES
    after: Number | None = None


class ExportAs(Struct, frozen=True, kw_only=True):
    """JSON lines, Markdown or CSV; ``zone`` is the time zone of the times in the last two."""

    form: timeline.Form = timeline.Form.JSONL
    zone: Short = ""


class EntryNumber(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    entry: Number


class CorrectEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other words for a note, another time for any entry, or both."""

    entry: Number
    reason: Reason
    text: Text = ""
    occurred_at: datetime | None = None


class NewAttachment(Struct, frozen=True, kw_only=True):
    """``name`` is the file's, ``why`` says what it shows."""

    name: Annotated[str, Meta(min_length=1, max_length=attaching.MAX_NAME_CHARACTERS)]
    why: Annotated[str, Meta(max_length=2_000)] = ""


class Acknowledge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    note: Annotated[str, Meta(max_length=2_000)] = ""


def _timeline(view: View, given: Given) -> list[Line]:
    query: TimelineFilter = given.query
    wanted = Wanted(**{name: getattr(query, name) for name in Wanted.__struct_fields__})
    found = timelines.part(view, known_incident(view, given), wanted, after=query.after, limit=query.limit)
    return list(found.lines)


def _export(given: Given) -> Rendered:
    found = timeline.export(
        given.installation,
        given.actor,
        incident=incident_of(given),
        form=given.query.form,
        zone=timelines.zone_of(given.query.zone),
        say=sentence,
    )
    return Rendered(content=found.content, media_type=found.media_type, filename=found.name)


def _attach(given: Given) -> r.BlobRef:
    body: Raw = given.body
    return attaching.attach(
        given.installation,
        given.actor,
        incident=incident_of(given),
        name=given.query.name,
        content=body.content,
        why=given.query.why,
    )


def _take(given: Given) -> Rendered:
    blob, pieces = attaching.take(
        given.installation, given.actor, incident=incident_of(given), digest=given.path["digest"]
    )
    return Rendered(content=b"".join(pieces), media_type=BINARY, filename=blob.name)


def _marking(path: str, name: str, summary: str, does: Any, body: type[Struct] = EntryNumber) -> Any:
    return of_incident("POST", f"/timeline/{path}", name, summary, Write(does), r.Mark, body=body)


ENDPOINTS: Final = (
    of_incident(
        "GET",
        "/timeline",
        "get_timeline",
        "What happened, the oldest first, each with when it happened and when that was recorded",
        looking_into("its timeline", _timeline),
        list[Line],
        query=TimelineFilter,
    ),
    of_incident(
        "GET",
        "/timeline/export",
        "export_timeline",
        "The whole timeline as a file; that it was taken out is recorded",
        Act(_export),
        None,
        query=ExportAs,
        also=tuple(each.partition(";")[0] for each in timeline.MEDIA_TYPES.values()),
    ),
    _marking(
        "pin",
        "pin_entry",
        "Pin an entry: it stands out, and in the postmortem",
        lambda tx, g: timeline.pin(tx, incident=incident_of(g), entry=g.body.entry),
    ),
    _marking(
        "unpin",
        "unpin_entry",
        "Take a pin away",
        lambda tx, g: timeline.unpin(tx, incident=incident_of(g), entry=g.body.entry),
    ),
    _marking(
        "correct",
        "correct_entry",
        "Say how an entry is to be read; the entry itself stays and is shown with it",
        lambda tx, g: timeline.correct(
            tx,
            incident=incident_of(g),
            entry=g.body.entry,
            reason=g.body.reason,
            text=g.body.text,
            occurred_at=g.body.occurred_at,
        ),
        body=CorrectEntry,
    ),
    of_incident(
        "POST",
        "/attachments",
        "attach_file",
        "Keep a file with the evidence; the body is its content",
        Act(_attach),
        r.BlobRef,
        query=NewAttachment,
        raw=(BINARY,),
        max_body_bytes=attaching.MAX_UPLOAD_BYTES,
        status=201,
    ),
    of_incident(
        "GET",
        "/attachments/{digest}",
        "take_attachment",
        "The content of an attachment, to be saved; that somebody took it is recorded",
        Act(_take),
        None,
        also=(BINARY,),
    ),
    of_incident(
        "POST",
        "/acknowledge",
        "acknowledge_incident",
        "Say that one has taken the incident, so that it goes to nobody else",
        Write(lambda tx, g: acknowledging.acknowledge(tx, incident=incident_of(g), note=g.body.note)),
        r.Response,
        body=Acknowledge,
        body_needed=False,
    ),
    of_incident(
        "GET",
        "/response",
        "get_response",
        "Who was told, who has taken it, who is asked next, and what became of each notification",
        Read(
            lambda view, g: acknowledging.answering(
                view, g.installation.manifests, incident_of(g), g.installation.store.clock.now()
            )
        ),
        acknowledging.Answering,
    ),
)
