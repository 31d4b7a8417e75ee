"""Events of what came in from people and other tools. That a signal was raised is said by ``signal.raised``."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events.base import Event


class SignalRepeated(Event, tag="signal.repeated"):
    """The same came in so often that it is counted and not kept one by one: ``times`` more, the first and the last of them then."""

    signal: str
    workflow: str
    times: int
    first_at: datetime
    last_at: datetime
    incident: str | None = None


class SignalAssigned(Event, tag="signal.assigned"):
    """A person said which workflow a signal is about that nobody could tell; from here on ``key`` is its cause."""

    signal: str
    workflow: str
    type: w.IncidentType
    key: str


class ToolsTraced(Event, tag="trace.tools_seen"):
    """Tool calls of a workflow's agent as its traces tell of them: of one delivery, ``left_out`` beyond those that one entry takes."""

    workflow: str
    tools: tuple[r.TracedTool, ...]
    left_out: int = 0
