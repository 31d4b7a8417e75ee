"""On SQLite, rows that `REPLACE` throws out are laid to the call, the application's own triggers run as they always did, and nothing is made up.

Held against a full comparison of all tables, over statements that replace, ignore, update or fail where a row stands in the way.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from stopwork.kernel.calling import calling
from stopwork.ledger.words import Operation
from stopwork.systems.capture import watch
from stopwork.systems.sql import SqlSystem

TABLES: Final = {
    "person": ("id", "name", "mail", "team", "seen"),
    "seat": ("hall", "number", "guest"),
    "part": ("id", "above", "title"),
    "note": ("text",),
    "price": ("id", "sku", "current", "was"),
    "node": ("id", "above", "title"),
}
SCHEMA: Final = """
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, mail TEXT, team TEXT DEFAULT 'a', seen INTEGER DEFAULT 0);
CREATE UNIQUE INDEX names ON person (name COLLATE NOCASE);
CREATE UNIQUE INDEX mails ON person (mail, team) WHERE team <> 'z';
CREATE TRIGGER touched AFTER UPDATE ON person BEGIN UPDATE person SET seen = seen + 1 WHERE id = NEW.id; END;
CREATE TRIGGER told AFTER DELETE ON person BEGIN INSERT INTO note VALUES ('gone ' || OLD.id); END;
CREATE TABLE seat (hall TEXT, number INTEGER, guest TEXT UNIQUE ON CONFLICT REPLACE, PRIMARY KEY (hall, number)) WITHOUT ROWID;
CREATE TABLE part (id INTEGER PRIMARY KEY, above INTEGER REFERENCES part ON DELETE CASCADE, title TEXT);
CREATE TABLE note (text);
CREATE TABLE price (id INTEGER PRIMARY KEY, sku TEXT UNIQUE, current INTEGER, was TEXT);
CREATE TRIGGER one BEFORE INSERT ON price WHEN NEW.current = 1 BEGIN
    UPDATE price SET current = 0, was = was || '.' WHERE current = 1; END;
CREATE TRIGGER another BEFORE INSERT ON price WHEN NEW.current = 2 BEGIN
    INSERT OR REPLACE INTO price VALUES (NULL, 'copy of ' || NEW.sku, 0, ''); END;
CREATE TRIGGER third AFTER INSERT ON price WHEN NEW.current = 3 BEGIN
    UPDATE OR REPLACE price SET id = id + 1, was = was || '!' WHERE id > NEW.id; END;
