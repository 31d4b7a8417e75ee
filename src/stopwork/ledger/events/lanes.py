"""Events of lanes: what a recovery waits for."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.events.base import Event


class ItemsPostponed(Event, tag="items.postponed"):
    """Nothing was found out about these items, for the ``tries``-th time; they are looked at again from ``until`` on.

    ``lane`` says that the whole system was out of reach, so that every item in it waits.
    """

    incident: str
    workflow: str
    plan: str
    system: str
    items: tuple[str, ...]
    until: datetime
    tries: int
    error: str
    lane: bool = False
