"""Databases other than SQLite, through SQLAlchemy; loaded only where one is configured.

The tables are read from the database when first used, so a change of their columns asks for a restart. Times, dates,
identifiers and exact decimals are text in an image and become the column's own type again on the way back.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from threading import Lock
from time import monotonic
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    NoSuchModuleError,
    NoSuchTableError,
    SQLAlchemyError,
    StatementError,
)

from stopwork.kernel.errors import Conflict, Invalid, StopworkError, Unavailable
from stopwork.systems import postgres_capture
from stopwork.systems.base import Unsupported
from stopwork.systems.changed_rows import ChangedRow
from stopwork.systems.databases import Column, Referrer, Table
from stopwork.systems.foreign_keys import ForeignKey

_FROM_TEXT: Final[dict[type, Callable[[str], Any]]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    UUID: UUID,
    Decimal: Decimal,
}
_ADDRESSES: Final = (IPv4Address, IPv6Address, IPv4Interface, IPv6Interface, IPv4Network, IPv6Network)
_NULL: Final = sa.null()
_HARMLESS: Final = (None, "NO ACTION", "RESTRICT")
_KEY_TYPES: Final[dict[type, Callable[[str], Any]]] = {int: int, **_FROM_TEXT}


#: A connection that was used this recently is taken to be alive.
_FRESH_S: Final = 2.0


class EngineDatabase:
    """A database that SQLAlchemy can reach."""

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(url, hide_parameters=True)
            self._failures = (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error)
        except (SQLAlchemyError, ImportError) as error:
            # The address may hold a password: name what is wrong with it, never the address.
            raise Invalid(
                f"the database address cannot be used: {_without_address(error)}",
                hint="Write a SQLAlchemy address whose driver is installed, such as postgresql+psycopg://HOST/NAME.",
                field="url",
            ) from None
        weakref.finalize(self, self._engine.dispose)  # a system is never closed by hand
        sa.event.listen(self._engine, "checkout", _alive(self._engine.dialect))
        sa.event.listen(self._engine, "checkin", _used)
        # There each statement of a transaction sees what is there then, so that reading in one only adds to the way.
        self._reading = (
            self._engine.execution_options(isolation_level="AUTOCOMMIT")
            if self._engine.dialect.name == "postgresql"
            else self._engine
        )
        self._metadata = sa.MetaData()
        self._lock = Lock()

    @contextmanager
    def transaction(self, *, writing: bool, lasting: bool = True) -> Iterator[EngineSession]:
        try:
            # What need not last is one statement, and on PostgreSQL a transaction by itself.
            engine = self._engine if writing and lasting else self._reading
            with engine.begin() as connection:
                yield EngineSession(connection, self._table, writing=writing, failures=self._failures)
        except self._failures as error:
            raise _ours(error) from error

    def _table(self, connection: sa.Connection, name: str, schema: str | None) -> sa.Table | None:
        with self._lock:
            try:
                return sa.Table(name, self._metadata, schema=schema, autoload_with=connection)
            except NoSuchTableError:
                return None


def _without_address(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"its driver {error.name} is not installed"
    if isinstance(error, NoSuchModuleError):
        return "there is no such kind of database"
    return "it does not have the form of one" if isinstance(error, ArgumentError) else type(error).__name__


def _ours(error: Exception) -> StopworkError:
    """Answer what the driver's error means."""
    if isinstance(error, IntegrityError):
        return Conflict(
            f"the database refuses the change: {error.orig}", hint="Decide about the rows it refers to first."
        )
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return Invalid(f"the database cannot hold the value: {error.orig}")
    cause = error.orig if isinstance(error, DBAPIError) else error
    return Unavailable(
        f"the database cannot be used: {cause}", hint="See that it runs and lets this user in."
    )


def _alive(dialect: sa.Dialect) -> Callable[[Any, Any, Any], None]:
    """Answer what looks whether a connection that nobody has used for a while is still one; if not, another is opened."""

    def checked_out(connection: Any, record: Any, _fairy: Any) -> None:
        used_at = record.info.get("used_at")
        if used_at is None or monotonic() - used_at < _FRESH_S:
            return
        try:
            alive = dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError(str(error)) from error
        if not alive:
            raise DisconnectionError

    return checked_out


def _used(_connection: Any, record: Any) -> None:
    record.info["used_at"] = monotonic()


