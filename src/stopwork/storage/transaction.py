"""Writing: one event at a time, into the journal and the records together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import UNSET, UnsetType

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.errors import Conflict, Internal, Invalid, Tampered
from stopwork.kernel.ids import IdSource
from stopwork.ledger.events import Entry, Event
from stopwork.ledger.fold import Change, Put, Update, changes
from stopwork.ledger.peoples_words import check_words
from stopwork.ledger.records import Principal, Record
from stopwork.ledger.words import PrincipalKind
from stopwork.storage import statements
from stopwork.storage.batch import Batch, Recorded
from stopwork.storage.connections import Cursor
from stopwork.storage.pending import Key, Pending
from stopwork.storage.statements import Statement
from stopwork.storage.tables import TABLES, id_of
from stopwork.storage.view import Stored, View, decode, entry_of, missing, said

R = TypeVar("R", bound=Record)


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
        self.unnumbered: list[Recorded] = []
        self._broken: BaseException | None = None

    # --- reading ---------------------------------------------------------------------------------

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``. Nobody else changes it meanwhile, so it is looked up once."""
        known = self._known((kind, record_id))
        if known is not UNSET:
            return known  # type: ignore[return-value]  # it is kept under its kind
        return None if self._batch.is_new((kind, record_id), made=False) else self._fetch(kind, record_id)

    def need(self, kind: type[R], record_id: str) -> R:
        known = self._known((kind, record_id))
        record = self._fetch(kind, record_id) if known is UNSET else known
        if record is None:
            raise missing(kind, record_id)
        return record  # type: ignore[return-value]

    def _known(self, key: Key) -> Record | UnsetType | None:
        record = self.changes.records.get(key) or self._batch.decided.records.get(key)
        return self._batch.known(key) if record is None else record

    def _fetch(self, kind: type[R], record_id: str) -> R | None:
        """Answer what the table holds, where it holds the newest: nothing that is decided is about this record."""
        row = statements.by_id(TABLES[kind]).run(self._connection, {"id": record_id}).fetchone()
        record = None if row is None else decode(kind, row[0])
        self._batch.memory.learn((kind, record_id), record, 0 if row is None else len(row[0]))
        return record

    def recall(self, kind: type[R], record_ids: Sequence[str]) -> None:
        """Look up many records with one query, so that asking for each of them afterwards costs none."""
        unknown = tuple(each for each in record_ids if self._known((kind, each)) is UNSET)
        if not unknown:
            return
        shape, values = statements.shape_of({"id": unknown})
        values["limit"] = len(unknown)
        found = self._run(statements.search(TABLES[kind], shape, "id", paged=False), values)
        for (body,) in found.fetchall():
            record = decode(kind, body)
            self._batch.memory.learn((kind, id_of(record)), record, len(body))

    def search(self, kind: type[R], statement: Statement, values: dict[str, Any]) -> list[R]:
        unchanged = kind not in self.changes.kinds and kind not in self._batch.decided.kinds
        if not unchanged:
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

    def insert(self, table: sa.Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        """Put rows into a table that is no record's, with as few statements as can be."""
        self._write()
        self._batch.part()
        statements.rows(table, columns, there=False).write(self._connection, rows)

    def _run(self, statement: Statement, values: dict[str, Any]) -> Cursor:
        self._write()
        return super()._run(statement, values)

    # --- writing ---------------------------------------------------------------------------------

    def _write(self) -> None:
        """Bring the tables up to date with what is decided, so that they can be asked."""
        self._batch.finish()
        if not self.changes.unwritten:
            return
        self._batch.part()
        try:
            self.changes.write(self._connection)
        except BaseException as error:
            self._broken = error
            raise

    def new_id(self, prefix: str) -> str:
        """Answer a new identifier such as ``run_01hv…``."""
        return self._ids.new(prefix)

    def record(self, event: Event) -> Entry:
        """Append the event to the journal and apply what it changes; both become durable together or not at all.

        The entry has its number once the transaction has ended, or has looked at the journal. After an error from here nothing of this
        transaction is kept, even where the error is caught.
        """
        if self.actor.kind is PrincipalKind.PERSON:
            check_words(event)
        try:
            return self._record(event)
        except BaseException as error:
            self._broken = error
            raise

    def complete(self) -> None:
        """Raise the error that left an event half applied, if there was one."""
        if self._broken is not None:
            raise self._broken

    def last_seq(self) -> int:
        self._number()
        return super().last_seq()

    def stored(self, **asked: Any) -> list[Stored]:
        self._number()
        return super().stored(**asked)

    def _number(self) -> None:
        """Append what was recorded so far to the journal, so that it can be looked at."""
        self.complete()
        self._batch.number()
        if not self.unnumbered:
            return
        self._batch.part()
        waiting, self.unnumbered = self.unnumbered, []
        try:
            self._batch.append(waiting, self.changes)
        except BaseException as error:
            self._broken = error
            raise

    def _record(self, event: Event) -> Entry:
        body = canonical_bytes(Entry(seq=0, at=self.now, actor=self.actor, event=event))
        entry = _readable(body)
        for change in changes(entry):
            self._apply(change)
        self.recorded.append(entry)
        self.recorded_bytes += len(body)
        self.unnumbered.append((entry, body))
        return entry

    def _apply(self, change: Change) -> None:
        key = place_of(change)
        known = self._known(key)
        if isinstance(change, Put):
            if known is UNSET and not self._batch.is_new(key, made=True):
                known = self._fetch(*key)
            if known is not None and known is not UNSET:
                raise Conflict(
                    f"{said(key[0])} {key[1]!r} exists already",
                    hint="Look at the recorded one; it was not changed.",
                    id=key[1],
                )
            self.changes.change(key, None, change.record)
            return
        if known is UNSET:
            known = self._fetch(*key)
        if known is None and isinstance(change, Update):
            raise Internal(f"an event changes {change.kind.__name__} {change.id!r}, which does not exist")
        record = change.evolve(known)
        if record is not None and record != known:
            self.changes.change(key, known, record)


def place_of(change: Change) -> Key:
    """Answer which record it is that changes."""
    return (
        (type(change.record), id_of(change.record)) if isinstance(change, Put) else (change.kind, change.id)
    )


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
