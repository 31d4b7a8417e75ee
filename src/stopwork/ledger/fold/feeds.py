"""What feeds do to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger.fold.change import Change, Put, on


@on(e.ChangesFed)
def _fed(_entry: e.Entry, event: e.ChangesFed) -> Iterator[Change]:
    for each in event.changes:
        yield Put(each)
