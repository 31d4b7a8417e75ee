"""The statements that records and the journal are read and written with: each is made once and given to the driver as it is.

A permit takes about a dozen of them. Building and compiling one anew costs ten times what SQLite needs to run it, so they are written
with SQLAlchemy, compiled for a database by their shape and kept (docs/decisions/0008-compiled-statements.md).
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg

from stopwork.kernel.errors import Internal
from stopwork.storage.connections import Cursor, driver_of
from stopwork.storage.tables import as_stored, journal, journal_head, merkle_node

MAX_KEPT: Final = 1_024
#: How many rows one statement writes: SQLite takes 32,766 values.
MAX_ROWS: Final = 64
_ARRAYS: Final = "arrays_of_values"

#: Whoever follows the journal on PostgreSQL is told here that there is something new.
CHANNEL: Final = "stopwork_journal"

#: Values by position: a driver takes twice as long to find them by name.
_DIALECTS: Final[dict[str, sa.Dialect]] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}


class Compiled(NamedTuple):
    """SQL as one database takes it, the names of its values in their order, and those that are always the same."""

    sql: str
    names: tuple[str, ...]
    constants: dict[str, Any]

    def values_of(self, given: dict[str, Any]) -> list[Any]:
        """Answer the values as the driver takes them."""
        known = self.constants | given if self.constants else given
        return [as_stored(known[name]) for name in self.names]


class Statement:
    """SQL with named values, compiled once for each database it is run on."""

    def __init__(self, statement: sa.sql.ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def run(self, connection: sa.Connection, values: dict[str, Any]) -> Cursor:
        """Run it with these values; the driver's own error when it fails."""
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect.name)
        return driver_of(connection).execute(compiled.sql, compiled.values_of(values))

    def explained(self, connection: sa.Connection, values: dict[str, Any]) -> str:
        """Answer in the database's own words how it would go about it."""
        dialect = connection.dialect.name
        compiled = self._compiled.get(dialect) or self._compile(dialect)
        explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN"
        lines = driver_of(connection).execute(f"{explain} {compiled.sql}", compiled.values_of(values))
        return "\n".join(str(line[-1]) for line in lines)

    def _compile(self, dialect: str) -> Compiled:
        compiled: Any = self._statement.compile(dialect=_DIALECTS[dialect])
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        self._compiled[dialect] = found = Compiled(str(compiled), tuple(compiled.positiontup), constants)
        return found


