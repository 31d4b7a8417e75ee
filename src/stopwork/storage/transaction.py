"""Writing: one event at a time, into the journal and the records together."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import datetime
from typing import TypeVar, cast

import msgspec
import sqlalchemy as sa

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.errors import Conflict, Internal, Invalid, Tampered
from stopwork.kernel.ids import IdSource
from stopwork.ledger.events import Entry, Event, name_of
from stopwork.ledger.fold import Change, Put, Update, changes
from stopwork.ledger.records import Principal, Record
from stopwork.storage import statements
from stopwork.storage.tables import JOURNAL_KEYS, TABLES, column_values, id_of, journal
from stopwork.storage.view import View, entry_of

R = TypeVar("R", bound=Record)


class Tx(View):
    """One transaction of the single writer: a view that sees its own writes, and the only place that makes any.

    ``now`` is read once. ``actor`` is who everything in this transaction is recorded for.
    """

    def __init__(self, connection: sa.Connection, *, now: datetime, ids: IdSource, actor: Principal) -> None:
        super().__init__(connection)
        self.now = now
        self.actor = actor
        self._ids = ids
        self.recorded: list[Entry] = []
        self._known: dict[tuple[type[Record], str], Record | None] = {}
        self._next_seq = 0
        self._broken: BaseException | None = None

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``; within one transaction it is looked up once."""
        # Nobody else writes while this transaction runs, and what it writes itself passes through here.
        if (kind, record_id) not in self._known:
            self._known[kind, record_id] = super().get(kind, record_id)
        return cast("R | None", self._known[kind, record_id])

    def new_id(self, prefix: str) -> str:
        """Answer a new identifier such as ``run_01hv…``."""
        return self._ids.new(prefix)

    def record(self, event: Event) -> Entry:
        """Append the event to the journal and apply what it changes; both become durable together or not at all.

        After an error from here nothing of this transaction is kept, even where the error is caught.
        """
        try:
            return self._record(event)
        except BaseException as error:
            self._broken = error
            raise

    def require_whole(self) -> None:
        """Raise the error that left an event half applied, if there was one."""
        if self._broken is not None:
            raise self._broken

    def _record(self, event: Event) -> Entry:
        self._next_seq = self._next_seq + 1 if self._next_seq else self.last_seq() + 1
        entry = Entry(seq=self._next_seq, at=self.now, actor=self.actor, event=event)
        body = canonical_bytes(entry)
        _require_readable(body)
        row = {
            "seq": entry.seq,
            "at": entry.at,
            "kind": name_of(event),
            "body": body,
            "leaf": hashlib.sha256(b"\x00" + body).digest(),
        }
        self._run(
            statements.insert(journal), row | {name: getattr(event, name, None) for name in JOURNAL_KEYS}
        )
        for change in changes(entry):
            self._apply(change)
        self.recorded.append(entry)
        return entry

    def _apply(self, change: Change) -> None:
        if isinstance(change, Put):
            self._insert(id_of(change.record), change.record)
            return
        known = self.get(change.kind, change.id)
        if known is None and isinstance(change, Update):
            raise Internal(f"an event changes {change.kind.__name__} {change.id!r}, which does not exist")
        record = change.evolve(known)
        if record is None or record == known:
            return
        if known is None:
            self._insert(change.id, record)
        else:
            self._update(change.id, known, record)

    def _insert(self, record_id: str, record: Record) -> None:
        values = column_values(record) | {"record": msgspec.json.encode(record)}
        try:
            self._run(statements.insert(TABLES[type(record)]), values)
        except sqlite3.IntegrityError as error:
            kind = type(record).__name__.lower()
            raise Conflict(
                f"{kind} {record_id!r} exists already",
                hint="Look at the recorded one; it was not changed.",
                id=record_id,
            ) from error
        self._known[type(record), record_id] = record

    def _update(self, record_id: str, known: Record, record: Record) -> None:
        before = column_values(known)
        # An index is written again for every column that is set, whether or not its value is another.
        changed = {name: value for name, value in column_values(record).items() if value != before[name]}
        changed["record"] = msgspec.json.encode(record)
        values = {f"new_{name}": value for name, value in changed.items()} | {"known_id": record_id}
        self._run(statements.update(TABLES[type(record)], tuple(changed)), values)
        self._known[type(record), record_id] = record


def _require_readable(body: bytes) -> None:
    """Raise ``Invalid`` for what could be written and never be read again: it would stop every reader of the journal."""
    try:
        entry_of(body)
    except Tampered as error:
        raise Invalid(
            f"this cannot be recorded: {error.detail}",
            hint="Give values of the kinds that the API describes.",
        ) from error
