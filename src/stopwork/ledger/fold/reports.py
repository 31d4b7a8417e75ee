"""What reports do to the records beyond being signals."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, Update, on, replace, to


@on(e.SignalRepeated)
def _signal_repeated(_entry: e.Entry, event: e.SignalRepeated) -> Iterator[Change]:
    def counted(signal: r.Signal) -> r.Signal:
        last_at = max(signal.repeated_at or event.last_at, event.last_at)
        return replace(signal, repeats=signal.repeats + event.times, repeated_at=last_at)

    yield Update(r.Signal, event.signal, counted)


@on(e.SignalAssigned)
def _signal_assigned(_entry: e.Entry, event: e.SignalAssigned) -> Iterator[Change]:
    yield to(r.Signal, event.signal, workflow=event.workflow, type=event.type, key=event.key)
