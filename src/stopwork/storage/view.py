"""Reading: a consistent look at the records and the journal."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, Union

import msgspec
import sqlalchemy as sa

from stopwork.kernel.errors import Invalid, NotFound, Tampered
from stopwork.ledger.events import EVENT_TYPES, Entry
from stopwork.ledger.records import Principal, Record
from stopwork.storage import statements
from stopwork.storage.connections import Cursor
from stopwork.storage.statements import Statement
from stopwork.storage.tables import TABLES, checkpoint, id_of

R = TypeVar("R", bound=Record)

MAX_ROWS: Final = 100_000
PAGE: Final = 1_000
_BEGINS: Final = re.compile(r"(?<!^)(?=[A-Z])")


class _Line(msgspec.Struct, gc=False):
    """An entry as it is stored, with all that its event may be."""

    seq: int
    at: datetime
    actor: Principal
    event: Union[EVENT_TYPES]  # type: ignore[valid-type] # noqa: UP007


_lines: Final = msgspec.json.Decoder(_Line)


@functools.cache
def _records(kind: type[R]) -> msgspec.json.Decoder[R]:
    return msgspec.json.Decoder(kind)


def decode(kind: type[R], body: bytes) -> R:
    """Answer the record that these stored bytes spell; ``Tampered`` when they spell none."""
    decoder: msgspec.json.Decoder[R] = _records(kind)
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable(f"a record of kind {kind.__name__}", error) from error


def entry_of(body: bytes) -> Entry:
    """Answer the journal entry that these stored bytes spell; ``Tampered`` when they spell none."""
    try:
        line = _lines.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable("a journal entry", error) from error
    return Entry(seq=line.seq, at=line.at, actor=line.actor, event=line.event)


def unreadable(what: str, error: Exception) -> Tampered:
    """Answer the error for stored bytes that do not spell what they should."""
    return Tampered(
        f"{what} cannot be read: {error}",
        hint="Stop the server, keep a copy of the database, run: stopwork db fsck",
    )


def said(kind: type[Record]) -> str:
    """Answer what a kind of record is called in a sentence."""
    return _BEGINS.sub(" ", kind.__name__).lower()


def missing(kind: type[Record], record_id: str) -> NotFound:
    """Answer the error for a record that is needed and not there."""
    return NotFound(
        f"there is no {said(kind)} {record_id!r}", hint="List what there is and use an id from it."
    )


class Stored(msgspec.Struct, frozen=True):
    """One journal row as it is stored: ``body`` are the exact bytes that ``leaf`` is the RFC 6962 hash of."""

    seq: int
    body: bytes
    leaf: bytes


class View:
    """What can be read within one snapshot. Shapes: records come out as they went in, newest state only."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @property
    def database(self) -> str:
        """The kind of database, where that makes a difference: ``sqlite`` or ``postgresql``."""
        return self._connection.dialect.name

    def execute(
        self, statement: sa.Executable, rows: Sequence[dict[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        """Run a statement on tables that are not records: heartbeats, duties, blobs, the Merkle log."""
        return self._connection.execute(statement, rows)

    def _run(self, statement: Statement, values: dict[str, Any]) -> Cursor:
        return statement.run(self._connection, values)

    def run(self, statement: Statement, values: dict[str, Any]) -> Cursor:
        """Run a compiled statement; its rows come as the driver gives them, at a tenth of the cost."""
        return self._run(statement, values)

    def explain(self, statement: Statement, values: dict[str, Any]) -> str:
        """Answer in the database's own words how it would find what a statement asks for."""
        return statement.explained(self._connection, values)

    def get(self, kind: type[R], record_id: str) -> R | None:
        """Answer the record with this id, or ``None``."""
        row = self._run(statements.by_id(TABLES[kind]), {"id": record_id}).fetchone()
        return None if row is None else self.decoded(kind, row[0])

    def decoded(self, kind: type[R], body: bytes) -> R | None:
        """Answer the record that these bytes spell; ``None`` where this reader is not to see it."""
        return decode(kind, body)

    def need(self, kind: type[R], record_id: str) -> R:
        """Answer the record with this id; ``NotFound`` when there is none."""
        record = self.get(kind, record_id)
        if record is None:
            raise missing(kind, record_id)
        return record

    def find(
        self,
        kind: type[R],
        /,
        *,
        order: str = "id",
        limit: int,
        after: str | None = None,
        **conditions: Any,
    ) -> list[R]:
        """Answer records that meet every condition, at most ``limit``: a page. Whoever needs them all asks :meth:`each`.

        A condition is ``column=value``, ``column=(a, b)`` for any of these, ``column_from=`` (inclusive),
        ``column_before=`` (exclusive), ``column_not=(a, b)`` for none of these, or ``column_has=(a, b)`` for text with each of these. ``order`` is a column, ``-column`` for descending; ties go by id. ``after`` is the id of the
        last record of the page before.
        """
        table = TABLES[kind]
        shape, values = statements.shape_of(conditions)
        values["limit"] = min(limit, MAX_ROWS)
        if after is not None:
            marked = self._run(statements.mark(table, order.removeprefix("-")), {"id": after}).fetchone()
            if marked is None:
                raise Invalid(
                    f"the page marker {after!r} is not known", hint="Start again from the first page."
                )
            values |= {"mark": marked[0], "after": after}
        return self.search(kind, statements.search(table, shape, order, paged=after is not None), values)

    def search(self, kind: type[R], statement: Statement, values: dict[str, Any]) -> list[R]:
        """Answer the records that a statement of :mod:`stopwork.storage.statements` finds."""
        found = (self.decoded(kind, body) for (body,) in self._run(statement, values))
        return [record for record in found if record is not None]

    def first(self, kind: type[R], /, *, order: str = "id", **conditions: Any) -> R | None:
        """Answer the first record that meets every condition, or ``None``."""
        return next(iter(self.find(kind, order=order, limit=1, **conditions)), None)

    def count(self, kind: type[Record], /, **conditions: Any) -> int:
        """Count the records that meet every condition."""
        table = TABLES[kind]
        shape, values = statements.shape_of(conditions)
        return int(self._run(statements.count(table, shape), values).fetchone()[0])

    def last_seq(self) -> int:
        """Answer the number of the newest journal entry; 0 when there is none."""
        return int(self._run(statements.LAST_SEQ, {}).fetchone()[0])

    def entries(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        kinds: Sequence[str] | None = None,
        newest_first: bool = False,
        before: int | None = None,
        **keys: str,
    ) -> list[Entry]:
        """Answer journal entries with ``seq > after``, oldest first unless asked; ``keys`` are workflow, run, call, incident."""
        limit = min(limit, MAX_ROWS)
        found: list[Entry] = []
        while len(found) < limit:
            rows = self.stored(
                after=after, limit=limit, kinds=kinds, newest_first=newest_first, before=before, **keys
            )
            found += [entry for row in rows if (entry := self.told(row)) is not None]
            if len(rows) < limit:
                break
            if newest_first:
                before = rows[-1].seq
            else:
                after = rows[-1].seq
        return found[:limit]

    def told(self, row: Stored) -> Entry | None:
        """Answer the entry of a journal row; ``None`` where whoever sees this is not to be told of it."""
        return entry_of(row.body)

    def stored(
        self,
        *,
        after: int = 0,
        limit: int = 1000,
        kinds: Sequence[str] | None = None,
        newest_first: bool = False,
        before: int | None = None,
        **keys: Any,
    ) -> list[Stored]:
        """Answer journal rows as they are stored; see :meth:`entries`."""
        asked: dict[str, Any] = {"seq_from": after + 1, **keys}
        if before is not None:
            asked["seq_before"] = before
        if kinds is not None:
            asked["kind"] = tuple(kinds)
        shape, values = statements.shape_of(asked)
        values["limit"] = min(limit, MAX_ROWS)
        rows = self._run(statements.entries(shape, newest_first=newest_first), values)
        return [Stored(seq, body, leaf) for seq, body, leaf in rows]

    def node(self, level: int, position: int) -> bytes | None:
        """Answer a node of the Merkle log: the root of the perfect subtree at this place; leaves stand in the journal."""
        if level == 0:
            found = self._run(statements.LEAF, {"seq": position + 1}).fetchone()
        else:
            found = self._run(statements.NODE, {"level": level, "position": position}).fetchone()
        return None if found is None else bytes(found[0])

    def checkpoint(self, at_least: int = 0) -> tuple[int, str] | None:
        """Answer size and signed note of the newest checkpoint, or ``None`` when none covers ``at_least`` entries."""
        query = (
            sa.select(checkpoint.c.size, checkpoint.c.note)
            .where(checkpoint.c.size >= at_least)
            .order_by(sa.desc(checkpoint.c.size))
            .limit(1)
        )
        row = self.execute(query).first()
        return None if row is None else (row.size, row.note)

    def checkpoint_at(self, size: int) -> str | None:
        """Answer the signed note of the checkpoint that covers exactly ``size`` entries."""
        query = sa.select(checkpoint.c.note).where(checkpoint.c.size == size)
        return self.execute(query).scalar()

    def each(self, kind: type[R], /, *, order: str = "id", **conditions: Any) -> Iterator[R]:
        """Answer every record that meets the conditions, read a page at a time; ``order`` as for :meth:`find`."""
        after: str | None = None
        while True:
            page = self.find(kind, order=order, limit=PAGE, after=after, **conditions)
            yield from page
            if len(page) < PAGE:
                return
            after = id_of(page[-1])
