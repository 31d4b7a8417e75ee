"""What must not be removed, and why."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.records.parts import Principal, Record


class LegalHold(Record):
    """While ``active``, nothing that belongs to the incident is removed. ``id`` is the incident's."""

    id: str
    workflow: str
    active: bool
    reason: str
    set_at: datetime
    set_by: Principal
    lifted_at: datetime | None = None
    lifted_by: Principal | None = None
    lift_reason: str = ""
