"""What pause tests do to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, on, same_fields, to
from stopwork.ledger.fold.controls import new_epoch


@on(e.PauseTestBegan)
def _began(entry: e.Entry, event: e.PauseTestBegan) -> Iterator[Change]:
    yield new_epoch(event.epoch)


@on(e.PauseTestFinished)
def _finished(entry: e.Entry, event: e.PauseTestFinished) -> Iterator[Change]:
    found = same_fields(r.PauseTest, event, id=event.test, at=entry.at, by=entry.actor)
    yield to(r.Workflow, event.workflow, pause_test=found)
