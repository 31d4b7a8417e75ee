"""Row capture on PostgreSQL: one function, and triggers on every table that call it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import sqlalchemy as sa
from msgspec.structs import replace

from stopwork.systems.changed_rows import CAPTURE, SETTING, ChangedRow

# The function runs with its owner's rights, so that an agent's role needs none on the captured rows, and cannot change them.
_INSTALL: Final = (
    f"""CREATE TABLE IF NOT EXISTS {CAPTURE} (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call text NOT NULL,
        schema_name text NOT NULL, table_name text NOT NULL, before json, after json)""",
    f"CREATE INDEX IF NOT EXISTS {CAPTURE}_call ON {CAPTURE} (call)",
    f"REVOKE ALL ON {CAPTURE} FROM PUBLIC",
)
_FUNCTION: Final = f"""
CREATE OR REPLACE FUNCTION {{schema}}.{CAPTURE}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {{schema}}, pg_temp AS $function$
DECLARE
    which text := current_setting('{SETTING}', true);
BEGIN
    IF which IS NULL OR which = '' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {CAPTURE} (call, schema_name, table_name, after)
        VALUES (which, TG_TABLE_SCHEMA, TG_TABLE_NAME, row_to_json(NEW));
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO {CAPTURE} (call, schema_name, table_name, before, after)
        VALUES (which, TG_TABLE_SCHEMA, TG_TABLE_NAME, row_to_json(OLD), row_to_json(NEW));
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO {CAPTURE} (call, schema_name, table_name, before)
        VALUES (which, TG_TABLE_SCHEMA, TG_TABLE_NAME, row_to_json(OLD));
    ELSE
        EXECUTE format('INSERT INTO {CAPTURE} (call, schema_name, table_name, before)'
            ' SELECT $1, $2, $3, row_to_json(each) FROM %I.%I AS each', TG_TABLE_SCHEMA, TG_TABLE_NAME)
        USING which, TG_TABLE_SCHEMA, TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $function$"""  # noqa: S608 - names of our own
_TABLES: Final = sa.text(
    "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'"
    " AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relname <> :own ORDER BY 1, 2"
)

# A partition is told by the trigger, and the table that it is part of is what is declared; one that is gone by now stands for itself.
_CHANGED_TABLES: Final = (
    "SELECT changed.schema_name, changed.table_name, coalesce(n.nspname, changed.schema_name),"  # noqa: S608
    " coalesce(c.relname, changed.table_name), coalesce(n.nspname, changed.schema_name) = current_schema()"
    f" FROM (SELECT DISTINCT schema_name, table_name FROM {CAPTURE} WHERE call = %(call)s) AS changed"
    " LEFT JOIN pg_class AS c ON c.oid = pg_partition_root(to_regclass(format('%%I.%%I', changed.schema_name, changed.table_name)))"
    " LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace"
)
_FORGET: Final = (
    f"WITH soon AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) DELETE FROM {CAPTURE} USING soon"  # noqa: S608
    " WHERE call = %(call)s"
)


def install(connection: sa.Connection) -> list[str]:
    """Make the table, the function and the triggers, as often as wanted; answer the tables that are captured."""
    for statement in _INSTALL:
        connection.execute(sa.text(statement))
    schema = connection.execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    connection.execute(sa.text(_FUNCTION.format(schema=schema)))
    quote = connection.dialect.identifier_preparer.quote
    captured = []
    for space, table in connection.execute(_TABLES, {"own": CAPTURE}):
        name = f"{quote(space)}.{quote(table)}"
        for trigger, when in ((CAPTURE, "INSERT OR UPDATE OR DELETE"), (f"{CAPTURE}_all", "TRUNCATE")):
            moment, each = ("AFTER", "ROW") if trigger == CAPTURE else ("BEFORE", "STATEMENT")
            connection.exec_driver_sql(
                f"CREATE OR REPLACE TRIGGER {trigger} {moment} {when} ON {name}"
                f" FOR EACH {each} EXECUTE FUNCTION {schema}.{CAPTURE}()"
            )
        captured.append(f"{space}.{table}")
    return captured


def captured(connection: sa.Connection, call: str, limit: int) -> Iterator[ChangedRow]:
    """Answer the changes laid to a call, in their order, with the values that reading the rows would give."""
    quote = connection.dialect.identifier_preparer.quote
    found: dict[int, ChangedRow] = {}
    # The driver's own cursor: SQLAlchemy would take longer to describe these rows than the server to find them.
    with closing(_driver(connection).cursor()) as cursor:
        tables = cursor.execute(_CHANGED_TABLES, {"call": call}).fetchall()
        for space, name, root_space, root, own in tables:
            asked = {"call": call, "space": space, "name": name, "limit": limit}
            cursor.execute(_changes(f"{quote(root_space)}.{quote(root)}"), asked)
            columns = [column.name for column in cursor.description[2:]]
            for number, side, *values in cursor:
                known = found.get(number) or ChangedRow(table=root, schema=None if own else root_space)
                found[number] = replace(known, **{side: dict(zip(columns, values, strict=True))})
    return iter([found[number] for number in sorted(found)][:limit])


def forget(connection: sa.Connection, call: str) -> None:
    """Remove what was captured for a call, without waiting for the disk."""
    with closing(_driver(connection).cursor()) as cursor:
        cursor.execute(_FORGET, {"call": call})


def kept(connection: sa.Connection) -> frozenset[str]:
    """Answer the calls for which anything captured is still there."""
    with closing(_driver(connection).cursor()) as cursor:
        return frozenset(call for (call,) in cursor.execute(f"SELECT DISTINCT call FROM {CAPTURE}"))  # noqa: S608


def _driver(connection: sa.Connection) -> Any:
    return connection.connection


def _changes(kind: str) -> str:
    """Answer what selects the rows of one table before and after, as the table's own types."""
    kind = kind.replace("%", "%%")
    sides = (
        f"(SELECT c.number, '{side}', r.* FROM {CAPTURE} AS c,"  # noqa: S608
        f" LATERAL json_populate_record(NULL::{kind}, c.{side}) AS r"
        f" WHERE c.call = %(call)s AND c.{side} IS NOT NULL"
        " AND c.schema_name = %(space)s AND c.table_name = %(name)s ORDER BY c.number LIMIT %(limit)s)"
        for side in ("before", "after")
    )
    return " UNION ALL ".join(sides)
