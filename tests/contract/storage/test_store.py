"""Contract of the store, on every database: a write is answered once it is durable, alone or with others in one commit; a job that fails takes
nothing of its neighbours with it; a reader sees one moment; what is closed says so and leaves nobody waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Internal, Invalid, NotFound, StopworkError, Unavailable
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.events import name_of
from stopwork.ledger.records import Hold, Principal, Run, Step
from stopwork.ledger.words import PrincipalKind, RunStatus
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from tests.support.told import START, held, recording, run_finished, run_started, stepped

THREADS = 16
WRITES = 20


@pytest.fixture
def store(location: str) -> Iterator[Store]:
    with Store.open(location, clock=ManualClock(START), ids=CountingIds()) as opened:
        yield opened


def _nothing(_tx: Tx) -> None:
    return None


def count_runs(store: Store) -> int:
    return store.read(lambda view: view.count(Run))


class Gate:
    """A job that keeps the writer waiting until it is let go, so that other jobs gather behind it."""

    def __init__(self, store: Store) -> None:
        self._entered = threading.Event()
        self._released = threading.Event()
        self._done = store.submit(self._hold)
        self._entered.wait(10)

    def _hold(self, _tx: Tx) -> None:
        self._entered.set()
        self._released.wait(10)

    def open(self) -> None:
        self._released.set()
        self._done.result(10)


# --- writing -----------------------------------------------------------------------------------------


def test_many_threads_write_one_dense_journal(store: Store) -> None:
    def write(thread: int) -> None:
        for n in range(WRITES):
            store.write(recording(run_started(f"run_{thread}_{n}")))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(write, range(THREADS)))

    entries = store.read(lambda view: view.entries(limit=10_000))
    assert [entry.seq for entry in entries] == list(range(1, THREADS * WRITES + 1))
    assert count_runs(store) == THREADS * WRITES
    assert fsck(store).clean


def test_a_job_that_fails_leaves_the_others_of_its_batch(store: Store) -> None:
    def fail(tx: Tx) -> None:
        tx.record(run_started("run_never"))
        raise Invalid("this job is wrong")

    gate = Gate(store)
    before = store.submit(recording(run_started("run_before")))
    failed = store.submit(fail)
    after = store.submit(recording(run_started("run_after")))
    gate.open()

    with pytest.raises(Invalid, match="this job is wrong"):
        failed.result(10)
    assert [before.result(10).seq, after.result(10).seq] == [1, 2]
    assert store.read(lambda view: [run.id for run in view.each(Run)]) == ["run_after", "run_before"]
    assert fsck(store).clean


def test_a_wrong_statement_fails_alone_and_says_that_it_is_our_fault(store: Store) -> None:
    gate = Gate(store)
    wrong = [
        store.submit(lambda tx: tx.execute(sa.text("SELECT * FROM no_such_table"))),
        store.submit(
            lambda tx: tx.execute(
                sa.text("INSERT INTO journal (seq, at) VALUES (:seq, 1)"), [{"seq": object()}]
            )
        ),
    ]
    good = store.submit(recording(run_started("run_1")))
    gate.open()
    for future in wrong:
        with pytest.raises(Internal, match="a statement failed"):
            future.result(10)
    assert good.result(10).seq == 1


def test_an_event_that_cannot_be_applied_is_not_in_the_journal_even_where_its_error_is_caught(
    store: Store,
) -> None:
    store.write(recording(run_started("run_1")))

    def twice(tx: Tx) -> str:
        try:
            tx.record(run_started("run_1"))
        except Conflict:
            return "went on as if nothing had been"
        return "made the run twice"

    with pytest.raises(Conflict, match="run 'run_1' exists already"):
        store.write(twice)
    assert store.read(lambda view: len(view.entries())) == 1
    assert fsck(store).clean


def test_an_event_about_a_record_that_is_not_there_changes_nothing(store: Store) -> None:
    with pytest.raises(Internal, match="'run_9', which does not exist"):
        store.write(recording(run_finished("run_9")))
    assert store.read(lambda view: view.last_seq()) == 0


def test_a_transaction_sees_its_own_writes_one_time_and_its_actor(store: Store) -> None:
    kim = Principal(kind=PrincipalKind.PERSON, id="kim@acme.test")

    def work(tx: Tx) -> Run:
        tx.record(run_started("run_1"))
        tx.record(run_finished("run_1"))
        return tx.need(Run, "run_1")

    run = store.write(work, actor=kim)
    assert (run.status, run.by, run.started_at, run.finished_at) == (RunStatus.SUCCEEDED, kim, START, START)


def test_a_write_inside_a_write_is_refused(store: Store) -> None:
    with pytest.raises(Internal, match="inside a transaction"):
        store.write(lambda tx: store.write(lambda inner: inner.record(run_started("run_1"))))
    with pytest.raises(Internal, match="inside a transaction"):
        store.write(lambda _tx: store.close())
    assert count_runs(store) == 0


def test_the_writer_survives_every_kind_of_exception(store: Store) -> None:
    for error in (ValueError("plain"), KeyboardInterrupt(), SystemExit(1), Invalid("ours")):

        def fail(_tx: Tx, error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)):
            store.write(fail)
    assert store.write(recording(run_started("run_1"))).seq == 1


def test_a_listener_that_raises_harms_nobody(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[int] = []

    def fail(_seq: int) -> None:
        raise RuntimeError("this listener is broken")

    with store.listening(fail), store.listening(heard.append):
        store.write(recording(run_started("run_1")))
        store.write(recording(run_started("run_2")))
    assert heard == [1, 2]
    assert "a listener failed" in caplog.text


def test_the_newest_entry_is_known_as_soon_as_its_write_is_answered(store: Store) -> None:
    for n in range(1, 50):
        store.write(recording(run_started(f"run_{n}")))
        assert store.last_seq == n


def test_a_write_that_is_cancelled_while_it_waits_is_never_done(store: Store) -> None:
    gate = Gate(store)
    unwanted = store.submit(recording(run_started("run_unwanted")))
    assert unwanted.cancel()
    gate.open()
    assert store.write(recording(run_started("run_1"))).seq == 1
    assert count_runs(store) == 1


def test_following_waits_for_what_is_new(store: Store) -> None:
    assert not store.wait_beyond(0, timeout_s=0.01)
    store.write(recording(run_started("run_1")))
    assert store.wait_beyond(0, timeout_s=0.01)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.wait_beyond, 1, 10)
        store.write(recording(run_started("run_2")))
        assert waiting.result(10)


# --- reading -----------------------------------------------------------------------------------------


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(store: Store) -> None:
    store.write(recording(run_started("run_1")))

    def look(view: View) -> tuple[int, int, int]:
        first = view.count(Run)
        store.write(recording(run_started("run_2")))
        return first, view.count(Run), view.last_seq()

    assert store.read(look) == (1, 1, 1)
    assert count_runs(store) == 2


def test_a_reader_never_sees_half_of_a_transaction(store: Store) -> None:
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def look() -> None:
        while not stop.is_set():
            seen.append(store.read(lambda view: (view.count(Run), view.count(Step))))

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for n in range(100):
            store.write(recording(run_started(f"run_{n}"), stepped(f"step_{n}", f"run_{n}")))
        stop.set()
        for future in looking:
            future.result(10)
    assert seen
    assert all(runs == steps for runs, steps in seen)


def test_a_read_inside_a_read_has_a_moment_of_its_own(store: Store) -> None:
    assert store.read(lambda outer: (outer.last_seq(), store.read(lambda inner: inner.last_seq()))) == (0, 0)


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StopworkError):
        store.read(lambda view: view.execute(sa.text("DELETE FROM journal")))
    assert store.write(recording(run_started("run_1"))).seq == 1


def test_a_reader_whose_work_raises_leaves_no_transaction_behind(store: Store) -> None:
    with pytest.raises(NotFound):
        store.read(lambda view: view.need(Run, "run_9"))
    store.write(recording(run_started("run_1")))
    assert count_runs(store) == 1


# --- closing -----------------------------------------------------------------------------------------


def test_closing_finishes_what_was_accepted(location: str) -> None:
    store = Store.open(location)
    gate = Gate(store)
    accepted = [store.submit(recording(run_started(f"run_{n}"))) for n in range(300)]
    gate.open()
    store.close()
    assert all(future.done() for future in accepted)
    with Store.open(location) as again:
        assert count_runs(again) == 300


def test_a_closed_store_refuses_writes_and_reads(location: str) -> None:
    store = Store.open(location)
    assert count_runs(store) == 0
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closed"):
        store.write(recording(run_started("run_1")))
    with pytest.raises(Unavailable, match="closed"):
        count_runs(store)


def test_nobody_waits_for_ever_for_a_store_that_is_closed_meanwhile(location: str) -> None:
    store = Store.open(location)
    answered: list[str] = []

    def write(thread: int) -> None:
        for n in range(10_000):
            try:
                store.submit(recording(run_started(f"run_{thread}_{n}"))).result(10)
            except Unavailable as error:
                answered.append(error.detail)
                return

    threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    store.wait_beyond(50, timeout_s=10)
    store.close()
    for thread in threads:
        thread.join(10)
    assert answered == ["the store is closed"] * len(threads)


def test_the_journal_survives_closing_and_opening(location: str) -> None:
    with Store.open(location, clock=ManualClock(START)) as store:
        store.write(recording(held("hold_1")))
    with Store.open(location, clock=ManualClock(START)) as store:
        assert store.last_seq == 1
        (entry,) = store.read(lambda view: view.entries())
        assert (name_of(entry.event), entry.at) == ("hold.set", START)
        assert store.read(lambda view: view.need(Hold, "hold_1")).active
        assert store.write(recording(held("hold_2", epoch=2))).seq == 2
