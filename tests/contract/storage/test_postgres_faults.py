"""Whatever happens to the database or to the way there: what was acknowledged is kept, whoever is not answered is told so, nobody waits
for a server that is gone, and the store goes on by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from stopwork.kernel.errors import Invalid, StopworkError, Unavailable
from stopwork.ledger.records import Call, Run, Scope
from stopwork.ledger.words import ScopeKind
from stopwork.storage.fsck import fsck
from stopwork.storage.postgres import ANSWERED_WITHIN_S
from stopwork.storage.postgres_connections import IDLE_WITHIN_S
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from tests.support.doomed import acknowledged, doomed, wait_for
from tests.support.history import history_faults
from tests.support.postgres import PostgresServer
from tests.support.proxy import Proxy
from tests.support.replicas import Replica, hammer_database
from tests.support.told import recording, run_started

RECOVERS_WITHIN_S = 20.0


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of its own, to be killed."""
    with PostgresServer.started() as server:
        yield server


def written_again(store: Store, run: str) -> int:
    """Write until it succeeds, and answer how often it was refused."""
    refused, end = 0, time.monotonic() + RECOVERS_WITHIN_S
    while True:
        try:
            store.write(recording(run_started(run)))
        except Unavailable:
            refused += 1
            assert time.monotonic() < end, "the store does not recover"
            time.sleep(0.05)
        else:
            return refused


def test_a_database_that_is_killed_is_unavailable_until_it_is_back(mortal: PostgresServer) -> None:
    with Store.open(mortal.database()) as store:
        store.write(recording(run_started("before")))
        mortal.kill()
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                store.write(recording(run_started("never")))
            assert caught.value.hint
        with pytest.raises(Unavailable):
            store.read(lambda view: view.count(Run))
        mortal.start()
        written_again(store, "after")
        assert store.read(lambda view: [run.id for run in view.each(Run)]) == ["after", "before"]
        assert fsck(store).clean


def test_what_was_acknowledged_survives_a_database_that_is_killed_under_load(mortal: PostgresServer) -> None:
    told: list[str] = []
    with Store.open(mortal.database()) as store:

        def write(thread: int) -> None:
            for n in range(10_000):
                try:
                    store.write(recording(run_started(f"run_{thread}_{n}")))
                except Unavailable:
                    return
                told.append(f"run_{thread}_{n}")

        threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(6)]
        for thread in threads:
            thread.start()
        store.wait_beyond(100, timeout_s=10)
        mortal.kill()
        for thread in threads:
            thread.join(30)
        mortal.start()
        written_again(store, "after")
        assert set(told) <= {run.id for run in store.read(lambda view: list(view.each(Run)))}
        assert fsck(store).clean


def test_a_connection_that_is_lost_takes_its_transaction_along_and_nothing_else(
    postgres: PostgresServer,
) -> None:
    location = postgres.database()
    with Store.open(location) as store:

        def lose(tx: Tx) -> None:
            tx.record(run_started("lost"))
            pid = tx.execute(sa.text("SELECT pg_backend_pid()")).scalar()
            with psycopg.connect(location, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
            tx.record(run_started("lost too"))

        with pytest.raises(Unavailable):
            store.write(lose)
        assert store.write(recording(run_started("kept"))).seq == 1
        assert store.read(lambda view: [run.id for run in view.each(Run)]) == ["kept"]


def test_a_server_that_is_suspended_in_a_transaction_does_not_hold_up_a_pause(
    postgres: PostgresServer,
) -> None:
    entered, woken = threading.Event(), threading.Event()

    def suspended(tx: Tx) -> None:
        tx.record(run_started("suspended"))
        entered.set()
        assert woken.wait(60)

    with Replica.several(2, partial(Replica.open, postgres.database())) as (first, second):
        future = first.store.submit(suspended)
        assert entered.wait(5)
        second.pause(Scope(kind=ScopeKind.EVERYTHING))
        assert not future.done(), "the pause did not wait until the other server goes on"
        woken.set()
        with pytest.raises(Unavailable):
            future.result(10)
        assert second.store.read(lambda view: view.get(Run, "suspended")) is None


def test_work_that_ignores_an_error_of_the_database_is_not_taken_for_done(postgres: PostgresServer) -> None:
    def ignore(tx: Tx) -> str:
        tx.record(run_started("run-1"))
        try:
            tx.execute(sa.text("SELECT * FROM no_such_table"))
        except sa.exc.DBAPIError:
            return "done, it seems"
        return "done"

    with Store.open(postgres.database()) as store:
        with pytest.raises(StopworkError):
            store.write(ignore)
        assert store.read(lambda view: view.get(Run, "run-1")) is None


def test_text_that_the_database_cannot_hold_is_refused_as_input(postgres: PostgresServer) -> None:
    with Store.open(postgres.database()) as store:
        with pytest.raises(Invalid):
            store.write(recording(run_started("run\x00")))
        assert store.write(recording(run_started("r" * 2_000))).seq == 1


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://stopwork:hunter2@127.0.0.1:1/stopwork",
        "postgresql://stopwork:hunter2@/no_such_database?host={folder}",
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    postgres: PostgresServer, address: str
) -> None:
    with pytest.raises(Unavailable) as caught:
        Store.open(address.format(folder=postgres.socket.parent))
    assert "hunter2" not in str(caught.value)
    assert caught.value.hint


