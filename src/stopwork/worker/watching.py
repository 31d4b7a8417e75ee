"""Looks after the other duties: one that fails, has fallen silent or is left behind is a signal, and not a line in a log that nobody reads.

A duty that fails says so itself. One that hangs, or whose thread has died, says nothing at all, and that is what this duty is for. It is
shown with the others where the server says how it is; whoever asks from outside notices when all of them stand still.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from stopwork.kernel.phrases import count_of, lasting
from stopwork.ledger.events import DutyFailed, SignalRaised
from stopwork.ledger.records import Principal, Signal
from stopwork.ledger.records.incidents import ABOUT_A_DUTY
from stopwork.ledger.words import IncidentType, PrincipalKind, SignalKind, SignalState
from stopwork.storage.store import Store
from stopwork.storage.tables import duty as duties
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from stopwork.worker.duty import SILENT_FLOOR, Health

DUTY: Final = "watch"
MOST_SHOWN: Final = 50
AS_WATCH: Final = Principal(kind=PrincipalKind.SYSTEM, id=DUTY)


class Watching:
    """Tells of each duty that is not well, once until it is well again."""

    def __init__(self, store: Store, health: Callable[[], list[Health]]) -> None:
        self._store = store
        self._health = health
        self._seen: dict[str, datetime] = {}
        self._told: set[str] = set()

    def look(self) -> None:
        """Look at every duty, and record what is not well."""
        now = self._store.clock.now()
        unwell = {each.name: each for each in self._health() if not each.healthy}
        self._seen = {name: self._seen.get(name, now) for name in unwell}
        self._told &= unwell.keys()
        # Right after a start nothing has been done yet, and there may be much to catch up with: that is given a moment.
        news = [
            each
            for name, each in unwell.items()
            if name not in self._told and (each.error or now - self._seen[name] >= SILENT_FLOOR)
        ]
        if news:
            self._store.write(lambda tx: _tell(tx, news), actor=AS_WATCH)
            self._told |= {each.name for each in news}


def standing_still(view: View) -> list[Signal]:
    """Answer the newest signal about each duty that has not been well since."""
    about = view.find(Signal, state=SignalState.SERVER, order="-raised_at", limit=MOST_SHOWN)
    newest = {each.key: each for each in reversed(about)}
    return [each for each in newest.values() if not _is_well_since(view, each)]


def _is_well_since(view: View, signal: Signal) -> bool:
    row = view.execute(sa.select(duties.c.succeeded_at).where(duties.c.name == signal.facts["duty"])).first()
    return row is not None and row.succeeded_at is not None and row.succeeded_at > signal.raised_at


def _key(duty: str) -> str:
    return f"{ABOUT_A_DUTY}{duty}"


def _was_told(tx: Tx, unwell: Health) -> bool:
    """Answer whether another server, or this one before it was started anew, has told of it since it was well last."""
    latest = tx.find(Signal, key=_key(unwell.name), order="-raised_at", limit=1)
    return bool(latest) and (unwell.succeeded_at is None or latest[0].raised_at > unwell.succeeded_at)


def _tell(tx: Tx, unwell: list[Health]) -> None:
    for each in unwell:
        if _was_told(tx, each):
            continue
        why = _words(each)
        if not each.error:
            tx.record(DutyFailed(duty=each.name, error=why))
        tx.record(
            SignalRaised(
                signal=tx.new_id("sig"),
                kind=SignalKind.ALERT,
                type=IncidentType.POLICY_DRIFT,
                detector=DUTY,
                key=_key(each.name),
                workflow="",
                summary=f"the background duty {each.name} does not do its work: {why}",
                occurred_at=tx.now,
                facts={
                    "rule": "background duties",
                    "duty": each.name,
                    "threshold": each.silent_after_s,
                    "value": (tx.now - each.last_at).total_seconds() if each.last_at else None,
                    "unit": "seconds since it was heard of",
                    "error": each.error,
                    "behind": each.behind,
                    "behind_s": each.behind_s,
                },
            )
        )


def _words(unwell: Health) -> str:
    if unwell.error:
        return unwell.error
    if unwell.silent:
        return f"nothing was heard of it for {lasting(unwell.silent_after_s)}"
    return f"{count_of(unwell.behind, 'entry')} behind, the oldest for {lasting(unwell.behind_s)}"
