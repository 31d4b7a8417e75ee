"""Every row that a call changes is laid to it, on SQLite and on PostgreSQL, and to no other: held against a full comparison of all tables.

Two hundred pieces of work with cascades, the application's own triggers, bulk statements, replaced rows, changed keys and transactions that fail.
What is captured reads like the row itself and can be put back; what nobody was called for is not captured.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
import sqlalchemy as sa

from stopwork.incidents.images import same_image
from stopwork.kernel.calling import calling
from stopwork.kernel.canonical import plain, revive
from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Image, ObjectRef, Observed
from stopwork.ledger.words import Operation
from stopwork.systems.base import Unsupported
from stopwork.systems.capture import attributed, watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.postgres import PostgresServer

PIECES: Final = 200
COLUMNS: Final = {
    "account": ("id", "name", "score", "data", "raw"),
    "task": ("id", "account", "title"),
    "line": ("task", "position", "account", "note"),
    "audit": ("what", "count"),
    "odd name": ("the key", 'a "value'),
}
"""The tables, with every column that is not computed."""

SCHEMA: Final = (
    """CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, score DOUBLE PRECISION, data {json}, raw {blob},
       shout TEXT GENERATED ALWAYS AS (upper(name)) STORED)""",
    "CREATE TABLE task (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, title TEXT UNIQUE)",
    """CREATE TABLE line (task INTEGER REFERENCES task ON DELETE CASCADE ON UPDATE CASCADE, position INTEGER,
       account INTEGER REFERENCES account ON DELETE SET NULL, note TEXT, PRIMARY KEY (task, position))""",
    "CREATE TABLE audit (what TEXT, count INTEGER)",
    """CREATE TABLE "odd name" ("the key" TEXT PRIMARY KEY, "a ""value" TEXT)""",
)
SQLITE: Final = (
    """CREATE TRIGGER noted AFTER UPDATE OF name ON account BEGIN
       INSERT INTO audit VALUES ('account ' || NEW.id, 1); UPDATE audit SET count = count + 1 WHERE what = 'all'; END""",
)
POSTGRES: Final = (
    """CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO audit VALUES ('account ' || NEW.id, 1); UPDATE audit SET count = count + 1 WHERE what = 'all';
       RETURN NULL; END $$""",
    "CREATE TRIGGER noted AFTER UPDATE OF name ON account FOR EACH ROW EXECUTE FUNCTION noted()",
)

Row = tuple[Any, ...]


class World:
    """A database with the agent's connection, a person's, and the system that sees it."""

    def __init__(self, url: str, connect: Callable[[], Any]) -> None:
        self.url = url
        self.agent, self.person = connect(), connect()
        self.mark = "?" if isinstance(self.agent, sqlite3.Connection) else "%s"
        kinds = ("TEXT", "BLOB") if self.mark == "?" else ("JSONB", "BYTEA")
        for statement in (*SCHEMA, *(SQLITE if self.mark == "?" else POSTGRES)):
            self.person.execute(
                statement.format(json=kinds[0], blob=kinds[1]) if "{" in statement else statement
            )
        self.person.execute("INSERT INTO audit VALUES ('all', 0)")
        self.system = SqlSystem("crm", url, {"customer": Table(table="account", key=("id",))}, capture=True)
        self.system.install_capture()
        if isinstance(self.agent, sqlite3.Connection):
            watch(self.agent)

    def run(self, connection: Any, statement: str, *values: Any) -> None:
        if self.mark != "?":
            statement = statement.replace("%", "%%").replace("?", self.mark)
        connection.execute(statement, values)

    def rows(self) -> dict[str, Counter[Row]]:
        """Answer every row of every table, seen without the system."""
        return {table: Counter(self._all(table, columns)) for table, columns in COLUMNS.items()}

    def _all(self, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
        names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        for row in self.person.execute(f'SELECT {names} FROM "{table}"').fetchall():
            yield tuple(map(spelled, row))

    @contextmanager
    def laid_to(self, call: str) -> Iterator[None]:
        """What the agent's connection does within the block is done for this call."""
        with ExitStack() as stack:
            stack.enter_context(calling(call))
            if not isinstance(self.agent, sqlite3.Connection):
                stack.enter_context(attributed(self.agent))
            yield

    def close(self) -> None:
        self.agent.close()
        self.person.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.started() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        path = tmp_path / "crm.db"

        def connect() -> Any:
            connection = sqlite3.connect(path, isolation_level=None)
            connection.execute("PRAGMA foreign_keys = ON")
            return connection

        world = World(str(path), connect)
    else:
        url = request.getfixturevalue("server").empty_database()
        world = World(
            url.replace("postgresql://", "postgresql+psycopg://", 1),
            lambda: psycopg.connect(url, autocommit=True),
        )
    yield world
    world.close()


