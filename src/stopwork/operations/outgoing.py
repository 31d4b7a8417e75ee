"""Outgoing: what people are to be told leaves, with each try and its end in the journal.

That it is about to leave is durable before it does. What has no end, because the server died, is tried again after a while: somebody who
is called twice is better than somebody who is not called. Both carry the same ``Message-ID``, by which mail programs know the second for
the first; whether the first one arrived is nothing that we can prove.
"""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import Any, Final

from stopwork.kernel.errors import StopworkError
from stopwork.ledger.events import (
    SignalRaised,
    TellingAttempted,
    TellingDropped,
    TellingFailed,
    TellingSucceeded,
)
from stopwork.ledger.records import Incident, Telling
from stopwork.ledger.words import IncidentType, SignalKind, TellingState
from stopwork.operations.installation import Installation
from stopwork.operations.telling import AS_TELLING, may_hear
from stopwork.storage.transaction import Tx

#: How long after each failure it is tried again; after the last one it is given up, and that is a signal.
AGAIN_AFTER: Final = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
)
MAX_TRIES: Final = len(AGAIN_AFTER) + 1
#: What has no end by then is in doubt, and tried again. No outlet takes so long.
IN_DOUBT_AFTER: Final = timedelta(minutes=5)
AT_ONCE: Final = 100
DETECTOR: Final = "telling"
_LEAVING: Final = (TellingState.DUE, TellingState.SENDING)


def deliver_due(installation: Installation, *, for_s: float) -> int:
    """Hand out what is due, for about so long; answer how many were tried."""
    store, end, tried = installation.store, time.monotonic() + for_s, 0
    now = store.clock.now()
    waiting = store.read(lambda view: view.find(Telling, state=_LEAVING, order="next_at", limit=AT_ONCE))
    for each in waiting:
        if each.next_at is None or each.next_at > now or time.monotonic() > end:
            break
        known = store.write(partial(_begin, telling=each.id), actor=AS_TELLING)
        if known is not None:
            _hand_over(installation, known)
            tried += 1
    return tried


def _begin(tx: Tx, *, telling: str) -> Telling | None:
    """Answer the notification that is about to leave; ``None`` when another server was first, or there is no sense in it any more."""
    known = tx.need(Telling, telling)
    if known.state not in _LEAVING or known.next_at is None or known.next_at > tx.now:
        return None
    incident = tx.need(Incident, known.incident)
    if incident.status.ended or not may_hear(tx, incident, known.person, tx.now):
        why = f"the incident is {incident.status}" if incident.status.ended else "it was made private"
        _record(tx, TellingDropped, known, why=why)
        return None
    if known.attempts >= MAX_TRIES:
        _failed(tx, known, f"nobody knows whether the last of {known.attempts} tries arrived")
        return None
    _record(tx, TellingAttempted, known, attempt=known.attempts + 1, again_at=tx.now + IN_DOUBT_AFTER)
    return tx.need(Telling, telling)


def _hand_over(installation: Installation, known: Telling) -> None:
    store = installation.store
    try:
        said = installation.outlet.send(
            message_id=known.id,
            recipients=(known.person,),
            subject=known.subject,
            body=known.body,
            at=store.clock.now(),
        ).get(known.person, "accepted")
    except Exception as error:  # noqa: BLE001 - whatever an outlet raises, it is not known to have left
        words = str(error) if isinstance(error, StopworkError) else f"{type(error).__name__}: {error}"
        store.write(lambda tx: _failed(tx, known, words), actor=AS_TELLING)
        return
    if said.startswith("refused"):
        for_good = said.startswith("refused: 5")
        store.write(lambda tx: _failed(tx, known, said, for_good=for_good), actor=AS_TELLING)
    else:
        store.write(lambda tx: _record(tx, TellingSucceeded, known, said=said), actor=AS_TELLING)


def _failed(tx: Tx, known: Telling, error: str, *, for_good: bool = False) -> None:
    last = for_good or known.attempts >= MAX_TRIES
    again_at = None if last else tx.now + AGAIN_AFTER[known.attempts - 1]
    _record(tx, TellingFailed, known, error=error[:500], again_at=again_at)
    if last:
        tx.record(
            SignalRaised(
                signal=tx.new_id("sig"),
                kind=SignalKind.ALERT,
                type=IncidentType.POLICY_DRIFT,
                detector=DETECTOR,
                key=f"{DETECTOR} {known.person}",
                workflow=known.workflow,
                summary=f"{known.person} could not be told of {known.incident}: {error}"[:500],
                occurred_at=tx.now,
                facts={
                    "rule": "telling",
                    "person": known.person,
                    "incident": known.incident,
                    "telling": known.id,
                    "threshold": MAX_TRIES,
                    "value": known.attempts,
                    "unit": "tries",
                    "error": error[:500],
                },
            )
        )


def _record(
    tx: Tx,
    kind: type[TellingAttempted | TellingSucceeded | TellingFailed | TellingDropped],
    known: Telling,
    **more: Any,
) -> None:
    tx.record(
        kind(telling=known.id, incident=known.incident, workflow=known.workflow, person=known.person, **more)
    )
