"""What people have said about entries of a timeline."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.records.parts import Principal, Record


class Correction(Record):
    """What is to be read instead, where it is given, and why."""

    reason: str
    at: datetime
    by: Principal
    text: str = ""
    occurred_at: datetime | None = None


class Mark(Record):
    """The pin and the corrections of one entry, oldest first. ``id`` is ``incident/entry``."""

    id: str
    incident: str
    entry: int
    pinned_by: str = ""
    pinned_at: datetime | None = None
    corrections: tuple[Correction, ...] = ()
