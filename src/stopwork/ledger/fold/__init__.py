"""What each event does to the records: the one definition of how state follows from the journal.

:func:`changes` is pure. The store applies what it answers in the transaction that appends the entry; ``fsck`` applies it
again from the first entry and compares; a test applies it to a dictionary. There is no other way in which a record
comes to be or changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger.events import Entry
from stopwork.ledger.fold import (
    backfills,
    containment,
    controls,
    drafts,
    feeds,
    incidents,
    lanes,
    pause_tests,
    preserving,
    reading_again,
    reports,
    telling,
    timeline,
    triage,
    work,
)
from stopwork.ledger.fold.change import HANDLERS, Change, Put, Update, Upsert

__all__ = [
    "Change",
    "Put",
    "Update",
    "Upsert",
    "backfills",
    "changes",
    "containment",
    "controls",
    "drafts",
    "feeds",
    "incidents",
    "lanes",
    "pause_tests",
    "preserving",
    "reading_again",
    "reports",
    "telling",
    "timeline",
    "triage",
    "work",
]


def changes(entry: Entry) -> Iterator[Change]:
    """Answer what the entry's event changes, in order."""
    handler = HANDLERS.get(type(entry.event))
    if handler is not None:
        yield from handler(entry, entry.event)
