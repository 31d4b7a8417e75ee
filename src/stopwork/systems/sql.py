"""Rows of a SQL database as objects.

An object's type names a table, its id is the row's key as text. The parts of a composite key are joined with ``/``; in
such parts ``%`` and ``/`` are written ``%25`` and ``%2F``. An id has one spelling only: where the database would also
find the row under another one (``07`` for ``7``, ``ACME`` for ``acme``), that is refused, so that one row is one object.

An image holds every column except those the database computes. ``ignore`` leaves out columns that the database or the
application keeps by itself (``updated_at``). ``columns`` restricts what is seen, for secrets and for wide tables;
a row of which part is unseen can be changed back, but neither deleted nor created again.

With ``capture`` the database itself says which rows a call has changed, in every table (:mod:`stopwork.systems.capture`). A table that is not
declared is then a type of its own name, known by its primary key; a SQLite table without one is known by its ``rowid``, elsewhere its rows are
named by their content, and can be seen but not put back.

Putting a row back is one transaction: the row is locked and compared, and every column stands in the ``WHERE`` once more. A
delete that would cascade to other rows is refused, since those may be somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from stopwork.incidents.images import operation_of, same
from stopwork.incidents.references import Reference
from stopwork.kernel.canonical import digest_of, plain, revive
from stopwork.kernel.errors import Conflict, Invalid, StopworkError, TooLarge
from stopwork.ledger.records import Image, ObjectRef, Observed
from stopwork.ledger.words import ImageState, Operation
from stopwork.systems.base import Swap, Unsupported, require_expected, require_known
from stopwork.systems.changed_rows import CAPTURED_ROWS_MAX, ChangedRow, RowName, net
from stopwork.systems.databases import Database, Session, Table
from stopwork.systems.foreign_keys import references
from stopwork.systems.rows import (
    Layout,
    Layouts,
    content_of,
    id_of,
    layout_of,
    lost_race,
    parts_of,
    require_whole,
    writable,
)
from stopwork.systems.sqlite import SqliteDatabase

#: ``Table`` is what a system is told of each type.
__all__ = ["SCAN_ROWS_MAX", "SqlSystem", "Table"]

SCAN_ROWS_MAX: Final = 10_000


class SqlSystem:
    """Shows rows as objects and restores them by compare-and-set.

    ``url`` is a SQLAlchemy address; for SQLite a file path or ``sqlite:///PATH`` needs nothing but Python.
    ``scan`` says whether reading all tables is cheap enough to do around every call, ``capture`` that the rows that a call has changed are
    captured by the database.
    """

    restores = True

    def __init__(
        self,
        name: str,
        url: str | Path,
        tables: Mapping[str, Table],
        *,
        scan: bool = False,
        scan_rows_max: int = SCAN_ROWS_MAX,
        capture: bool = False,
    ) -> None:
        self.name = name
        self.scans = scan
        self.captures = capture
        self._tables = dict(tables)
        self._scan_rows_max = scan_rows_max
        self._declared = {(table.schema, table.table): kind for kind, table in self._tables.items()}
        self._found: dict[str, Table] = {}
        self._database = _connected(url)

    def read(self, ref: ObjectRef) -> Image:
        with self._database.transaction(writing=False) as session:
            table = self._table(session, ref)
            layout = layout_of(session, table)
            return self._image(session, layout, self._row(session, table, ref))

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        require_known(ref, expected, target)
        with self._database.transaction(writing=True) as session:
            self._replace(session, ref, expected, target)

    def read_many(self, refs: Sequence[ObjectRef]) -> list[Image]:
        with self._database.transaction(writing=False) as session:
            rows = self._rows(session, refs)
            layouts = Layouts(session)
            return [self._image(session, layouts.of(self._table(session, ref)), rows[ref]) for ref in refs]

    def replace_many(self, swaps: Sequence[Swap]) -> list[Exception | None]:
        """Make all changes in one transaction, each in its turn and by compare-and-set; one that is refused is taken back alone."""
        with self._database.transaction(writing=True) as session:
            rows = self._rows(session, [swap.object for swap in swaps])
            raised: list[Exception | None] = []
            for together in _together(swaps, rows):
                if not self._updated(session, together, rows):
                    raised += [self._one(session, swap) for swap in together]
                else:
                    raised += [None] * len(together)
            return raised

    def stamp(self, ref: ObjectRef) -> tuple[str, str]:
        """Answer who changed the row last, and when, as far as the columns for that are named and filled."""
        with self._database.transaction(writing=False) as session:
            table = self._table(session, ref)
            names = (table.changed_by, table.changed_at)
            row = self._row(session, table, ref) if any(names) else None
            by, at = (None if row is None or name is None else row[name] for name in names)
            return "" if by is None else str(by), "" if at is None else str(at)

    def check(self, ref: ObjectRef, target: Image) -> None:
        """Raise ``Invalid`` for columns that the row does not have or that cannot be set, and for another key."""
        with self._database.transaction(writing=False) as session:
            table = self._table(session, ref)
            if target.state is ImageState.PRESENT:
                content_of(ref, table, layout_of(session, table), target.content)

    def scan(self) -> dict[ObjectRef, Any]:
        found: dict[ObjectRef, Any] = {}
        with self._database.transaction(writing=False) as session:
            for kind, table in self._tables.items():
                layout = layout_of(session, table)
                left = self._scan_rows_max - len(found)
                rows = session.select(table, {}, limit=left + 1)
                if len(rows) > left:
                    raise TooLarge(
                        f"{self.name} has more than {self._scan_rows_max} rows to scan",
                        hint="Raise scan_rows_max, name fewer tables, or switch scan off.",
                        expected=self._scan_rows_max,
                    )
                for row in rows:
                    ref = ObjectRef(system=self.name, type=kind, id=id_of(table, row))
                    found[ref] = self._image(session, layout, row).content
        return found

    def references(self) -> tuple[Reference, ...]:
        """Answer the foreign keys of the tables, also of those that are not declared."""
        schemas = dict.fromkeys((None, *(table.schema for table in self._tables.values())))
        with self._database.transaction(writing=False) as session:
            keys = [key for schema in schemas for key in session.foreign_keys(schema)]
        return tuple(references(keys, self._type_of))

    def install_capture(self) -> None:
        """Prepare the database for capturing rows, as often as wanted; who may do that on PostgreSQL owns the tables."""
        with self._database.transaction(writing=True) as session:
            session.install_capture()

    def captured(self, call: str) -> tuple[Observed, ...]:
        """Answer every row that the call has changed, with what it was before and after, whatever has happened to it since.

        ``TooLarge`` when there are more than can be listed.
        """
        with self._database.transaction(writing=False) as session:
            rows = list(session.captured(call, limit=CAPTURED_ROWS_MAX + 1))
            if len(rows) > CAPTURED_ROWS_MAX:
                raise TooLarge(
                    f"{call} changed more than {CAPTURED_ROWS_MAX} rows of {self.name}",
                    hint="Look at the captured rows in the database.",
                    expected=CAPTURED_ROWS_MAX,
                )
            return tuple(
                self._observed(session, name, row)
                for name, row in net(rows, lambda row, content: self._name(session, row, content))
            )

    def forget(self, call: str) -> None:
        """Remove what was captured for a call, once it is on record. What a crash of the machine brings back does no harm."""
        with self._database.transaction(writing=True, lasting=False) as session:
            session.forget(call)

    def kept(self) -> frozenset[str]:
        with self._database.transaction(writing=False) as session:
            return session.kept()

    def _replace(self, session: Session, ref: ObjectRef, expected: Image, target: Image) -> None:
        table = self._table(session, ref)
        layout = layout_of(session, table)
        row = self._row(session, table, ref)
        now = self._image(session, layout, row)
        require_expected(ref, expected, now)
        if row is not None and target.state is ImageState.PRESENT:
            if changes := self._changes(session, table, layout, ref, now.content, target.content):
                self._update(session, table, ref, row, changes)
        elif row is not None:
            self._delete(session, table, layout, ref, row)
        elif target.state is ImageState.PRESENT:
            self._insert(session, table, layout, ref, target.content)

    def _one(self, session: Session, swap: Swap) -> Exception | None:
        try:
            require_known(swap.object, swap.expected, swap.target)
            with session.savepoint():
                self._replace(session, swap.object, swap.expected, swap.target)
        except StopworkError as error:
            return error
        return None

    def _updated(
        self, session: Session, swaps: Sequence[Swap], rows: Mapping[ObjectRef, dict[str, Any] | None]
    ) -> bool:
        """Change rows that are all there with one statement for those of the same columns; all of them or, for ``False``, none."""
        layouts = Layouts(session)
        groups: dict[tuple[Table, frozenset[str]], list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
        try:
            for swap in swaps:
                table = self._table(session, swap.object)
                layout, row = layouts.of(table), rows[swap.object]
                if row is None or swap.target.state is not ImageState.PRESENT:
                    return False
                now = self._image(session, layout, row)
                require_expected(swap.object, swap.expected, now)
                changes = self._changes(session, table, layout, swap.object, now.content, swap.target.content)
                if changes:
                    groups.setdefault((table, frozenset(changes)), []).append((row, changes))
            with session.savepoint():
                for (table, _), each in groups.items():
                    if session.update_many(table, each) != len(each):
                        raise lost_race(swaps[0].object)
        except StopworkError:
            return False  # which of them it was is found out one by one
        return True

    def _rows(self, session: Session, refs: Sequence[ObjectRef]) -> dict[ObjectRef, dict[str, Any] | None]:
        """Answer the row of each object, read together where their ids are one column."""
        found: dict[ObjectRef, dict[str, Any] | None] = {}
        of_table: dict[Table, list[ObjectRef]] = {}
        for ref in refs:
            of_table.setdefault(self._table(session, ref), []).append(ref)
        for table, each in of_table.items():
            by_id = self._by_id(session, table, [ref.id for ref in each]) if len(table.key) == 1 else None
            for ref in each:
                found[ref] = self._row(session, table, ref) if by_id is None else by_id.get(ref.id)
        return found

    def _by_id(self, session: Session, table: Table, ids: Sequence[str]) -> dict[str, dict[str, Any]] | None:
        """Answer rows by id; ``None`` when an id leads to several, or to one that is spelled otherwise."""
        column, asked = table.key[0], set(ids)
        keys = [key for each in asked for key in session.keys(table, column, each)]
        rows = session.select(table, {column: keys}, limit=len(keys) + 1) if keys else []
        by_id = {id_of(table, row): row for row in rows}
        return by_id if len(by_id) == len(rows) and by_id.keys() <= asked else None

    def _observed(self, session: Session, name: str, row: ChangedRow) -> Observed:
        kind, table = self._kind(session, row)
        layout = layout_of(session, table)
        before, after = (
            self._captured_image(session, layout, content) for content in (row.before, row.after)
        )
        ref = ObjectRef(system=self.name, type=kind, id=name)
        operation = operation_of(before, after) or Operation.MODIFIED
        return Observed(object=ref, operation=operation, before=before, after=after, source="capture")

    def _name(self, session: Session, row: ChangedRow, content: Mapping[str, Any]) -> RowName:
        """Answer what a captured row is called: its id, or its content where the table has no key."""
        _, table = self._kind(session, row)
        if table.key:
            return RowName(text=writable(id_of(table, content)))
        image = self._captured_image(session, layout_of(session, table), content)
        if image.state is ImageState.UNKNOWN:
            return RowName(text=digest_of(ascii(sorted(content.items()))), unique=False)
        return RowName(text=digest_of(image.content), unique=False)

    def _kind(self, session: Session, row: ChangedRow) -> tuple[str, Table]:
        kind = self._type_of(row.schema, row.table)
        declared = (row.schema, row.table) in self._declared
        return kind, self._tables[kind] if declared else self._undeclared(session, kind)

    def _type_of(self, schema: str | None, table: str) -> str:
        return self._declared.get((schema, table)) or (f"{schema}.{table}" if schema else table)

    def _undeclared(self, session: Session, kind: str) -> Table:
        """Answer the table that a captured type names."""
        if kind not in self._found:
            schema, _, name = kind.rpartition(".")
            table = Table(table=name, schema=schema or None, key=())
            self._found[kind] = replace(table, key=session.primary_key(table))
        return self._found[kind]

    def _table(self, session: Session, ref: ObjectRef) -> Table:
        table = self._tables.get(ref.type)
        if ref.system == self.name and table is None and self.captures:
            table = self._undeclared(session, ref.type)
            if not session.columns(table):
                table = None
        if ref.system != self.name or table is None:
            raise Invalid(
                f"{ref} is not an object of {self.name}",
                hint=f"Its types are {', '.join(sorted(self._tables))}.",
                object=str(ref),
            )
        if not table.key:
            raise Unsupported(
                f"the table {table.table} has no key by which {ref} could be found",
                hint="Give it a primary key, or put the row back by hand.",
                object=str(ref),
            )
        return table

    def _row(self, session: Session, table: Table, ref: ObjectRef) -> dict[str, Any] | None:
        parts = parts_of(table, ref.id)
        where = {
            column: session.keys(table, column, part) for column, part in zip(table.key, parts, strict=True)
        }
        rows = session.select(table, where, limit=2) if all(where.values()) else []
        if len(rows) > 1:
            raise Conflict(
                f"{ref} names more than one row",
                hint=f"Give {table.table} a key whose values are unique as text.",
                object=str(ref),
            )
        if rows and (spelled := id_of(table, rows[0])) != ref.id:
            raise Invalid(
                f"{ref} is another spelling of {spelled}",
                hint=f"Write the id as {spelled}: one row is one object.",
                object=str(ref),
                expected=spelled,
            )
        return rows[0] if rows else None

    def _image(self, session: Session, layout: Layout, row: Mapping[str, Any] | None) -> Image:
        if row is None:
            return Image.absent()
        return Image.present({column: plain(session.to_plain(row[column])) for column in layout.seen})

    def _captured_image(self, session: Session, layout: Layout, row: Mapping[str, Any] | None) -> Image:
        """Answer the image of a captured row; an unknown one when it holds what cannot be written down, so that the others are told."""
        try:
            image = self._image(session, layout, row)
            digest_of(image.content)
        except (Invalid, UnicodeError) as error:
            return Image.unknown(f"the row was captured, and cannot be written down: {error}")
        return image

    def _changes(
        self,
        session: Session,
        table: Table,
        layout: Layout,
        ref: ObjectRef,
        now: Mapping[str, Any],
        target: Any,
    ) -> dict[str, Any]:
        """Answer the columns that have to be set, with the driver's values."""
        wanted = content_of(ref, table, layout, target)
        if missing := sorted(now.keys() - wanted.keys()):
            raise Invalid(
                f"the content for {ref} lacks {missing[0]}",
                hint="A row has every column; give null where there is no value.",
                object=str(ref),
            )
        return {
            column: session.from_plain(table, column, revive(value))
            for column, value in wanted.items()
            if not same(value, now[column])
        }

    def _update(
        self,
        session: Session,
        table: Table,
        ref: ObjectRef,
        row: Mapping[str, Any],
        changes: Mapping[str, Any],
    ) -> None:
        if session.update(table, row, changes) != 1:
            raise lost_race(ref)

    def _insert(self, session: Session, table: Table, layout: Layout, ref: ObjectRef, target: Any) -> None:
        require_whole(ref, layout)
        wanted = content_of(ref, table, layout, target)
        session.insert(
            table,
            {column: session.from_plain(table, column, revive(value)) for column, value in wanted.items()},
        )

    def _delete(
        self, session: Session, table: Table, layout: Layout, ref: ObjectRef, row: Mapping[str, Any]
    ) -> None:
        require_whole(ref, layout)
        for other in session.referrers(table):
            where = {
                column: [row[referred]]
                for column, referred in zip(other.columns, other.referred, strict=True)
            }
            if session.select(other.table, where, limit=1):
                raise Conflict(
                    f"deleting {ref} would also change rows of {other.table.table}",
                    hint="Decide about those rows first.",
                    object=str(ref),
                    found=other.table.table,
                )
        if session.delete(table, row) != 1:
            raise lost_race(ref)


def _together(swaps: Sequence[Swap], rows: Mapping[ObjectRef, dict[str, Any] | None]) -> Iterator[list[Swap]]:
    """Yield what may be done at one go: changes of rows that are there, as long as nothing comes or goes in between."""

    def stays(swap: Swap) -> bool:
        return rows[swap.object] is not None and swap.target.state is ImageState.PRESENT

    for _, group in groupby(swaps, key=stays):
        yield list(group)


def _connected(url: str | Path) -> Database:
    """Answer the database at this address; SQLite through the standard library, others through SQLAlchemy."""
    address = str(url)
    scheme = urlsplit(address).scheme
    if isinstance(url, Path) or scheme == "sqlite" or not scheme:
        path = unquote(urlsplit(address).path)[1:] if scheme == "sqlite" else address
        return SqliteDatabase(Path(path))
    from stopwork.systems.engine import EngineDatabase

    return EngineDatabase(address)
