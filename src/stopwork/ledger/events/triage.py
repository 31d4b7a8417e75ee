"""Events of sorting incidents: what belongs together is merged, what does not is split."""

from __future__ import annotations

from stopwork.ledger.events.base import Event


class IncidentMerged(Event, tag="incident.merged"):
    """``incident`` ended in ``into``, which has its signals, runs, holds and causes from now on; both keep their history."""

    incident: str
    workflow: str
    into: str
    reason: str
    signals: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


class IncidentTagged(Event, tag="incident.tagged"):
    incident: str
    workflow: str
    tags: tuple[str, ...]


class QuestionAnswered(Event, tag="incident.question_answered"):
    """A person answered a question of the incident's checklist."""

    incident: str
    workflow: str
    item: str
    answer: str


class ReadersChanged(Event, tag="incident.readers_changed"):
    """Only ``readers`` and administrators see the incident while it is ``private``."""

    incident: str
    workflow: str
    private: bool
    readers: tuple[str, ...]
    reason: str


class IncidentSplit(Event, tag="incident.split"):
    """These signals and runs left ``incident`` for ``into``, which was opened for them and has this cause from now on."""

    incident: str
    workflow: str
    into: str
    reason: str
    signals: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    cause: str = ""
