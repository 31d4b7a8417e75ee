"""Writing: one event at a time, into the journal and the records together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.errors import Conflict, Internal, Invalid, Tampered
from stopwork.kernel.ids import IdSource
from stopwork.ledger.events import Entry, Event, name_of
from stopwork.ledger.fold import Change, Put, Update, changes
from stopwork.ledger.records import Principal, Record
from stopwork.storage import statements
from stopwork.storage.batch import Batch
from stopwork.storage.connections import Cursor
from stopwork.storage.pending import Key, Pending
from stopwork.storage.statements import Statement
from stopwork.storage.tables import JOURNAL_KEYS, TABLES, id_of, micros
from stopwork.storage.view import Stored, View, decode, entry_of, missing

R = TypeVar("R", bound=Record)

#: How an entry ends whose number is not known yet: its keys are in order, and this one is the last.
_UNNUMBERED: Final = b'"seq":0}'


class Tx(View):
    """One transaction: a view that sees its own writes, and the only place that makes any.

    ``now`` is read once. ``actor`` is who everything in this transaction is recorded for. What it changes stands in the tables when a
    query asks them, or the commit is near. What is recorded gets its place in the journal when the work is done, so that nobody waits
    longer for a number than for a commit.
    """

    def __init__(self, batch: Batch, *, now: datetime, ids: IdSource, actor: Principal) -> None:
        super().__init__(batch.connection)
        self.now = now
        self.actor = actor
        self._ids = ids
        self._batch = batch
        self.changes = Pending()
        self.recorded: list[Entry] = []
        self.recorded_bytes = 0
        self._unnumbered: list[tuple[Entry, bytes]] = []
        self._broken: BaseException | None = None

    # --- reading ---------------------------------------------------------------------------------

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``; what nobody else can change meanwhile is looked up once."""
        known = self._known((kind, record_id))
        if known is UNSET:
            return self._fetch(kind, record_id, locked=False, kept=self._batch.alone)
        return known  # type: ignore[return-value]  # it is kept under its kind

    def get_locked(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``; nobody else changes it before this transaction has ended.

        For work that runs beside others and decides by what it reads. That a record is not there cannot be locked, so it is remembered:
        whoever then makes the record second is turned back, and its work is run again.
        """
        known = self._known((kind, record_id))
        if known is UNSET:
            return self._fetch(kind, record_id, locked=not self._batch.alone, kept=True)
        return known  # type: ignore[return-value]

    def _known(self, key: Key) -> Record | UnsetType | None:
        record = self.changes.records.get(key) or self._batch.decided.records.get(key)
        return self._batch.memory.get(key) if record is None else record

    def _fetch(self, kind: type[R], record_id: str, *, locked: bool, kept: bool) -> R | None:
        """Answer what the table holds, where it holds the newest: nothing that is decided is about this record."""
        query = statements.by_id(TABLES[kind], locked=locked)
        row = query.run(self._connection, {"id": record_id}).fetchone()
        record = None if row is None else decode(kind, row[0])
        if kept:
            self._batch.memory.learn((kind, record_id), record, 0 if row is None else len(row[0]))
        return record

    def search(self, kind: type[R], statement: Statement, values: dict[str, Any]) -> list[R]:
        unchanged = kind not in self.changes.kinds and kind not in self._batch.decided.kinds
        if not self._batch.alone or not unchanged:
            return super().search(kind, statement, values)
        asked = (statement, *values.values())
        found = self._batch.memory.searched(kind, asked)
        if found is None:
            found = super().search(kind, statement, values)
            self._batch.memory.learn_search(kind, asked, found)
        return list(found)

    def execute(
        self, statement: sa.Executable, rows: Sequence[dict[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        self._write()
        self._batch.part()
        return super().execute(statement, rows)

    def _run(self, statement: Statement, values: dict[str, Any]) -> Cursor:
        self._write()
        return super()._run(statement, values)

    # --- writing ---------------------------------------------------------------------------------

    def _write(self) -> None:
        """Bring the tables up to date with what is decided, so that they can be asked."""
        self._batch.write()
        if not self.changes.unwritten:
            return
        self._batch.part()
        try:
            self.changes.write(self._connection)
        except BaseException as error:
            self._broken = error
            raise

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
        if self.database != "sqlite":
            self._write()  # Whoever has taken numbers keeps all others waiting.
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
        body = canonical_bytes(Entry(seq=0, at=self.now, actor=self.actor, event=event))
        entry = _readable(body)
        for change in changes(entry):
            self._apply(change)
        self.recorded.append(entry)
        self.recorded_bytes += len(body)
        self._unnumbered.append((entry, body))
        return entry

    def _append(self) -> None:
        waiting, self._unnumbered = self._unnumbered, []
        for seq, (entry, body) in enumerate(waiting, start=self._batch.next_numbers(len(waiting))):
            # Whoever recorded the entry holds it: it gets its number once, here, and is as frozen as before.
            msgspec.structs.force_setattr(entry, "seq", seq)
            numbered = body.removesuffix(_UNNUMBERED) + b'"seq":%d}' % seq
            keys = (getattr(entry.event, name, None) for name in JOURNAL_KEYS)
            leaf = hashlib.sha256(b"\x00" + numbered).digest()
            self.changes.append((seq, micros(entry.at), name_of(entry.event), *keys, numbered, leaf))

    def _apply(self, change: Change) -> None:
        if isinstance(change, Put):
            key = (type(change.record), id_of(change.record))
            # Who is not alone is told by the table: what others make at the same time cannot be looked up.
            known = self.get(*key) if self._batch.alone else self.changes.records.get(key)
            if known is not None:
                raise Conflict(
                    f"{key[0].__name__.lower()} {key[1]!r} exists already",
                    hint="Look at the recorded one; it was not changed.",
                    id=key[1],
                )
            self.changes.change(key, None, change.record)
            return
        known = self.get_locked(change.kind, change.id)
        if known is None and isinstance(change, Update):
            raise Internal(f"an event changes {change.kind.__name__} {change.id!r}, which does not exist")
        record = change.evolve(known)
        if record is not None and record != known:
            self.changes.change((change.kind, change.id), known, record)


def _readable(body: bytes) -> Entry:
    """Answer the entry as whoever reads the journal will see it.

    Raises ``Invalid`` for what could be written and never be read again: it would stop every reader of the journal.
    """
    try:
        return entry_of(body)
    except Tampered as error:
        raise Invalid(
            f"this cannot be recorded: {error.detail}",
            hint="Give values of the kinds that the API describes.",
        ) from error