def test_servers_that_start_together_on_an_empty_database_agree_on_its_schema(
    postgres: PostgresServer,
) -> None:
    location = postgres.empty_database()
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(Store.open(location))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(opened) == 4
    for n, store in enumerate(opened, start=1):
        assert store.write(recording(run_started(f"run-{n}"))).seq == n
        store.close()


def test_a_server_that_is_killed_leaves_one_history_and_the_other_goes_on(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    location = postgres.database()
    with Replica.several(1, partial(Replica.open, location)) as (other,):
        other.apply()
        took_s = []
        for round_ in range(3):
            known = len(acknowledged(tmp_path))
            with doomed(hammer_database, tmp_path, location, f"{round_}") as process:
                wait_for(lambda known=known: len(acknowledged(tmp_path)) > known + 20, process)  # type: ignore[misc]
                process.kill()
                process.join(10)
            began = time.monotonic()
            other.lift(other.pause(Scope(kind=ScopeKind.EVERYTHING)))
            took_s.append(time.monotonic() - began)
        # A busy machine may keep one of them waiting; a transaction that is left behind would each of them.
        assert min(took_s) < IDLE_WITHIN_S - 1
        there = other.store.read(lambda view: {call.id for call in view.each(Call)})
        assert set(acknowledged(tmp_path)) <= there
        assert other.store.read(history_faults) == []
        assert fsck(other.store).clean


def test_connections_that_are_dropped_are_made_again(postgres: PostgresServer) -> None:
    with Proxy(postgres.socket) as proxy, Store.open(through(postgres, proxy)) as store:
        for round_ in range(3):
            assert store.write(recording(run_started(f"run-{round_}"))).seq == round_ * 2 + 1
            assert store.read(lambda view: view.count(Run)) == round_ * 2 + 1
            proxy.drop()
            written_again(store, f"again-{round_}")
        assert fsck(store).clean


@pytest.mark.slow
def test_a_server_that_is_cut_off_is_told_so_and_holds_nobody_up(postgres: PostgresServer) -> None:
    location = postgres.database()
    with (
        Proxy(postgres.socket) as proxy,
        Replica.several(1, partial(Replica.open, location)) as (near,),
        Replica.several(1, partial(Replica.open, through(postgres, proxy, location))) as (far,),
    ):
        far.store.write(recording(run_started("run-0")))

        stalled = threading.Event()

        def stall(tx: Tx) -> None:
            tx.record(run_started("stalled"))
            proxy.stall()
            stalled.set()

        future = far.store.submit(stall)
        assert stalled.wait(10)
        near.pause(Scope(kind=ScopeKind.EVERYTHING))
        assert not future.done(), "the pause did not wait until the other server gave up"
        with pytest.raises(Unavailable):
            future.result(ANSWERED_WITHIN_S + 5)
        proxy.go_on()
        written_again(far.store, "after")
        assert near.store.read(lambda view: view.get(Run, "stalled")) is None
        assert fsck(near.store).clean


def through(server: PostgresServer, proxy: Proxy, location: str | None = None) -> str:
    """Answer the address of a database by way of the proxy."""
    name = sa.make_url(location or server.database()).database
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
