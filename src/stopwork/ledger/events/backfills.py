"""Events of backfills: runs that make up for missed ones, by a person's order."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger import records as r
from stopwork.ledger.events.base import Event


class BackfillOrdered(Event, tag="backfill.ordered"):
    """A person has ordered it, after these checks."""

    backfill: str
    workflow: str
    occasion: str
    trigger_id: str
    reason: str
    expires_at: datetime
    findings: tuple[r.BackfillFinding, ...]
    due: datetime | None = None
    incident: str | None = None
    as_of: dict[str, datetime] = {}
    why: str = ""


class BackfillTaken(Event, tag="backfill.taken"):
    """A guard took it, to begin this run before ``taken_until``."""

    backfill: str
    workflow: str
    run: str
    session: str
    taken_until: datetime
    findings: tuple[r.BackfillFinding, ...]
    incident: str | None = None


class BackfillExpired(Event, tag="backfill.expired"):
    """Nobody took it up in time."""

    backfill: str
    workflow: str
    incident: str | None = None


class BackfillWithdrawn(Event, tag="backfill.withdrawn"):
    """A person took the order back; what its run has not done yet it does not do."""

    backfill: str
    workflow: str
    reason: str
    incident: str | None = None
