"""A system that changes many objects at once keeps the promises of ``replace`` for each of them: compare-and-set, in their order, one that is
refused keeps no other back; and what cannot be told of many is found out one by one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Swap
from stopwork.systems.sql import SqlSystem, Table
from tests.support.postgres import PostgresServer

MANY = 60
TABLES = {
    "account": Table(table="account", key=("id",)),
    "line": Table(table="line", key=("account", "n")),
}
SCHEMA = (
    "CREATE TABLE account (id INTEGER PRIMARY KEY, code TEXT UNIQUE, note TEXT, points INTEGER CHECK (points >= 0))",
    "CREATE TABLE line (account INTEGER REFERENCES account, n INTEGER, text TEXT, PRIMARY KEY (account, n))",
)
Run = Callable[[str], list[Any]]


class Database:
    """A database as its own users see it, and the system over it."""

    def __init__(self, system: SqlSystem, run: Run) -> None:
        self.system = system
        self.run = run
        for statement in SCHEMA:
            run(statement)
        for number in range(1, MANY + 1):
            run(f"INSERT INTO account VALUES ({number}, 'c{number}', NULL, {number})")

    def points(self) -> list[int]:
        return [points for (points,) in self.run("SELECT points FROM account ORDER BY id")]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = tmp_path / "desk.db"

        def run(statement: str) -> list[Any]:
            with closing(sqlite3.connect(path)) as connection, connection:
                return connection.execute(statement).fetchall()

        path.touch()
        yield Database(SqlSystem("desk", path, TABLES), run)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.empty_database()

    def run_there(statement: str) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    yield Database(
        SqlSystem("desk", url.replace("postgresql://", "postgresql+psycopg://"), TABLES), run_there
    )


def account(number: int) -> ObjectRef:
    return ObjectRef(system="desk", type="account", id=str(number))


def swaps(database: Database, numbers: range, **changes: Any) -> list[Swap]:
    refs = [account(number) for number in numbers]
    return [
        Swap(object=ref, expected=now, target=Image.present(now.content | changes))
        for ref, now in zip(refs, database.system.read_many(refs), strict=True)
    ]


def test_many_are_read_as_each_would_be(database: Database) -> None:
    refs = [account(number) for number in (3, 1, MANY + 7, 2)]
    assert database.system.read_many(refs) == [database.system.read(ref) for ref in refs]


def test_another_spelling_is_refused_among_many_too(database: Database) -> None:
    with pytest.raises(Invalid, match="another spelling"):
        database.system.read_many([account(1), ObjectRef(system="desk", type="account", id="02")])


def test_many_are_changed_in_one_go(database: Database) -> None:
    assert database.system.replace_many(swaps(database, range(1, MANY + 1), points=0)) == [None] * MANY
    assert database.points() == [0] * MANY


def test_what_was_changed_since_is_left_alone_and_keeps_no_other_back(database: Database) -> None:
    asked = swaps(database, range(1, 21), points=0)
    database.run("UPDATE account SET points = 99 WHERE id = 7")
    raised = database.system.replace_many(asked)
    assert [number for number, error in enumerate(raised, start=1) if error] == [7]
    assert isinstance(raised[6], Conflict)
    assert database.points()[:21] == [0] * 6 + [99] + [0] * 13 + [21]


def test_what_the_database_refuses_keeps_no_other_back(database: Database) -> None:
    asked = [*swaps(database, range(1, 4), points=0), *swaps(database, range(4, 5), points=-1)]
    asked += swaps(database, range(5, 7), points=0)
    raised = database.system.replace_many(asked)
    assert [error is None for error in raised] == [True, True, True, False, True, True]
    assert isinstance(raised[3], Conflict)
    assert database.points()[:6] == [0, 0, 0, 4, 0, 0]


def test_rows_that_come_change_and_go_do_so_in_their_order(database: Database) -> None:
    new = Image.present({"id": 900, "code": "c1", "note": "in the place of the first", "points": 1})
    first = database.system.read(account(1))
    asked = [
        Swap(object=account(1), expected=first, target=Image.absent()),
        Swap(object=account(900), expected=Image.absent(), target=new),  # its code is free by then
        *swaps(database, range(2, 4), note="seen"),
    ]
    assert database.system.replace_many(asked) == [None] * 4
    assert database.system.read(account(900)) == new
    assert database.system.read(account(1)) == Image.absent()


def test_codes_that_were_swapped_are_swapped_back_one_after_the_other(database: Database) -> None:
    asked = [*swaps(database, range(1, 2), code="free"), *swaps(database, range(2, 3), code="c1")]
    assert database.system.replace_many(asked) == [None, None]
    assert database.run("SELECT code FROM account WHERE id < 3 ORDER BY id") == [("free",), ("c1",)]


def test_rows_with_a_key_of_several_columns(database: Database) -> None:
    for n in range(3):
        database.run(f"INSERT INTO line VALUES (1, {n}, 'a')")
    refs = [ObjectRef(system="desk", type="line", id=f"1/{n}") for n in range(3)]
    asked = [
        Swap(object=ref, expected=now, target=Image.present(now.content | {"text": "b"}))
        for ref, now in zip(refs, database.system.read_many(refs), strict=True)
    ]
    assert database.system.replace_many(asked) == [None] * 3
    assert database.run("SELECT DISTINCT text FROM line") == [("b",)]
