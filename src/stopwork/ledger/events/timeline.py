"""Events of a timeline: which entries matter, and what is to be read differently. ``entry`` is an entry's number in the journal."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.events.base import Event


class EntryPinned(Event, tag="timeline.pinned"):
    incident: str
    workflow: str
    entry: int


class EntryUnpinned(Event, tag="timeline.unpinned"):
    incident: str
    workflow: str
    entry: int


class EntryCorrected(Event, tag="timeline.corrected"):
    """What an entry says, or when that happened, is to be read like this; the entry itself stays as it is."""

    incident: str
    workflow: str
    entry: int
    reason: str
    text: str = ""
    occurred_at: datetime | None = None
