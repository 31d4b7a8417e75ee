"""The words of telling: why a person is told of an incident, and how far that has come."""

from __future__ import annotations

from enum import StrEnum


class TellingStep(StrEnum):
    """Why somebody is told."""

    OPENED = "opened"
    RAISED = "raised"
    ESCALATED = "escalated"
    LAPSED = "lapsed"
    HANDED_OVER = "handed_over"
    ASSIGNED = "assigned"
    OVERDUE = "overdue"


class TellingState(StrEnum):
    """Where one notification to one person stands; ``given_up`` after the last try, with a signal that says so."""

    DUE = "due"
    SENDING = "sending"
    TOLD = "told"
    GIVEN_UP = "given_up"
    DROPPED = "dropped"
