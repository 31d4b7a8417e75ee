"""What the last look of a recovery does to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, Update, on, replace, to


@on(e.ItemsReadAgain)
def _read_again(_entry: e.Entry, event: e.ItemsReadAgain) -> Iterator[Change]:
    looked = r.LastLook(upto=event.upto, done=event.done)
    yield Update(
        r.Plan, event.plan, lambda plan: replace(plan, last_looks={**plan.last_looks, event.system: looked})
    )
    for item in event.changed:
        yield to(r.Item, item, changed_again=True)