def spelled(value: Any) -> str:
    return json.dumps(plain(value), sort_keys=True)


def of_table(found: tuple[Observed, ...], table: str) -> list[Observed]:
    return [seen for seen in found if seen.object.type == ("customer" if table == "account" else table)]


def content(image: Image, columns: tuple[str, ...]) -> Row | None:
    return (
        None if image == Image.absent() else tuple(spelled(revive(image.content[name])) for name in columns)
    )


def test_two_hundred_pieces_of_work_are_laid_to_their_calls(world: World) -> None:
    pieces = Pieces(random.Random(20261123))
    seen = Counter[str]()
    for number in range(PIECES):
        before = world.rows()
        with world.laid_to(f"call_{number}"):
            kind = pieces.work(world)
        after = world.rows()
        with calling("call_other"):
            found = world.system.captured(f"call_{number}")
        for table, columns in COLUMNS.items():
            pairs = [
                (content(each.before, columns), content(each.after, columns))
                for each in of_table(found, table)
            ]
            gone = Counter(row for row, _ in pairs if row is not None)
            come = Counter(row for _, row in pairs if row is not None)
            why = f"piece {number}, {kind}, {table}"
            assert gone - come == before[table] - after[table], why
            assert come - gone == after[table] - before[table], why
            seen[table] += len(pairs)
    assert min(seen.values()) > 10, seen
    assert len(pieces.kinds) == len(Pieces.KINDS)


class Pieces:
    """Pieces of work of an agent: one statement, or several in a transaction that ends well or does not."""

    KINDS: Final = (
        "insert",
        "insert many",
        "update one",
        "update in bulk",
        "update nothing",
        "delete with cascade",
        "change a key",
        "replace",
        "no key",
        "come and go",
        "there and back",
        "fails halfway",
        "rolled back",
        "savepoint",
    )

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._next = 0
        self.kinds: set[str] = set()

    def work(self, world: World) -> str:
        """Do one piece of work and answer its kind."""
        kind = self._chance.choice(self.KINDS)
        self.kinds.add(kind)
        database = world.agent
        world.run(database, "BEGIN")
        try:
            self._do(kind, world)
        except (sqlite3.IntegrityError, psycopg.IntegrityError, _ChangedItsMind):
            database.execute("ROLLBACK")
        else:
            database.execute("COMMIT")
        return kind

    def _new(self) -> int:
        self._next += 1
        return self._next

    def _any(self) -> int:
        return self._chance.randint(1, max(1, self._next))

    def _account(self, world: World) -> int:
        new = self._new()
        values = (new, f"n{new}'\"ü", self._chance.random(), '{"a": [1, null]}', self._chance.randbytes(5))
        world.run(
            world.agent, "INSERT INTO account (id, name, score, data, raw) VALUES (?, ?, ?, ?, ?)", *values
        )
        return new

    def _task(self, world: World, account: int) -> int:
        new = self._new()
        world.run(world.agent, "INSERT INTO task VALUES (?, ?, ?)", new, account, f"t{new}")
        for position in range(self._chance.randint(0, 3)):
            world.run(world.agent, "INSERT INTO line VALUES (?, ?, ?, ?)", new, position, account, None)
        return new

    def _do(self, kind: str, world: World) -> None:
        database = world.agent
        match kind:
            case "insert":
                self._task(world, self._account(world))
            case "insert many":
                for _ in range(5):
                    self._account(world)
                world.run(database, "INSERT INTO audit SELECT name, id FROM account WHERE id % 3 = 0")
            case "update one":
                world.run(database, "UPDATE account SET name = ?, raw = NULL WHERE id = ?", "x", self._any())
            case "update in bulk":
                world.run(
                    database,
                    "UPDATE account SET score = score / 3, data = NULL WHERE id % 2 = ?",
                    self._any() % 2,
                )
                world.run(database, "UPDATE line SET note = 'n' WHERE position = 0")
            case "update nothing":
                world.run(database, "UPDATE account SET name = name")
            case "delete with cascade":
                account = self._account(world)
                self._task(world, account)
                database.execute("COMMIT")
                database.execute("BEGIN")
                world.run(database, "DELETE FROM account WHERE id IN (?, ?)", self._any(), account)
            case "change a key":
                world.run(database, "UPDATE task SET id = id + 100000 WHERE id = (SELECT min(id) FROM task)")
                world.run(database, """UPDATE "odd name" SET "the key" = "the key" || '/%' """)
            case "replace":
                self._replace(world)
            case "no key":
                world.run(database, "INSERT INTO audit VALUES ('twice', 1), ('twice', 1)")
                world.run(database, "DELETE FROM audit WHERE what = 'twice' AND count = 1")
                world.run(database, "INSERT INTO audit VALUES (NULL, NULL)")
            case _:
                self._do_and_undo(kind, world)

    def _do_and_undo(self, kind: str, world: World) -> None:
        database = world.agent
        match kind:
            case "come and go":
                world.run(database, "DELETE FROM task WHERE id = ?", self._task(world, self._account(world)))
            case "there and back":
                world.run(database, "UPDATE account SET score = score + 1 WHERE id = ?", self._any())
                world.run(database, "UPDATE account SET score = score - 1 WHERE id = ?", self._any())
            case "fails halfway":
                self._account(world)
                world.run(database, "INSERT INTO task VALUES (?, ?, 'x')", self._new(), 10**8)
                if world.mark == "?":
                    raise _ChangedItsMind
            case "rolled back":
                world.run(database, "DELETE FROM account")
                raise _ChangedItsMind
            case "savepoint":
                database.execute("SAVEPOINT one")
                world.run(database, "DELETE FROM line")
                database.execute("ROLLBACK TO one")
                self._account(world)
                world.run(database, 'INSERT INTO "odd name" VALUES (?, ?)', f"k{self._new()}", "it's")

    def _replace(self, world: World) -> None:
        account = self._account(world)
        self._task(world, account)
        if world.mark == "?":
            world.run(
                world.agent,
                "INSERT OR REPLACE INTO task SELECT id + 500000, account, title FROM task WHERE id % 2 = 0",
            )
        else:
            world.run(world.agent, "TRUNCATE audit")
        world.run(
            world.agent,
            "INSERT INTO account (id, name) VALUES (?, 'again') ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            self._any(),
        )


