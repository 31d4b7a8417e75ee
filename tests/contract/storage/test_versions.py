"""Contract of servers of different versions: never do two of them use one database, and whoever is refused is told what to do."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from stopwork.kernel.errors import Conflict, StopworkError, Unavailable
from stopwork.ledger.records import Run
from stopwork.storage.fsck import fsck
from stopwork.storage.schema import HEAD, version_of
from stopwork.storage.store import Store, engine_of
from tests.support.databases import POSTGRESQL
from tests.support.postgres import PostgresServer
from tests.support.told import recording, run_started

EARLIER, LATER = "0005", "9999"
SOON_S = 10.0


def set_version(location: str, version: str) -> None:
    engine = engine_of(location if location.startswith(POSTGRESQL) else Path(location))
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


def test_a_database_of_a_later_version_is_refused(location: str) -> None:
    Store.open(location).close()
    set_version(location, LATER)
    with pytest.raises(Unavailable, match=f"has schema {LATER}, this version knows up to {HEAD}") as caught:
        Store.open(location)
    assert "newer" in caught.value.hint


def test_an_empty_database_is_brought_to_the_newest_schema_and_checked(postgres: PostgresServer) -> None:
    location = postgres.empty_database()
    with Store.open(location) as store:
        store.write(recording(run_started("run-1")))
        assert fsck(store).clean
    assert version_of(engine_of(location)) == HEAD


def test_a_database_that_servers_of_an_earlier_version_use_is_not_migrated(postgres: PostgresServer) -> None:
    location = postgres.database()
    with Store.open(location) as running:
        running.write(recording(run_started("run-1")))
        wait_until_in_use(location)
        # As it looks to a server of the next version, which knows one migration more.
        set_version(location, EARLIER)
        with pytest.raises(Conflict, match=r"servers of the earlier version use it") as caught:
            Store.open(location)
        assert "Stop all of them" in caught.value.hint
        set_version(location, HEAD)
        assert running.write(recording(run_started("run-2"))).seq == 2


def test_a_server_whose_database_was_migrated_while_it_was_cut_off_writes_no_more(
    postgres: PostgresServer,
) -> None:
    location = postgres.database()
    with Store.open(location) as old:
        old.write(recording(run_started("run-1")))
        wait_until_in_use(location)
        set_version(location, LATER)
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as other:
            name = sa.make_url(location).database
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        refused = refusal(old)
        assert f"schema {LATER}" in refused.detail
        assert refused.hint
        set_version(location, HEAD)
    with Store.open(location) as store:
        assert store.read(lambda view: view.count(Run)) >= 1


def refusal(store: Store) -> StopworkError:
    """Write until it is refused because of the schema."""
    end = time.monotonic() + SOON_S
    while True:
        try:
            store.write(recording(run_started(f"run-{time.monotonic_ns()}")))
        except StopworkError as error:
            if "schema" in error.detail:
                return error
        assert time.monotonic() < end, "it goes on writing"
        time.sleep(0.05)


def wait_until_in_use(location: str) -> None:
    """Wait until the server's follower says that the database is in use."""
    end = time.monotonic() + SOON_S
    with psycopg.connect(location, autocommit=True) as other:
        while not other.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone():
            assert time.monotonic() < end
            time.sleep(0.01)
