"""Events of answering an incident: who is told, who takes it, and whom it goes to when nobody does."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger import words as w
from stopwork.ledger.events.base import Event


class ResponseBegan(Event, tag="response.began"):
    """Somebody of ``told`` acknowledges by ``due_at``; ``taken_by`` has taken the incident already, by opening or accepting it."""

    incident: str
    workflow: str
    severity: w.Severity
    told: tuple[str, ...]
    due_at: datetime
    taken_by: str = ""


class ResponseRaised(Event, tag="response.raised"):
    """The incident is graver than those who were told know; they hear of it once."""

    incident: str
    workflow: str
    severity: w.Severity
    told: tuple[str, ...]
    due_at: datetime


class IncidentAcknowledged(Event, tag="response.acknowledged"):
    incident: str
    workflow: str
    person: str
    note: str = ""


class AcknowledgementLapsed(Event, tag="response.lapsed"):
    """Nothing has happened since ``since``, so that nobody counts as having taken the incident any more."""

    incident: str
    workflow: str
    person: str
    since: datetime
    due_at: datetime


class CommandHandedOver(Event, tag="response.handed_over"):
    """``person`` was given the command and has not taken it yet; until then nobody counts as having taken the incident."""

    incident: str
    workflow: str
    person: str
    due_at: datetime


class ResponseEscalated(Event, tag="response.escalated"):
    """Nobody took the incident, so the next ``step`` of the chain is asked as well; ``role`` names it."""

    incident: str
    workflow: str
    step: int
    role: str
    to: tuple[str, ...]
    due_at: datetime
    why: str


class TellingPlanned(Event, tag="telling.planned"):
    """Exactly this goes to one person. It is made from a fixed form and of facts only, so nobody approves it.

    ``item`` is the one of the containment checklist that it is about, where it is about one.
    """

    telling: str
    incident: str
    workflow: str
    person: str
    step: w.TellingStep
    subject: str
    body: str
    item: str = ""


class TellingAttempted(Event, tag="telling.attempted"):
    """It is about to leave for the ``attempt``-th time; without an end it is tried again at ``again_at``."""

    telling: str
    incident: str
    workflow: str
    person: str
    attempt: int
    again_at: datetime


class TellingSucceeded(Event, tag="telling.succeeded"):
    telling: str
    incident: str
    workflow: str
    person: str
    said: str


class TellingFailed(Event, tag="telling.failed"):
    """It did not leave, and is tried again at ``again_at``; without one it is not tried again."""

    telling: str
    incident: str
    workflow: str
    person: str
    error: str
    again_at: datetime | None = None


class TellingDropped(Event, tag="telling.dropped"):
    """There is no sense in it any more, before it left."""

    telling: str
    incident: str
    workflow: str
    person: str
    why: str
