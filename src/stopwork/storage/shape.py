"""Does a database have the tables and columns of this version, and in every cell the kind of value that belongs there?"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from stopwork.kernel.errors import Unavailable
from stopwork.storage.schema import HEAD
from stopwork.storage.tables import Moment, journal, journal_head, metadata
from stopwork.storage.view import View

_COLUMNS: Final = MappingProxyType(
    {
        "sqlite": "SELECT t.name AS table_name, c.name AS column_name "
        "FROM sqlite_master AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'",
        "postgresql": "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema()",
    }
)
_ACTING: Final = MappingProxyType(
    {
        "sqlite": "SELECT type AS kind, name FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY 1, 2",
        "postgresql": "SELECT 'trigger' AS kind, trigger_name AS name FROM information_schema.triggers WHERE trigger_schema = current_schema() "
        "UNION SELECT 'rule', rulename FROM pg_rules WHERE schemaname = current_schema() "
        "UNION SELECT 'view', table_name FROM information_schema.views WHERE table_schema = current_schema() ORDER BY 1, 2",
    }
)
#: The years 1 to 9999, in microseconds since 1970: no other time can be read.
_CALENDAR_US: Final = (-62_135_596_800_000_000, 253_402_300_799_999_999)


def misfits(view: View, *, cells: bool = True) -> Iterator[tuple[str, str]]:
    """Yield where the database does not have this version's shape, and how it differs: nothing can be read there.

    Without ``cells`` it is only looked at which tables and columns there are.
    Raises ``Unavailable`` when it was written by another version, which says nothing about what is in it.
    """
    there: dict[str, set[str]] = {}
    for row in view.execute(sa.text(_COLUMNS[view.database])):
        there.setdefault(row.table_name, set()).add(row.column_name)
    if "alembic_version" in there:
        _refuse_other_version(view)
    else:
        yield "table alembic_version", "is missing"
    for expected in metadata.sorted_tables:
        if view.database == "sqlite" and expected is journal_head:
            continue  # only servers that share a database need it
        if expected.name not in there:
            yield f"table {expected.name}", "is missing"
        elif missing := [each.name for each in expected.columns if each.name not in there[expected.name]]:
            yield f"table {expected.name}", f"has no {', '.join(missing)}"
        elif cells and view.database == "sqlite":  # elsewhere a column takes nothing but values of its type
            yield from _strangers(view, expected)
    yield from _acting(view)


def _acting(view: View) -> Iterator[tuple[str, str]]:
    """Yield what acts by itself when something is read or written: Stopwork never makes any."""
    for row in view.execute(sa.text(_ACTING[view.database])):
        yield f"{row.kind} {row.name}", "is none of Stopwork's: it may change what is read or written"


def _refuse_other_version(view: View) -> None:
    found = view.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if found != HEAD:
        raise Unavailable(
            f"the database has schema {found}, and this version checks {HEAD}",
            hint="Stop the server and run stopwork db upgrade, or check it with the version that wrote it.",
        )


def _strangers(view: View, table: sa.Table) -> Iterator[tuple[str, str]]:
    """Yield the first row of a table in which a cell holds another kind of value than belongs there."""
    kinds = {column.name: _kind_in(column) for column in table.columns}
    wrong = [kinds[column.name].not_in(_kinds_of(column)) for column in table.columns]
    key = [sa.cast(column, sa.Text) for column in table.primary_key]
    first = view.execute(
        sa.select(*key, *kinds.values()).select_from(table).where(sa.or_(*wrong)).limit(1)
    ).first()
    if first is None:
        return
    found = dict(zip(kinds, first[len(key) :], strict=True))
    kind = "journal entry" if table is journal else table.name.replace("_", " ")
    where = f"{kind} {'/'.join(first[: len(key)])}"
    for column in table.columns:
        if found[column.name] not in _kinds_of(column):
            yield where, f"holds {found[column.name]} under {column.name}, which was never written there"


def _kind_in(column: sa.Column[object]) -> sa.ColumnElement[str]:
    """Answer the storage class of a cell, or how its number is none that belongs there: it would be read as another one, or not at all."""
    cell: sa.ColumnClause[object] = sa.literal_column(f'"{column.name}"')
    kind = sa.func.typeof(cell)
    match column.type:
        case sa.Boolean():
            strange = cell.not_in((0, 1))
        case Moment() if column.table is not journal:  # whose times are compared as they are
            strange = sa.not_(cell.between(*_CALENDAR_US))
        case _:
            return kind
    return sa.case((kind == "integer", sa.case((strange, "another number"), else_=kind)), else_=kind)


def _kinds_of(column: sa.Column[object]) -> tuple[str, ...]:
    """Answer the storage classes that a column may hold. Bytes that someone made text of are still read, and compared."""
    nothing = ("null",) if column.nullable else ()
    match column.type:
        case Moment() | sa.Integer() | sa.Boolean():
            return ("integer", *nothing)
        case sa.String():
            return ("text", *nothing)
        case _:
            return ("blob", "text", *nothing)
