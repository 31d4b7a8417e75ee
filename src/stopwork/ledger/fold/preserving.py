"""What legal holds do to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, Upsert, on, to


@on(e.LegalHoldSet)
def _legal_hold_set(entry: e.Entry, event: e.LegalHoldSet) -> Iterator[Change]:
    held = r.LegalHold(
        id=event.incident,
        workflow=event.workflow,
        active=True,
        reason=event.reason,
        set_at=entry.at,
        set_by=entry.actor,
    )
    yield Upsert(r.LegalHold, event.incident, lambda _lifted: held)


@on(e.LegalHoldLifted)
def _legal_hold_lifted(entry: e.Entry, event: e.LegalHoldLifted) -> Iterator[Change]:
    yield to(
        r.LegalHold,
        event.incident,
        active=False,
        lifted_at=entry.at,
        lifted_by=entry.actor,
        lift_reason=event.reason,
    )


@on(e.KeysKept)
def _keys_kept(entry: e.Entry, event: e.KeysKept) -> Iterator[Change]:
    yield from (to(r.Key, key, idle_since=entry.at) for key in event.keys)
