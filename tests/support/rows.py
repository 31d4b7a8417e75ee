"""A database that an agent works on, and two hundred pieces of work in it of every kind that changes rows in a way hard to follow.

What the database captured for each is held against a full comparison of all tables.
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
from msgspec import Struct

from stopwork.kernel.calling import calling
from stopwork.kernel.canonical import plain, revive
from stopwork.ledger.records import Image
from stopwork.systems.capture import attributed, watch
from stopwork.systems.sql import SqlSystem, Table

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
    """CREATE TRIGGER orphaned BEFORE INSERT ON task WHEN NEW.id >= 500000 BEGIN
       UPDATE task SET account = NULL WHERE id = (SELECT max(id) FROM task WHERE id < 500000); END""",
)
POSTGRES: Final = (
    """CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO audit VALUES ('account ' || NEW.id, 1); UPDATE audit SET count = count + 1 WHERE what = 'all';
       RETURN NULL; END $$""",
    "CREATE TRIGGER noted AFTER UPDATE OF name ON account FOR EACH ROW EXECUTE FUNCTION noted()",
)

Row = tuple[Any, ...]


class World:
    """A database with two connections of the agent, which takes turns with them, a person's, and the system that sees it."""

    def __init__(self, url: str, connect: Callable[[], Any]) -> None:
        self.url = url
        self.agent, self._resting, self.person = connect(), connect(), connect()
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
            watch(self._resting)

    def take_turns(self) -> None:
        """Let the agent go on with its other connection."""
        self.agent, self._resting = self._resting, self.agent

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
        for connection in (self.agent, self._resting, self.person):
            connection.close()


@contextmanager
def sqlite_world(path: Path) -> Iterator[World]:
    """Open a world in a new SQLite file."""

    def connect() -> Any:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    with closing(World(str(path), connect)) as world:
        yield world


@contextmanager
def postgres_world(url: str) -> Iterator[World]:
    """Open a world in an empty PostgreSQL database."""
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    with closing(World(address, lambda: psycopg.connect(url, autocommit=True))) as world:
        yield world


def spelled(value: Any) -> str:
    """Answer a value so that two are spelled alike only if they are the same."""
    return json.dumps(plain(value), sort_keys=True)


class Judged(Struct, frozen=True):
    """One piece of work, how many rows were laid to its call, and what of that is not as the tables show it."""

    kind: str
    rows: dict[str, int]
    wrong: tuple[str, ...]


def judged(world: World, pieces: Pieces, call: str) -> Judged:
    """Have a piece of work done for a call, and hold what was captured against all tables before and after."""
    before = world.rows()
    with world.laid_to(call):
        kind = pieces.work(world)
    world.take_turns()
    after = world.rows()
    with calling("call_other"):
        found = world.system.captured(call)
    rows: dict[str, int] = {}
    wrong: list[str] = []
    for table, columns in COLUMNS.items():
        pairs = [
            (_content(each.before, columns), _content(each.after, columns))
            for each in found
            if each.object.type == ("customer" if table == "account" else table)
        ]
        gone = Counter(row for row, _ in pairs if row is not None)
        come = Counter(row for _, row in pairs if row is not None)
        differs = (gone - come) != (before[table] - after[table]) or (come - gone) != (
            after[table] - before[table]
        )
        wrong += [f"{call}, {kind}, {table}"] if differs else []
        rows[table] = len(pairs)
    return Judged(kind, rows, tuple(wrong))


def _content(image: Image, columns: tuple[str, ...]) -> Row | None:
    if image == Image.absent():
        return None
    return tuple(spelled(revive(image.content[name])) for name in columns)


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
        "one of many fails",
        "composite key",
        "json",
        "binary",
    )

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._next = 0

    def work(self, world: World) -> str:
        """Do one piece of work and answer its kind."""
        kind = self._chance.choice(self.KINDS)
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
            case "composite key":
                self._task(world, self._account(world))
                world.run(
                    database, "UPDATE line SET note = 'a/b%', position = position + 100 WHERE position = 1"
                )
                world.run(database, "DELETE FROM line WHERE task % 3 = 0 AND position = 0")
            case "json":
                world.run(
                    database,
                    "UPDATE account SET data = ? WHERE id % 3 = 1",
                    '{"ü": [1.5, "\\u0000", {"deep": [null, true]}], "n": 12345678901234567890}'
                    if world.mark == "?"
                    else '{"ü": [1.5, {"deep": [null, true]}], "n": 12345678901234567890}',
                )
            case "binary":
                world.run(database, "UPDATE account SET raw = ? WHERE id % 4 = 1", b"\x00'\xff\x00")
                world.run(database, "UPDATE account SET raw = ? WHERE id % 4 = 2", b"")
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
            case "one of many fails":
                self._one_of_many_fails(world)
            case "savepoint":
                database.execute("SAVEPOINT one")
                world.run(database, "DELETE FROM line")
                database.execute("ROLLBACK TO one")
                self._account(world)
                world.run(database, 'INSERT INTO "odd name" VALUES (?, ?)', f"k{self._new()}", "it's")

    def _one_of_many_fails(self, world: World) -> None:
        """The last of three rows breaks a rule; the work goes on. What stays of the statement is each database's own matter."""
        task = self._task(world, self._account(world))
        values = [f"({self._new()}, NULL, 'u{self._next}')" for _ in range(2)] + [f"({task}, NULL, 'u')"]
        either = "OR FAIL " if world.mark == "?" else ""
        world.agent.execute("SAVEPOINT many")
        try:
            world.run(world.agent, f"INSERT {either}INTO task VALUES {', '.join(values)}")
        except (sqlite3.IntegrityError, psycopg.IntegrityError):
            if world.mark != "?":
                world.agent.execute("ROLLBACK TO many")
        world.run(world.agent, "UPDATE task SET title = title || '.' WHERE id = ?", task)

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
