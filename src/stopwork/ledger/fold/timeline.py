"""What pins and corrections do to the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, Upsert, on, replace, same_fields

_About = e.EntryPinned | e.EntryUnpinned | e.EntryCorrected


@on(e.EntryPinned)
def _entry_pinned(entry: e.Entry, event: e.EntryPinned) -> Iterator[Change]:
    yield _marked(event, partial(replace, pinned_by=entry.actor.id, pinned_at=entry.at))


@on(e.EntryUnpinned)
def _entry_unpinned(_entry: e.Entry, event: e.EntryUnpinned) -> Iterator[Change]:
    yield _marked(event, partial(replace, pinned_by="", pinned_at=None))


@on(e.EntryCorrected)
def _entry_corrected(entry: e.Entry, event: e.EntryCorrected) -> Iterator[Change]:
    new = same_fields(r.Correction, event, at=entry.at, by=entry.actor)
    yield _marked(event, lambda mark: replace(mark, corrections=(*mark.corrections, new)))


def _marked(event: _About, evolve: Callable[[r.Mark], r.Mark]) -> Upsert:
    mark_id = f"{event.incident}/{event.entry}"
    fresh = r.Mark(id=mark_id, incident=event.incident, entry=event.entry)
    return Upsert(r.Mark, mark_id, lambda known: evolve(known or fresh))
