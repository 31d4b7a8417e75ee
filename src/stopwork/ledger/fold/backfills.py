"""What happens to backfills, as changes of the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold.change import Change, Put, Update, on, replace, same_fields, to


@on(e.BackfillOrdered)
def _ordered(entry: e.Entry, event: e.BackfillOrdered) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Backfill,
            event,
            id=event.backfill,
            state=w.BackfillState.ORDERED,
            ordered_by=entry.actor,
            ordered_at=entry.at,
        )
    )


@on(e.BackfillTaken)
def _taken(entry: e.Entry, event: e.BackfillTaken) -> Iterator[Change]:
    yield to(
        r.Backfill,
        event.backfill,
        state=w.BackfillState.TAKEN,
        run=event.run,
        session=event.session,
        findings=event.findings,
        taken_at=entry.at,
        taken_until=event.taken_until,
    )


@on(e.BackfillExpired)
def _expired(entry: e.Entry, event: e.BackfillExpired) -> Iterator[Change]:
    yield _closed(entry, event.backfill, state=w.BackfillState.EXPIRED)


@on(e.BackfillWithdrawn)
def _withdrawn(entry: e.Entry, event: e.BackfillWithdrawn) -> Iterator[Change]:
    yield _closed(entry, event.backfill, state=w.BackfillState.WITHDRAWN, note=event.reason)


def run_ended(entry: e.Entry, event: e.RunFinished, backfill: str) -> Update:
    """Answer the change by which an order ends with its run; one that was withdrawn meanwhile stays so."""

    def evolve(order: r.Backfill) -> r.Backfill:
        if order.state is w.BackfillState.WITHDRAWN:
            return replace(order, ended=event.status)
        return replace(
            order,
            state=w.BackfillState.FINISHED,
            ended=event.status,
            note=event.error or "",
            closed_at=entry.at,
            closed_by=entry.actor,
        )

    return Update(r.Backfill, backfill, evolve)


def _closed(entry: e.Entry, backfill: str, **fields: object) -> Update:
    return to(r.Backfill, backfill, closed_at=entry.at, closed_by=entry.actor, **fields)
