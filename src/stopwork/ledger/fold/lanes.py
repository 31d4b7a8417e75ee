"""What the waiting of lanes does to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, Update, on, replace, to


@on(e.ItemsPostponed)
def _postponed(_entry: e.Entry, event: e.ItemsPostponed) -> Iterator[Change]:
    if not event.lane:
        for item in event.items:
            yield to(r.Item, item, tries=event.tries, again_at=event.until, note=event.error)
        return
    rest = r.Rest(until=event.until, tries=event.tries, error=event.error)
    yield Update(r.Plan, event.plan, lambda plan: replace(plan, rests={**plan.rests, event.system: rest}))
