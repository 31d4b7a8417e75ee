"""A timeline: what happened in an incident, when it happened and when that was recorded, what people pinned, and what they corrected.

A correction is an entry of its own. The line it is about reads as corrected, and keeps and shows what it said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import Struct

from stopwork.ledger.events import Entry, Event, EvidenceAdded, NoteAdded, name_of
from stopwork.ledger.records import BlobRef, Correction, Mark, Principal
from stopwork.ledger.words import Phase

_PHASES: Final = {
    "signal": Phase.OPEN,
    "incident": Phase.OPEN,
    "response": Phase.OPEN,
    "telling": Phase.OPEN,
    "timeline": Phase.OPEN,
    "hold": Phase.PAUSE,
    "incident.paused": Phase.PAUSE,
    "evidence": Phase.PRESERVE,
    "legal_hold": Phase.PRESERVE,
    "containment": Phase.CONTAIN,
    "audit": Phase.AUDIT,
    "drift": Phase.AUDIT,
    "plan": Phase.RECOVER,
    "item": Phase.RECOVER,
    "items": Phase.RECOVER,
    "backfill": Phase.RECOVER,
    "message": Phase.COMMUNICATE,
    "incident.update_scheduled": Phase.COMMUNICATE,
    "postmortem": Phase.LEARN,
    "incident.root_cause_recorded": Phase.LEARN,
    "reenable": Phase.REENABLE,
    "incident.reenabled": Phase.REENABLE,
    "workflow": Phase.REENABLE,
    "preparedness": Phase.PREPARE,
}
"""The phase of each kind of entry, by its whole name or by what stands before the dot."""


class Order(StrEnum):
    """By which time a timeline is sorted."""

    RECORDED = "recorded"
    OCCURRED = "occurred"


class Line(Struct, frozen=True, kw_only=True):
    """One entry as a timeline shows it.

    ``at`` is when it was recorded, ``occurred_at`` when it happened, as it was corrected last. ``text`` is what it says now; where that was
    corrected, ``said`` and ``first_occurred_at`` are what it said at first. ``pinned_by`` is empty while nobody has pinned it.
    """

    seq: int
    at: datetime
    occurred_at: datetime
    actor: Principal
    kind: str
    phase: Phase | None
    text: str
    event: dict[str, Any]
    said: str = ""
    first_occurred_at: datetime | None = None
    pinned_by: str = ""
    pinned_at: datetime | None = None
    corrections: tuple[Correction, ...] = ()
    files: tuple[BlobRef, ...] = ()


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be seen of a timeline: all of it, unless something is said. ``text`` is looked for in what a line says and in its facts.

    ``kind`` is a whole kind, such as ``incident.note_added``, or what stands before the dot.
    """

    person: str = ""
    kind: str = ""
    phase: Phase | None = None
    pinned: bool = False
    text: str = ""
    order: Order = Order.RECORDED


def line_of(entry: Entry, text: str, mark: Mark | None) -> Line:
    """Answer an entry as a line, with what people said about it since."""
    event = entry.event
    corrections = mark.corrections if mark else ()
    first = getattr(event, "occurred_at", None) or entry.at
    words = next((each.text for each in reversed(corrections) if each.text), "")
    moved = next((each.occurred_at for each in reversed(corrections) if each.occurred_at), None)
    return Line(
        seq=entry.seq,
        at=entry.at,
        occurred_at=moved or first,
        actor=entry.actor,
        kind=name_of(event),
        phase=phase_of(event),
        text=words or text,
        event=msgspec.to_builtins(event),
        said=text if words else "",
        first_occurred_at=first if moved else None,
        pinned_by=mark.pinned_by if mark else "",
        pinned_at=mark.pinned_at if mark else None,
        corrections=corrections,
        files=event.blobs if isinstance(event, EvidenceAdded) else (),
    )


def phase_of(event: Event) -> Phase | None:
    """Answer the phase that a kind of entry belongs to; ``None`` for what belongs to none, such as a call."""
    name = name_of(event)
    return _PHASES.get(name) or _PHASES.get(name.partition(".")[0])


def chosen(lines: Iterable[Line], wanted: Wanted) -> list[Line]:
    """Answer the lines that are wanted, in the order that is wanted, the oldest first."""
    found = [line for line in lines if _fits(line, wanted)]
    if wanted.order is Order.OCCURRED:
        found.sort(key=lambda line: (line.occurred_at, line.seq))
    return found


def is_note(event: Event) -> bool:
    """Answer whether a person wrote it, so that its words can be corrected and not only its time."""
    return isinstance(event, NoteAdded)


def _fits(line: Line, wanted: Wanted) -> bool:
    if wanted.pinned and not line.pinned_by:
        return False
    if wanted.person and line.actor.id != wanted.person:
        return False
    if wanted.phase is not None and line.phase is not wanted.phase:
        return False
    if wanted.kind and wanted.kind not in (line.kind, line.kind.partition(".")[0]):
        return False
    return not wanted.text or _holds(line, wanted.text.casefold())


def _holds(line: Line, text: str) -> bool:
    said = (line.text, line.said, *(each.reason for each in line.corrections), *(f.name for f in line.files))
    return any(text in each.casefold() for each in said) or _anywhere(line.event, text)


def _anywhere(value: Any, text: str) -> bool:
    if isinstance(value, Mapping):
        return any(_anywhere(each, text) for each in value.values())
    if isinstance(value, list | tuple):
        return any(_anywhere(each, text) for each in value)
    return text in str(value).casefold() if value is not None else False
