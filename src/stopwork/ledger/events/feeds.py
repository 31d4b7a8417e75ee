"""Events of feeds."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.ledger.events.base import Event


class ChangesFed(Event, tag="feed.changes"):
    """A system of record told what changed in it; nothing of it was told before."""

    system: str
    changes: tuple[r.FeedChange, ...]