class _ChangedItsMind(Exception):
    """The piece of work gives up."""


def test_what_was_captured_reads_like_the_row_and_is_put_back(world: World) -> None:
    world.run(world.person, "INSERT INTO account (id, name, score) VALUES (7, 'Acme', 0.1)")
    world.run(world.person, """INSERT INTO "odd name" VALUES ('a/b', 'x')""")
    ref, odd = (
        ObjectRef(system="crm", type=kind, id=key) for kind, key in (("customer", "7"), ("odd name", "a/b"))
    )
    before = {each: world.system.read(each) for each in (ref, odd)}
    was = world.rows()
    with world.laid_to("call_1"):
        world.run(world.agent, "UPDATE account SET name = 'Evil', score = 1e300 WHERE id = 7")
        world.run(world.agent, 'DELETE FROM "odd name"')
    found = {seen.object: seen for seen in world.system.captured("call_1")}
    assert {(each.type, seen.operation) for each, seen in found.items()} >= {
        ("customer", Operation.MODIFIED),
        ("odd name", Operation.DELETED),
        ("audit", Operation.CREATED),
    }
    for each in (ref, odd):
        assert same_image(found[each].before, before[each])
        assert same_image(found[each].after, world.system.read(each))
        world.system.replace(each, found[each].after, found[each].before)
    assert {table: rows for table, rows in world.rows().items() if table != "audit"} == {
        table: rows for table, rows in was.items() if table != "audit"
    }


def test_what_others_do_is_not_captured(world: World) -> None:
    world.run(world.agent, "INSERT INTO account (id) VALUES (1)")
    with calling("call_1"):
        world.run(world.person, "INSERT INTO account (id) VALUES (2)")
    assert world.system.captured("call_1") == ()


def test_what_is_on_record_can_be_forgotten(world: World) -> None:
    for call in ("call_1", "call_2"):
        with world.laid_to(call):
            world.run(world.agent, "INSERT INTO audit VALUES (?, 1)", call)
    world.system.forget("call_1")
    assert world.system.captured("call_1") == ()
    assert len(world.system.captured("call_2")) == 1


def test_a_row_without_a_key_is_put_back_where_the_database_knows_it(world: World) -> None:
    with world.laid_to("call_1"):
        world.run(world.agent, "DELETE FROM audit WHERE what = 'all'")
    [seen] = world.system.captured("call_1")
    assert seen.operation is Operation.DELETED
    if world.mark == "?":
        world.system.replace(seen.object, seen.after, seen.before)
        assert world.rows()["audit"] == Counter([(spelled("all"), spelled(0))])
    else:
        with pytest.raises(Unsupported, match="no key"):
            world.system.replace(seen.object, seen.after, seen.before)


def test_an_engine_is_watched_as_a_whole(world: World, tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/crm.db" if world.mark == "?" else world.url
    engine = sa.create_engine(address)
    watch(engine)
    with calling("call_1"), engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO audit VALUES ('by an engine', 1)"))
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO audit VALUES ('by nobody', 1)"))
    engine.dispose()
    assert len(world.system.captured("call_1")) == 1


def test_what_cannot_be_watched_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be watched"):
        watch("crm.db")
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(Invalid, match="outside of a transaction"):
            watch(connection)