CREATE TABLE node (id INTEGER PRIMARY KEY, above INTEGER REFERENCES node ON DELETE SET NULL, title TEXT UNIQUE);
"""
STATEMENTS: Final = (
    "INSERT OR REPLACE INTO person (id, name, mail, team) VALUES (:i, :a, :b, :t)",
    "INSERT OR REPLACE INTO person (name, mail, team) VALUES (:a, :b, :t)",
    "INSERT OR IGNORE INTO person (id, name, mail) VALUES (:i, :a, :b)",
    "INSERT OR FAIL INTO person (name, mail) VALUES (:b, :a), (:a, :b)",
    "INSERT INTO person (id, name) VALUES (:i, :a) ON CONFLICT DO UPDATE SET mail = excluded.name",
    "UPDATE OR REPLACE person SET id = :j WHERE id = :i",
    "UPDATE OR REPLACE person SET name = :a, team = :t WHERE id >= :i",
    "UPDATE OR IGNORE person SET name = :b WHERE id < :i",
    "DELETE FROM person WHERE id = :i",
    "INSERT INTO seat VALUES (:t, :i, :a)",
    "INSERT OR REPLACE INTO seat VALUES (:t, :i, :a)",
    "UPDATE OR REPLACE seat SET number = :j WHERE number = :i",
    "INSERT OR REPLACE INTO part VALUES (:i, NULL, :a)",
    "INSERT INTO part (above, title) SELECT id, :b FROM part WHERE id <= :j LIMIT 3",
    "DELETE FROM part WHERE id = :i",
    "INSERT OR REPLACE INTO price VALUES (:i, :b, :c, '')",
    "INSERT OR REPLACE INTO price VALUES (NULL, :b, :c, ''), (:j, :a, :c, '')",
    "INSERT OR IGNORE INTO price VALUES (:i, :b, :c, '')",
    "UPDATE OR REPLACE price SET sku = :b WHERE id = :j",
    "DELETE FROM price WHERE id = :i",
    "INSERT OR REPLACE INTO node VALUES (:i, (SELECT id FROM node WHERE id < :j), :b)",
    "UPDATE OR REPLACE node SET title = :a WHERE id <= :j",
)


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, SqlSystem]]:
    with closing(sqlite3.connect(tmp_path / "crm.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(SCHEMA)
        watch(connection)
        yield connection, SqlSystem("crm", tmp_path / "crm.db", {}, capture=True)


def rows(connection: sqlite3.Connection) -> dict[str, Counter[Any]]:
    return {
        table: Counter(connection.execute(f"SELECT {', '.join(columns)} FROM {table}"))
        for table, columns in TABLES.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_whatever_stands_in_the_way_of_a_row(crm: tuple[sqlite3.Connection, SqlSystem], seed: int) -> None:
    connection, system = crm
    chance = random.Random(seed)
    went = 0
    for number in range(200):
        values = {
            "i": chance.randint(1, 6),
            "j": chance.randint(1, 6),
            "a": chance.choice(["ann", "Ann", "bob", "cy", None]),
            "b": chance.choice(["ann", "BOB", "dee", "cy"]),
            "t": chance.choice(["a", "b", "z"]),
            "c": chance.randint(0, 3),
        }
        statement = chance.choice(STATEMENTS)
        before = rows(connection)
        with calling(f"call_{number}"), suppress(sqlite3.IntegrityError):
            connection.execute(statement, values)
        after = rows(connection)
        gone: dict[str, Counter[Any]] = {table: Counter() for table in TABLES}
        come: dict[str, Counter[Any]] = {table: Counter() for table in TABLES}
        for seen in system.captured(f"call_{number}"):
            table = seen.object.type
            for image, side in ((seen.before, gone), (seen.after, come)):
                if image.content is not None:
                    side[table][tuple(image.content[column] for column in TABLES[table])] += 1
        for table in TABLES:
            why = f"{seed}, {number}: {statement} {values}, {table}"
            assert gone[table] - come[table] == before[table] - after[table], why
            assert come[table] - gone[table] == after[table] - before[table], why
            went += sum((before[table] - after[table]).values())
    assert went > 50


def test_a_trigger_that_changes_its_own_row_runs_as_it_does_without_a_watch(
    crm: tuple[sqlite3.Connection, SqlSystem],
) -> None:
    connection, system = crm
    connection.execute("INSERT INTO person (id, name) VALUES (1, 'ann')")
    with calling("call_1"):
        connection.execute("UPDATE person SET name = 'bob' WHERE id = 1")
    [seen] = system.captured("call_1")
    assert (seen.before.content["seen"], seen.after.content["seen"]) == (0, 1)


def test_a_row_that_is_replaced_is_found_although_a_trigger_changes_its_table_before(
    crm: tuple[sqlite3.Connection, SqlSystem],
) -> None:
    connection, system = crm
    connection.execute("INSERT INTO price VALUES (1, 'a', 0, ''), (2, 'b', 1, '')")
    with calling("call_1"):
        connection.execute("INSERT OR REPLACE INTO price VALUES (3, 'a', 1, '')")
    found = {seen.object.id: seen.operation for seen in system.captured("call_1")}
    assert found == {"1": Operation.DELETED, "2": Operation.MODIFIED, "3": Operation.CREATED}


def test_what_is_noted_for_rows_that_never_came_is_kept_no_longer_than_for_the_call(
    crm: tuple[sqlite3.Connection, SqlSystem],
) -> None:
    connection, _ = crm
    connection.execute("INSERT INTO price VALUES (1, 'a', 0, '')")
    for number in range(3):
        with calling(f"call_{number}"):
            connection.executemany(
                "INSERT OR IGNORE INTO price VALUES (?, 'a', 0, ?)", [(7, "one"), (8, "one"), (9, "other")]
            )
    assert connection.execute("SELECT count(*) FROM temp.stopwork_staged").fetchone() == (2,)
