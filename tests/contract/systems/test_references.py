"""A database tells which of its rows refer to which: its foreign keys, under the types by which its rows are seen."""

from __future__ import annotations

from stopwork.incidents.references import Reference
from stopwork.systems.sql import SqlSystem, Table
from tests.support.postgres import PostgresServer
from tests.support.rows import World, postgres_world


def test_foreign_keys_are_references_between_types(world: World) -> None:
    world.person.execute(
        "CREATE TABLE remark (id INTEGER PRIMARY KEY, line_task INTEGER, line_position INTEGER,"
        " FOREIGN KEY (line_task, line_position) REFERENCES line (task, position))"
    )
    assert set(world.system.references()) == {
        Reference(type="task", fields=("account",), to="customer", named=("id",)),
        Reference(type="line", fields=("task",), to="task", named=("id",)),
        Reference(type="line", fields=("account",), to="customer", named=("id",)),
        Reference(
            type="remark", fields=("line_task", "line_position"), to="line", named=("task", "position")
        ),
    }


def test_a_field_is_written_as_it_is_in_an_image(world: World) -> None:
    world.person.execute('CREATE TABLE reply ("in reply.to" INTEGER REFERENCES account (id))')
    assert (
        Reference(type="reply", fields=("in reply\\.to",), to="customer", named=("id",))
        in world.system.references()
    )


def test_the_tables_of_another_schema_are_told_too(postgres: PostgresServer) -> None:
    with postgres_world(postgres.empty_database()) as world:
        world.person.execute("CREATE SCHEMA sales")
        world.person.execute(
            "CREATE TABLE sales.deal (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account)"
        )
        world.person.execute("CREATE TABLE sales.part (deal INTEGER REFERENCES sales.deal, n INTEGER)")
        tables = {
            "customer": Table(table="account", key=("id",)),
            "deal": Table(table="deal", schema="sales", key=("id",)),
        }
        found = SqlSystem("crm", world.url, tables).references()
        assert Reference(type="deal", fields=("account",), to="customer", named=("id",)) in found
        assert Reference(type="sales.part", fields=("deal",), to="deal", named=("id",)) in found
