"""Writing: one event at a time, into the journal and the records together."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final, TypeVar, cast

import msgspec
import sqlalchemy as sa

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.errors import Conflict, Internal, Invalid, Tampered
from stopwork.kernel.ids import IdSource
from stopwork.ledger.events import Entry, Event, name_of
from stopwork.ledger.fold import Change, Put, Update, changes
from stopwork.ledger.records import Principal, Record
from stopwork.storage import statements
from stopwork.storage.connections import is_duplicate
from stopwork.storage.tables import JOURNAL_KEYS, TABLES, column_values, id_of, journal
from stopwork.storage.view import Stored, View, decode, entry_of, missing

R = TypeVar("R", bound=Record)

#: How an entry ends whose number is not known yet: its keys are in order, and this one is the last.
_UNNUMBERED: Final = b'"seq":0}'


class Tx(View):
    """One transaction: a view that sees its own writes, and the only place that makes any.

    ``now`` is read once. ``actor`` is who everything in this transaction is recorded for. ``alone`` says that nobody else writes while
    it runs. What is recorded gets its place in the journal when the work is done, so that nobody waits longer for a number than for
    a commit.
    """

    def __init__(
        self, connection: sa.Connection, *, now: datetime, ids: IdSource, actor: Principal, alone: bool
    ) -> None:
        super().__init__(connection)
        self.now = now
        self.actor = actor
        self._ids = ids
        self._alone = alone
        self.recorded: list[Entry] = []
        self._unnumbered: list[tuple[Entry, bytes]] = []
        self._known: dict[tuple[type[Record], str], Record | None] = {}
        self._broken: BaseException | None = None

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``; what nobody else can change meanwhile is looked up once."""
        if (kind, record_id) in self._known:
            return cast("R | None", self._known[kind, record_id])
        record = super().get(kind, record_id)
        if self._alone:
            self._known[kind, record_id] = record
        return record

    def get_locked(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``; nobody else changes it before this transaction has ended.

        For work that runs beside others and decides by what it reads. That a record is not there cannot be locked, so it is remembered:
        whoever then makes the record second is turned back, and its work is run again.
        """
        if self._alone or (kind, record_id) in self._known:
            return self.get(kind, record_id)
        row = self._run(statements.by_id(TABLES[kind], locked=True), {"id": record_id}).fetchone()
        record = None if row is None else decode(kind, row[0])
        self._known[kind, record_id] = record
        return record

    def need_locked(self, kind: type[R], record_id: str) -> R:
        """Answer the record with this id, locked; ``NotFound`` when there is none."""
        record = self.get_locked(kind, record_id)
        if record is None:
            raise missing(kind, record_id)
        return record

    def new_id(self, prefix: str) -> str:
        """Answer a new identifier such as ``run_01hv…``."""
        return self._ids.new(prefix)

    def record(self, event: Event) -> Entry:
        """Append the event to the journal and apply what it changes; both become durable together or not at all.

        The entry has its number once the transaction has ended, or has looked at the journal. After an error from here nothing of this
        transaction is kept, even where the error is caught.
        """
        try:
            return self._record(event)
        except BaseException as error:
            self._broken = error
            raise

    def complete(self) -> None:
        """Append what was recorded to the journal; raise the error that left an event half applied, if there was one."""
        if self._broken is not None:
            raise self._broken
        if not self._unnumbered:
            return
        try:
            self._append()
        except BaseException as error:
            self._broken = error
            raise

    def last_seq(self) -> int:
        self.complete()
        return super().last_seq()

    def stored(self, **asked: Any) -> list[Stored]:
        self.complete()
        return super().stored(**asked)

    def _record(self, event: Event) -> Entry:
        entry = Entry(seq=0, at=self.now, actor=self.actor, event=event)
        body = canonical_bytes(entry)
        _require_readable(body)
        for change in changes(entry):
            self._apply(change)
        self.recorded.append(entry)
        self._unnumbered.append((entry, body))
        return entry

    def _append(self) -> None:
        waiting, self._unnumbered = self._unnumbered, []
        for seq, (entry, body) in enumerate(waiting, start=self._first_of(len(waiting))):
            # Whoever recorded the entry holds it: it gets its number once, here, and is as frozen as before.
            msgspec.structs.force_setattr(entry, "seq", seq)
            numbered = body.removesuffix(_UNNUMBERED) + b'"seq":%d}' % seq
            row = {
                "seq": seq,
                "at": entry.at,
                "kind": name_of(entry.event),
                "body": numbered,
                "leaf": hashlib.sha256(b"\x00" + numbered).digest(),
            }
            keys = {name: getattr(entry.event, name, None) for name in JOURNAL_KEYS}
            self._run(statements.insert(journal), row | keys)

    def _first_of(self, count: int) -> int:
        """Answer the first of the next ``count`` numbers of the journal."""
        if self.database == "sqlite":  # one process, one writer
            return super().last_seq() + 1
        newest = self._run(statements.TAKE_NUMBERS, {"count": count}).fetchone()[0]
        return int(newest) - count + 1

    def _apply(self, change: Change) -> None:
        if isinstance(change, Put):
            self._insert(id_of(change.record), change.record)
            return
        known = self.get_locked(change.kind, change.id)
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
        except Exception as error:
            if not is_duplicate(error):
                raise
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
