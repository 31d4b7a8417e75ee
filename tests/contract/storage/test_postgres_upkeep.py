"""Contract of looking after a PostgreSQL database: a dump made while others write is one state that can be checked and gone on with, and
a check finds what somebody changed by hand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from stopwork.ledger.events import Entry
from stopwork.ledger.records import Run, Step
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from tests.support.postgres import PostgresServer
from tests.support.told import recording, run_started, stepped


def both(n: int) -> Callable[[Tx], Entry]:
    return recording(run_started(f"run_{n}"), stepped(f"step_{n}", f"run_{n}"))


@contextmanager
def busy(store: Store) -> Iterator[None]:
    """Let somebody write meanwhile."""
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            store.write(both(n))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        assert store.wait_beyond(10, timeout_s=10)
        yield
    finally:
        stop.set()
        writer.join(30)


def test_a_dump_made_while_others_write_is_one_state_to_go_on_with(postgres: PostgresServer) -> None:
    location = postgres.database()
    with Store.open(location) as store, busy(store):
        copy = postgres.copy(location)
    with Store.open(copy) as store:
        runs, steps = store.read(lambda view: (view.count(Run), view.count(Step)))
        assert runs == steps > 0
        assert fsck(store).clean
        before = store.last_seq
        assert store.write(both(1_000_000)).seq == before + 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE journal SET body = convert_to(replace(convert_from(body, 'UTF8'), 'run_2', 'run_9'), 'UTF8') WHERE seq = 3",
        "DELETE FROM journal WHERE seq = 3",
        "UPDATE journal SET seq = 1000 WHERE seq = 3",
        "UPDATE run SET record = convert_to(replace(convert_from(record, 'UTF8'), 'running', 'failed'), 'UTF8') WHERE id = 'run_2'",
        "DELETE FROM step WHERE id = 'step_2'",
        "UPDATE journal_head SET seq = seq + 1",
    ],
)
def test_what_somebody_changed_by_hand_is_found(postgres: PostgresServer, change: str) -> None:
    location = postgres.database()
    with Store.open(location) as store:
        for n in range(1, 4):
            store.write(both(n))
        assert fsck(store).clean
        with psycopg.connect(location, autocommit=True) as by_hand:
            assert by_hand.execute(change).rowcount == 1
        assert not fsck(store).clean


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("CREATE RULE quiet AS ON DELETE TO hold DO INSTEAD NOTHING", "rule quiet"),
        ("CREATE VIEW holds AS SELECT * FROM hold", "view holds"),
        (
            "CREATE TRIGGER quiet BEFORE UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "trigger quiet",
        ),
    ],
    ids=["a rule", "a view", "a trigger"],
)
def test_what_acts_by_itself_is_found(postgres: PostgresServer, change: str, where: str) -> None:
    location = postgres.database()
    with Store.open(location) as store:
        with psycopg.connect(location, autocommit=True) as by_hand:
            by_hand.execute(change)
        assert [fault.where for fault in fsck(store).faults] == [where]
