"""Who was told of an incident, and who has taken it."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.records.parts import Record
from stopwork.ledger.words import Severity, TellingState, TellingStep


class Response(Record):
    """How an incident is answered. ``id`` is the incident's.

    ``due_at`` is by when somebody of ``told`` takes it while nobody has; ``step`` is how far it has been escalated, ``role`` to whom.
    ``severity`` is the one that those who were told know. ``late_from`` is when it was due before it was escalated at first.
    """

    id: str
    incident: str
    workflow: str
    severity: Severity
    told: tuple[str, ...]
    began_at: datetime
    due_at: datetime
    step: int = 0
    role: str = ""
    stepped_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    lapsed_at: datetime | None = None
    late_from: datetime | None = None


class Telling(Record):
    """One notification to one person. ``next_at`` is when it is tried, or tried again; ``said`` is what became of it at last.

    ``item`` is the one of the containment checklist that it is about, where it is about one.
    """

    id: str
    incident: str
    workflow: str
    person: str
    step: TellingStep
    subject: str
    body: str
    state: TellingState
    planned_at: datetime
    next_at: datetime | None = None
    attempts: int = 0
    attempted_at: datetime | None = None
    ended_at: datetime | None = None
    said: str = ""
    item: str = ""