class Rows:
    """Many rows of one table, written by as few statements as possible; those that are ``there`` get new values.

    SQLite is given the values of each row: its driver lets other threads run before each statement, and has to wait for them to let
    it go on. PostgreSQL is given an array for each column, so that one statement, prepared once, does for any number of rows.
    """

    def __init__(self, table: sa.Table, columns: tuple[str, ...], *, there: bool) -> None:
        self._table = table
        self._columns = columns
        self._there = there
        self._row = f"({', '.join('?' * len(columns))})"
        self._sql: dict[str, str] = {}

    def write(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write the rows, whose values are in the order of the columns; the driver's own error when that fails."""
        dialect = connection.dialect.name
        sql = self._sql.get(dialect) or self._compile(dialect)
        driver = driver_of(connection)
        if dialect != "sqlite":
            driver.execute(sql, [list(values) for values in zip(*rows, strict=True)])
            return
        for some in (rows[start : start + MAX_ROWS] for start in range(0, len(rows), MAX_ROWS)):
            together = sql.replace(self._row, ", ".join([self._row] * len(some)), 1)
            driver.execute(together, list(itertools.chain.from_iterable(some)))

    def _compile(self, dialect: str) -> str:
        statement: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(self._table)
        if dialect == "postgresql":
            given: Any = sa.select(sa.literal_column("*")).select_from(sa.text(_ARRAYS))
            statement = statement.from_select(self._columns, given)
        else:
            statement = statement.values({name: sa.bindparam(name) for name in self._columns})
        if self._there:
            new = {name: statement.excluded[name] for name in self._columns if name != "id"}
            statement = statement.on_conflict_do_update(index_elements=["id"], set_=new)
        arrays = ", ".join(f"%b::{_type_of(self._table.c[name])}[]" for name in self._columns)
        sql = str(statement.compile(dialect=_DIALECTS[dialect]))
        self._sql[dialect] = found = sql.replace(_ARRAYS, f"unnest({arrays})")
        return found


def _type_of(column: sa.Column[Any]) -> str:
    """Answer the name of the column's type in PostgreSQL, but for how it is ordered."""
    return column.type.compile(dialect=_DIALECTS["postgresql"]).partition(" COLLATE")[0]


#: Ends the name of a condition on text. What stands for any text in a pattern stands for itself in what is looked for.
_HAS: Final = "_has"
_ESCAPE: Final = "/"
_WILD: Final = re.compile("[%_/]")
_AS_IT_IS: Final = rf"{_ESCAPE}\g<0>"
_NOTHING: Final = -1
_FALSE: Final = -2


class Condition(NamedTuple):
    """One test of one column; ``values`` is how many there are to compare with, or that it is to be null or false."""

    name: str
    values: int


def shape_of(asked: dict[str, Any]) -> tuple[tuple[Condition, ...], dict[str, Any]]:
    """Answer what is asked in general, which a statement is made for, and the values of this time.

    A condition is ``column=value``, ``column=(a, b)`` for any of these, ``column_from=`` (inclusive), ``column_before=`` (exclusive),
    ``column_not=(a, b)`` for none of these, or ``column_has=(a, b)`` for text in which each of these stands.
    """
    shape: list[Condition] = []
    values: dict[str, Any] = {}
    for name, value in asked.items():
        if name.endswith(_HAS):
            value = tuple(f"%{_WILD.sub(_AS_IT_IS, each)}%" for each in value)
        if isinstance(value, tuple | list | set | frozenset):
            shape.append(Condition(name, len(value)))
            values |= {f"{name}_{number}": item for number, item in enumerate(value)}
        elif value is None:
            shape.append(Condition(name, _NOTHING))
        elif value is False:
            shape.append(Condition(name, _FALSE))
        else:
            shape.append(Condition(name, 1))
            values[f"{name}_0"] = value
    return tuple(shape), values


@functools.lru_cache(MAX_KEPT)
def by_id(table: sa.Table, *, locked: bool = False) -> Statement:
    """The record with ``id``; nobody else changes a ``locked`` one before the transaction ends."""
    query = sa.select(table.c.record).where(table.c.id == sa.bindparam("id"))
    return Statement(query.with_for_update() if locked else query)  # SQLite's one writer needs no lock


@functools.lru_cache(MAX_KEPT)
def among(table: sa.Table) -> Statement:
    """Which records there are with one of these ``ids``: PostgreSQL is given them as one array."""
    ids = sa.bindparam("ids", type_=postgresql.ARRAY(sa.Text))
    return Statement(sa.select(table.c.id, table.c.record).where(table.c.id == sa.func.any(ids)))


@functools.lru_cache(MAX_KEPT)
def search(table: sa.Table, shape: tuple[Condition, ...], order: str, *, paged: bool) -> Statement:
    """The records that meet every condition, at most ``limit``; a page begins behind ``mark`` and ``after``."""
    column = column_of(table, order.removeprefix("-"))
    descending = order.startswith("-")
    query = sa.select(table.c.record).where(*_tests(table, shape))
    if paged:
        here = sa.tuple_(column, table.c.id)
        mark = sa.tuple_(sa.bindparam("mark"), sa.bindparam("after"))
        query = query.where(here < mark if descending else here > mark)
    direction = sa.desc if descending else sa.asc
    query = query.order_by(direction(column), direction(table.c.id))
    return Statement(query.limit(sa.bindparam("limit", type_=sa.Integer)))


@functools.lru_cache(MAX_KEPT)
def mark(table: sa.Table, column: str) -> Statement:
    """What the record with ``id`` is ordered by."""
    return Statement(sa.select(column_of(table, column)).where(table.c.id == sa.bindparam("id")))


@functools.lru_cache(MAX_KEPT)
def count(table: sa.Table, shape: tuple[Condition, ...]) -> Statement:
    """How many records meet every condition."""
    return Statement(sa.select(sa.func.count()).select_from(table).where(*_tests(table, shape)))


@functools.lru_cache(MAX_KEPT)
def entries(shape: tuple[Condition, ...], *, newest_first: bool) -> Statement:
    """The journal rows that meet every condition, at most ``limit``."""
    # Cast, because whoever edits the file by hand may leave text where bytes were: that has to be found out, not to fail.
    stored = (sa.cast(column, sa.LargeBinary) for column in (journal.c.body, journal.c.leaf))
    query = sa.select(journal.c.seq, *stored).where(*_tests(journal, shape))
    query = query.order_by(sa.desc(journal.c.seq) if newest_first else sa.asc(journal.c.seq))
    return Statement(query.limit(sa.bindparam("limit", type_=sa.Integer)))


@functools.lru_cache(MAX_KEPT)
def rows(table: sa.Table, columns: tuple[str, ...], *, there: bool) -> Rows:
    """Rows with values for these columns: new ones, or new values of those that are ``there``."""
    return Rows(table, columns, there=there)


def column_of(table: sa.Table, name: str) -> sa.Column[Any]:
    """Answer the column that records are ordered by."""
    if name not in table.c:
        raise Internal(f"{table.name} cannot be ordered by {name!r}")
    return table.c[name]


# Cast for the same reason as the bytes of an entry.
LEAF: Final = Statement(
    sa.select(sa.cast(journal.c.leaf, sa.LargeBinary)).where(
        journal.c.seq == sa.bindparam("seq", type_=sa.BigInteger)
    )
)
NODE: Final = Statement(
    sa.select(sa.cast(merkle_node.c.hash, sa.LargeBinary)).where(
        merkle_node.c.level == sa.bindparam("level", type_=sa.Integer),
        merkle_node.c.position == sa.bindparam("position", type_=sa.BigInteger),
    )
)
NODES: Final = Statement(
    sa.select(
        merkle_node.c.level, merkle_node.c.position, sa.cast(merkle_node.c.hash, sa.LargeBinary)
    ).order_by(merkle_node.c.level, merkle_node.c.position)
)

LAST_SEQ: Final = Statement(sa.select(sa.func.coalesce(sa.func.max(journal.c.seq), 0)))

#: The last of the next ``count`` numbers. The row is locked until the commit: numbers have no gap, and who sees one sees all before it.
TAKE_NUMBERS: Final = Statement(
    sa.update(journal_head)
    .values(seq=journal_head.c.seq + sa.bindparam("count", type_=sa.BigInteger))
    .returning(
        journal_head.c.seq,
        sa.func.pg_notify(sa.literal(CHANNEL, sa.Text), sa.cast(journal_head.c.seq, sa.Text)),
    )
)


def _tests(table: sa.Table, shape: Iterable[Condition]) -> Iterator[sa.ColumnElement[bool]]:
    for name, number in shape:
        values: list[sa.BindParameter[Any]] = [sa.bindparam(f"{name}_{each}") for each in range(number)]
        if name not in table.c:
            yield _bound(table, name, values)
        elif number == _NOTHING:
            yield table.c[name].is_(None)
        elif number == _FALSE:
            # A flag is false of nearly all: an index on it is no way to find them, and SQLite would take it for one.
            yield sa.not_(sa.func.coalesce(table.c[name], sa.false()))
        elif number == 1:
            yield table.c[name] == values[0]
        else:
            yield table.c[name].in_(values) if values else sa.false()


def _bound(table: sa.Table, name: str, values: list[sa.BindParameter[Any]]) -> sa.ColumnElement[bool]:
    column, _, end = name.rpartition("_")
    many = end in ("not", "has")
    if column not in table.c or end not in ("from", "before", "not", "has") or not (many or len(values) == 1):
        raise Internal(f"{table.name} cannot be searched by {name!r}")
    if end == "not":
        return sa.or_(table.c[column].is_(None), table.c[column].not_in(values))
    if end == "has":
        return sa.and_(sa.true(), *(table.c[column].like(value, escape=_ESCAPE) for value in values))
    return table.c[column] >= values[0] if end == "from" else table.c[column] < values[0]
