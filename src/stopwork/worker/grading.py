"""How grave an incident is that signals have joined: worked out again beside the writer, as that takes all its records.

A flood of signals is so many joins to one incident, which is gone through once for all of them. Whoever changes the severity by hand after
a signal has joined has seen it: nothing is changed behind their back.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec import Struct

from stopwork.incidents.severity import Assessment
from stopwork.ledger.events import SeverityChanged, SignalJoined, name_of
from stopwork.ledger.records import Incident, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import returning, signals
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.worker.duty import advance, position

DUTY: Final = "severities"
AS_GRADING: Final = Principal(kind=PrincipalKind.SYSTEM, id=DUTY)
MOST_AT_ONCE: Final = 1_000
_JOINED: Final = name_of(SignalJoined)
_SAID: Final = name_of(SeverityChanged)


class _News(Struct, frozen=True, kw_only=True):
    """The incidents that signals have joined, each with the newest of these entries; ``more`` where not all were read."""

    at: int
    joined: dict[str, int]
    more: bool


class Grading:
    """Raises the severity of incidents that have become graver by what joined them."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._at: int | None = None

    def look(self) -> None:
        """Assess each incident anew that something has joined since the last look."""
        while self._go_on():
            pass

    def _go_on(self) -> bool:
        store = self._installation.store
        news = store.read(self._news)
        for incident, joined_at in news.joined.items():
            found = store.read(partial(self._assessed, incident=incident, joined_at=joined_at))
            if found is not None:
                store.write(
                    partial(self._raise, incident=incident, joined_at=joined_at, found=found),
                    actor=AS_GRADING,
                )
        if news.joined:
            store.write(partial(advance, name=DUTY, position=news.at, state=b""))
        self._at = news.at
        return news.more

    def _news(self, view: View) -> _News:
        after = position(view, DUTY)[0] if self._at is None else self._at
        entries = view.entries(after=after, kinds=(_JOINED,), limit=MOST_AT_ONCE)
        more = len(entries) == MOST_AT_ONCE
        return _News(
            at=entries[-1].seq if more else view.last_seq(),
            joined={
                each.event.incident: each.seq for each in entries if isinstance(each.event, SignalJoined)
            },
            more=more,
        )

    def _assessed(self, view: View, *, incident: str, joined_at: int) -> Assessment | None:
        if _is_settled(view, incident, joined_at):
            return None
        return signals.graver(view, self._installation.manifests, incident)

    def _raise(self, tx: Tx, *, incident: str, joined_at: int, found: Assessment) -> None:
        if _is_settled(tx, incident, joined_at):
            return
        signals.set_severity(
            tx, tx.need(Incident, incident), found.severity, factors=found.factors, reason=found.why
        )
        returning.demote(tx, self._installation.manifests, incident=incident, because=found.why)


def _is_settled(view: View, incident: str, joined_at: int) -> bool:
    """Answer whether the incident has ended, or somebody has said how grave it is who knew what joined it."""
    if view.need(Incident, incident).status.ended:
        return True
    said = view.entries(incident=incident, after=joined_at, kinds=(_SAID,), limit=1)
    return bool(said)
