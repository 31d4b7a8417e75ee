"""Events of drafted calls. That a call was drafted is said by ``call.decided``; ``call`` is the drafted one throughout."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger.events.base import Event


class DraftEdited(Event, tag="draft.edited"):
    """A person changed what would run."""

    call: str
    run: str
    workflow: str
    before: dict[str, Any]
    after: dict[str, Any]
    digest: str
    reason: str


class DraftReleased(Event, tag="draft.released"):
    """A person permitted exactly these arguments; they will run as the call ``becomes``, once, on the approval named."""

    call: str
    run: str
    workflow: str
    tool: str
    args: dict[str, Any]
    digest: str
    reason: str
    approval: str
    becomes: str


class DraftClaimed(Event, tag="draft.claimed"):
    """A guard took a released draft, to carry it out before ``until``."""

    call: str
    run: str
    workflow: str
    session: str
    until: datetime
    point: str | None = None


class DraftReturned(Event, tag="draft.returned"):
    """A release came to nothing before anything ran: the draft is open again."""

    call: str
    run: str
    workflow: str
    why: str


class DraftDiscarded(Event, tag="draft.discarded"):
    """A person decided that the draft will not run."""

    call: str
    run: str
    workflow: str
    reason: str


class DraftSuperseded(Event, tag="draft.superseded"):
    """Another call, drafted or done, took this draft's place."""

    call: str
    run: str
    workflow: str
    by: str
    why: str
