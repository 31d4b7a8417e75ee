"""What a database is asked for by the system that shows its rows: tables as they are declared, and sessions as drivers keep them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from msgspec import Struct

from stopwork.ledger.records import Record
from stopwork.systems.changed_rows import ChangedRow
from stopwork.systems.foreign_keys import ForeignKey


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rows of one type: their table, and the columns whose values make up the id.

    ``changed_by`` and ``changed_at`` name the columns that say who changed a row last, and when; they are best among those to ``ignore``.
    """

    table: str
    key: tuple[str, ...]
    schema: str | None = None
    columns: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    changed_by: str | None = None
    changed_at: str | None = None


class Column(Record):
    """A column as the database describes it; the value of a ``computed`` one cannot be set."""

    name: str
    computed: bool = False


class Referrer(Record):
    """Another table whose rows the database itself would change or delete along with a row of this one."""

    table: Table
    columns: tuple[str, ...]
    referred: tuple[str, ...]


class Session(Protocol):
    """One transaction. Values are the driver's own; a ``where`` compares null with null as equal."""

    def columns(self, table: Table) -> list[Column]: ...
    def keys(self, table: Table, column: str, text: str) -> list[Any]:
        """Answer the values that this text can stand for in a key column."""

    def select(self, table: Table, where: Mapping[str, list[Any]], *, limit: int) -> list[dict[str, Any]]:
        """Answer at most ``limit`` rows in which each named column has one of its values, locked when writing."""

    def insert(self, table: Table, row: Mapping[str, Any]) -> None: ...
    def update(self, table: Table, where: Mapping[str, Any], changes: Mapping[str, Any]) -> int: ...
    def update_many(
        self, table: Table, changes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
    ) -> int:
        """Make changes of the same columns, each a ``where`` and its new values, and answer how many rows that were in all."""

    def delete(self, table: Table, where: Mapping[str, Any]) -> int: ...
    def savepoint(self) -> AbstractContextManager[None]:
        """Take back what the block did when it raises, and turn the driver's errors into ours."""

    def referrers(self, table: Table) -> list[Referrer]: ...
    def foreign_keys(self, schema: str | None) -> list[ForeignKey]: ...
    def primary_key(self, table: Table) -> tuple[str, ...]:
        """Answer the columns by which a row is known; empty when there are none."""

    def install_capture(self) -> None: ...
    def captured(self, call: str, *, limit: int) -> Iterator[ChangedRow]: ...
    def forget(self, call: str) -> None: ...
    def kept(self) -> frozenset[str]: ...
    def to_plain(self, value: Any) -> Any: ...
    def from_plain(self, table: Table, column: str, value: Any) -> Any: ...


class Database(Protocol):
    """Opens transactions, and turns the driver's errors into ``Conflict`` and ``Unavailable``."""

    def transaction(self, *, writing: bool, lasting: bool = True) -> AbstractContextManager[Session]:
        """Open one; if it need not be ``lasting``, a crash of the machine may undo it."""
