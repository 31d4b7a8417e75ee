"""Storybook: the whole timeline of an incident."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import msgspec

from stopwork.incidents.timeline import Line, Order, phase_of
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.events import Event, name_of
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import aftermath as a
from stopwork.server.pages.stories import world as s

LEE = s.LEE
_AT = {"incident": a.INCIDENT.id, "workflow": a.INCIDENT.workflow}


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _row(
    seq: int, event: Event, text: str, *, minutes: int, late_by: int = 0, **more: object
) -> c.TimelineLine:
    at, occurred_at = s.ago(minutes=minutes), s.ago(minutes=minutes + late_by)
    line = Line(
        seq=seq,
        at=at,
        occurred_at=occurred_at,
        actor=LEE,
        kind=name_of(event),
        phase=phase_of(event),
        text=text,
        event={},
        **more,  # type: ignore[arg-type]  # what a story says of its line
    )
    first = line.first_occurred_at
    return c.TimelineLine(
        line=line,
        recorded=_moment(at),
        occurred=_moment(occurred_at),
        first=_moment(first) if first else "",
        note=isinstance(event, e.NoteAdded),
    )


def _rows() -> tuple[c.TimelineLine, ...]:
    note = e.NoteAdded(**_AT, note="note_1", text="", occurred_at=s.NOW)
    corrected = r.Correction(reason="counted again in the mail log", at=s.ago(minutes=3), by=LEE)
    log = r.BlobRef(
        digest="sha256:" + "9f2c41d0" * 8, size_bytes=48_213, name="gateway-Mär.log", media_type="text/plain"
    )
    acknowledged = e.IncidentAcknowledged(**_AT, person="lee@acme.test")
    return (
        _row(17_611, acknowledged, "Acknowledged by lee@acme.test: I look at the mail log.", minutes=40),
        _row(
            17_640,
            note,
            "Seven customers got the mail twice, not four.",
            minutes=31,
            late_by=22,
            said="Four customers got the mail twice.",
            first_occurred_at=s.ago(minutes=31),
            corrections=(corrected,),
            pinned_by="lee@acme.test",
            pinned_at=s.ago(minutes=2),
        ),
        _row(
            17_688,
            e.EvidenceAdded(**_AT, blobs=(log,), why="what went out"),
            "Added to the evidence: gateway-Mär.log",
            minutes=12,
            files=(log,),
        ),
    )


def timeline_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Answer the page with pins, corrections and files, and the page that nothing fits on."""
    rows = _rows()
    kinds = (c.Choice(value="", label="any"), c.Choice(value="hold", label="Hold"))
    every = c.TimelineContext(
        frame=frame(f"Timeline of {a.INCIDENT.id}", "incidents"),
        incident=a.INCIDENT,
        rows=rows,
        filters=(
            c.Filter(name="kind", label="Kind", choices=kinds),
            c.Filter(
                name="zone", label="Time zone", choices=(c.Choice(value="UTC", label="UTC", chosen=True),)
            ),
        ),
        order=Order.RECORDED,
        text="",
        zone="UTC",
        max_upload_bytes=32 * 1024 * 1024,
        paging=c.Paging(shown=len(rows), older="?after=17688"),
    )
    yield "timeline", every
    yield (
        "timeline-none",
        msgspec.structs.replace(
            every, rows=(), text="nothing says this", whole=False, paging=c.Paging(shown=0)
        ),
    )