class EngineSession:
    """One transaction on a SQLAlchemy connection."""

    def __init__(
        self,
        connection: sa.Connection,
        table: Callable[[sa.Connection, str, str | None], sa.Table | None],
        *,
        writing: bool,
        failures: tuple[type[Exception], ...] = (SQLAlchemyError,),
    ) -> None:
        self._connection = connection
        self._lookup = table
        self._writing = writing
        self._failures = failures

    def columns(self, table: Table) -> list[Column]:
        known = self._lookup(self._connection, table.table, table.schema)
        columns = known.columns if known is not None else ()
        return [Column(name=column.name, computed=column.computed is not None) for column in columns]

    def keys(self, table: Table, column: str, text: str) -> list[Any]:
        read = _KEY_TYPES.get(_python_type(self._rows(table).columns[column]), str)
        try:
            return [read(text)]
        except (ValueError, InvalidOperation):
            return []

    def select(self, table: Table, where: Mapping[str, list[Any]], *, limit: int) -> list[dict[str, Any]]:
        rows = self._rows(table)
        query = sa.select(rows).limit(limit)
        for column, values in where.items():
            one = rows.columns[column] == values[0]
            query = query.where(one if len(values) == 1 else rows.columns[column].in_(values))
        if self._writing:
            query = query.with_for_update()
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def insert(self, table: Table, row: Mapping[str, Any]) -> None:
        self._connection.execute(sa.insert(self._rows(table)).values(dict(row)))

    def update(self, table: Table, where: Mapping[str, Any], changes: Mapping[str, Any]) -> int:
        query = sa.update(self._rows(table)).where(*self._equals(table, where)).values(dict(changes))
        return self._connection.execute(query).rowcount

    def update_many(
        self, table: Table, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> int:
        where, values = changes[0]
        names = self._comparable(table, where)
        asked = self._equals(table, {name: sa.bindparam(f"was_{name}") for name in names})
        query = sa.update(self._rows(table)).where(*asked)
        query = query.values({name: sa.bindparam(f"becomes_{name}") for name in values})
        given = [
            {f"was_{name}": where[name] for name in names}
            | {f"becomes_{name}": value for name, value in values.items()}
            for where, values in changes
        ]
        return self._connection.execute(query, given).rowcount

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        try:
            with self._connection.begin_nested():
                yield
        except self._failures as error:
            raise _ours(error) from error

    def delete(self, table: Table, where: Mapping[str, Any]) -> int:
        query = sa.delete(self._rows(table)).where(*self._equals(table, where))
        return self._connection.execute(query).rowcount

    def referrers(self, table: Table) -> list[Referrer]:
        inspector = sa.inspect(self._connection)
        found = []
        for name in inspector.get_table_names(schema=table.schema):
            for reference in inspector.get_foreign_keys(name, schema=table.schema):
                if reference["referred_table"] != table.table:
                    continue
                if reference.get("options", {}).get("ondelete") in _HARMLESS:
                    continue
                columns = tuple(reference["constrained_columns"])
                other = Table(table=name, schema=table.schema, key=columns)
                referred = tuple(reference["referred_columns"])
                found.append(Referrer(table=other, columns=columns, referred=referred))
        return found

    def foreign_keys(self, schema: str | None) -> list[ForeignKey]:
        found = sa.inspect(self._connection).get_multi_foreign_keys(schema=schema)
        return [
            ForeignKey(
                table=table,
                columns=tuple(key["constrained_columns"]),
                other=(key["referred_schema"], key["referred_table"]),
                referred=tuple(key["referred_columns"]),
            )
            for table, keys in found.items()
            for key in keys
        ]

    def primary_key(self, table: Table) -> tuple[str, ...]:
        found = sa.inspect(self._connection).get_pk_constraint(table.table, schema=table.schema)
        return tuple(found["constrained_columns"])

    def install_capture(self) -> None:
        self._require_postgresql()
        postgres_capture.install(self._connection)

    def captured(self, call: str, *, limit: int) -> Iterator[ChangedRow]:
        self._require_postgresql()
        return postgres_capture.captured(self._connection, call, limit)

    def forget(self, call: str) -> None:
        self._require_postgresql()
        postgres_capture.forget(self._connection, call)

    def kept(self) -> frozenset[str]:
        self._require_postgresql()
        return postgres_capture.kept(self._connection)

    def to_plain(self, value: Any) -> Any:
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, Decimal | UUID):
            return str(value)
        if isinstance(value, timedelta):
            return value // timedelta(microseconds=1)
        if isinstance(value, memoryview):
            return bytes(value)
        if isinstance(value, list):
            return [self.to_plain(each) for each in value]
        if isinstance(value, _ADDRESSES):
            return str(value)
        return _range_text(value) if hasattr(value, "bounds") else value

    def from_plain(self, table: Table, column: str, value: Any) -> Any:
        described = self._rows(table).columns[column]
        if value is None:
            # A JSON column would otherwise get JSON's own null.
            return _NULL if isinstance(described.type, sa.JSON) else None
        kind = _python_type(described)
        if kind is timedelta and isinstance(value, int):
            return timedelta(microseconds=value)
        if kind in _FROM_TEXT and isinstance(value, str):
            try:
                return _FROM_TEXT[kind](value)
            except (ValueError, InvalidOperation) as error:
                raise Invalid(
                    f"{table.table}.{column} cannot hold {value!r}", hint=f"It holds a {kind.__name__}."
                ) from error
        return value

    def _require_postgresql(self) -> None:
        if self._connection.dialect.name != "postgresql":
            raise Unsupported(
                f"rows of {self._connection.dialect.name} are not captured",
                hint="Name SQLite as a file path, or use `scan`.",
            )

    def _rows(self, table: Table) -> sa.Table:
        known = self._lookup(self._connection, table.table, table.schema)
        if known is None:
            raise Invalid(f"there is no table {table.table}", hint="See `table` of the system's types.")
        return known

    def _equals(self, table: Table, where: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
        columns = self._rows(table).columns
        # A key is never null, and only a plain comparison finds a row by its index.
        return [
            columns[name] == where[name]
            if name in table.key
            else columns[name].is_not_distinct_from(where[name])
            for name in self._comparable(table, where)
        ]

    def _comparable(self, table: Table, where: Mapping[str, Any]) -> list[str]:
        # JSON has no equality in every database; such a column was compared before, on the locked row.
        columns = self._rows(table).columns
        return [name for name in where if not isinstance(columns[name].type, sa.JSON)]


def _range_text(value: Any) -> str:
    """Answer a range as PostgreSQL writes it; the driver and SQLAlchemy each have a class of their own for it."""
    if value.bounds in (None, "") or getattr(value, "isempty", getattr(value, "is_empty", False)):
        return "empty"
    lower, upper = ("" if end is None else f'"{end}"' for end in (value.lower, value.upper))
    return f"{value.bounds[0]}{lower},{upper}{value.bounds[1]}"


def _python_type(column: sa.Column[Any]) -> type:
    try:
        return column.type.python_type
    except RuntimeError:  # so says a type of the database that Python has none for
        return object
