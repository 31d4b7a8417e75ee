"""Kept connections are never in the way: another file or server is noticed, a failure leaves nothing behind, threads do not meet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.sql import SqlSystem, Table
from tests.support.postgres import PostgresServer

TABLES = {"account": Table(table="account", key=("id",))}
ACME = ObjectRef(system="crm", type="account", id="1")


def made(path: Path, name: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        connection.execute("INSERT INTO account VALUES (1, ?), (2, 'taken')", (name,))


@pytest.fixture
def crm(tmp_path: Path) -> SqlSystem:
    made(tmp_path / "crm.db", "Acme")
    return SqlSystem("crm", tmp_path / "crm.db", TABLES)


def test_a_file_put_in_place_of_another_is_the_one_that_is_read(crm: SqlSystem, tmp_path: Path) -> None:
    assert crm.read(ACME).content["name"] == "Acme"
    made(tmp_path / "restored.db", "Restored")
    (tmp_path / "restored.db").replace(tmp_path / "crm.db")
    assert crm.read(ACME).content["name"] == "Restored"
    (tmp_path / "crm.db").unlink()
    with pytest.raises(Unavailable):
        crm.read(ACME)


def test_a_new_column_is_seen(crm: SqlSystem, tmp_path: Path) -> None:
    before = crm.read(ACME)
    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        connection.execute("ALTER TABLE account ADD COLUMN plan TEXT DEFAULT 'gold'")
    assert crm.read(ACME).content == before.content | {"plan": "gold"}


def test_a_failure_leaves_no_lock_and_no_half_of_a_change(crm: SqlSystem, tmp_path: Path) -> None:
    now = crm.read(ACME)
    for _ in range(3):
        with pytest.raises(Conflict):
            crm.replace(ACME, now, Image.present({"id": 1, "name": "taken"}))
    with closing(sqlite3.connect(tmp_path / "crm.db", timeout=0)) as connection, connection:
        connection.execute("UPDATE account SET name = 'Acme Ltd' WHERE id = 1")
    assert crm.read(ACME).content["name"] == "Acme Ltd"


def test_threads_do_not_meet_on_a_connection(crm: SqlSystem) -> None:
    """Of many that replace what they have seen, each one that is told that it did has done so."""

    def rename(number: int) -> int:
        with suppress(Conflict):
            now = crm.read(ACME)
            crm.replace(ACME, now, Image.present({"id": 1, "name": f"{now.content['name']}.{number}"}))
            return 1
        return 0

    with ThreadPoolExecutor(8) as pool:
        done = sum(pool.map(rename, range(64)))
    assert done > 0
    assert crm.read(ACME).content["name"].count(".") == done


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.started() as server:
        yield server


def test_a_server_that_was_started_again_is_found(server: PostgresServer) -> None:
    url = server.empty_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO account VALUES (1, 'Acme')")
    crm = SqlSystem("crm", url.replace("postgresql://", "postgresql+psycopg://", 1), TABLES)
    seen = crm.read(ACME)
    server.kill()
    with pytest.raises(Unavailable):
        crm.read(ACME)
    server.start()
    # Just now the connection was alive: that it is not any more is found out once.
    with suppress(Unavailable):
        crm.read(ACME)
    assert crm.read(ACME) == seen
