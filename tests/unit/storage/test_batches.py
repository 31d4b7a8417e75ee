"""Contract of a batch on SQLite: jobs that share a commit stand on each other, whatever of it is in the tables already; one that fails leaves
no trace, in the tables or in what the writer remembers; and what cannot be written takes nothing of its neighbours with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Internal, Invalid, Unavailable
from stopwork.ledger.records import Hold, Run, Step
from stopwork.ledger.words import RunStatus
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from stopwork.storage.tables import TABLES, heartbeat, micros
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from tests.support.told import START, held, recording, run_finished, run_started, stepped

Work = Callable[[Tx], Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "test.db", clock=ManualClock(START)) as opened:
        opened.write(recording(run_started("run_1")))
        yield opened


@contextmanager
def gathered(store: Store) -> Iterator[None]:
    """Keep the writer waiting, so that everything that is submitted in the block shares a commit."""
    entered, released = threading.Event(), threading.Event()

    def wait(_tx: Tx) -> None:
        entered.set()
        released.wait(10)

    gate = store.submit(wait)
    entered.wait(10)
    try:
        yield
    finally:
        released.set()
        gate.exception(10)  # a batch that is refused as a whole takes it along


def together(store: Store, *jobs: Work) -> list[Future[Any]]:
    """Run the jobs in one commit."""
    with gathered(store):
        return [store.submit(job) for job in jobs]


def spend(tokens: int, step: str = "") -> Work:
    """A job that adds to what a run has spent and answers what it found before."""

    def work(tx: Tx) -> int:
        before = tx.need(Run, "run_1").tokens
        tx.record(stepped(step or f"step_{tokens}", "run_1", tokens=tokens))
        return before

    return work


def count_steps(tx: Tx) -> None:
    tx.count(Step)


def look_at_journal(tx: Tx) -> None:
    tx.last_seq()


def write_elsewhere(tx: Tx) -> None:
    tx.execute(sa.insert(heartbeat).values(point="point_1", seen_at=tx.now, epoch=1))


def nothing(_tx: Tx) -> None:
    pass


# --- failing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [nothing, count_steps, look_at_journal, write_elsewhere])
@pytest.mark.parametrize("late", [nothing, count_steps, look_at_journal])
def test_a_job_that_fails_between_two_others_leaves_no_trace(store: Store, early: Work, late: Work) -> None:
    def fail(tx: Tx) -> None:
        early(tx)
        spend(10)(tx)
        tx.record(held("hold_1"))
        assert tx.need(Run, "run_1").tokens == 11
        assert [hold.id for hold in tx.each(Hold, active=True)] == ["hold_1"]
        late(tx)
        spend(20)(tx)
        raise Invalid("this job is wrong")

    def look(tx: Tx) -> list[Hold]:
        return list(tx.each(Hold, active=True))

    first, wrong, last, seen = together(store, spend(1), fail, spend(100), look)

    with pytest.raises(Invalid, match="this job is wrong"):
        wrong.result(10)
    assert (first.result(10), last.result(10), seen.result(10)) == (0, 1, [])
    assert store.write(lambda tx: tx.need(Run, "run_1").tokens) == 101
    assert store.read(lambda view: (view.need(Run, "run_1").tokens, view.count(Step), view.count(Hold))) == (
        101,
        2,
        0,
    )
    assert store.read(lambda view: view.execute(sa.select(heartbeat)).all()) == []
    assert [entry.seq for entry in store.read(lambda view: view.entries())] == [1, 2, 3]
    assert fsck(store).clean


def test_a_full_disk_refuses_the_whole_batch_and_nothing_of_it_is_remembered(store: Store) -> None:
    def limit(pages: int) -> Work:
        return lambda tx: tx.execute(sa.text(f"PRAGMA max_page_count={pages}"))

    def large(tx: Tx) -> None:
        tx.record(stepped("step_large", "run_1", tokens=5, said="x" * 1_000_000))

    store.write(limit(store.write(lambda tx: tx.execute(sa.text("PRAGMA page_count")).scalar_one())))
    for future in together(store, spend(1), large, spend(2)):
        with pytest.raises(Unavailable, match="the disk is full"):
            future.result(10)
    assert store.refused is not None
    store.write(limit(2**30))
    assert store.write(spend(7)) == 0
    assert store.read(lambda view: view.need(Run, "run_1").tokens) == 7
    assert fsck(store).clean


def test_what_the_tables_do_not_take_is_refused_alone(store: Store) -> None:
    def behind_the_back(tx: Tx) -> None:
        """Make a row that the writer remembers not to be there."""
        assert tx.get(Run, "run_9") is None
        row = {"id": "run_9", "workflow": "renewals", "started_at": micros(START), "status": "running"}
        tx.execute(
            sa.text(
                "INSERT INTO run (id, workflow, started_at, status, trigger_id, record) "
                "VALUES (:id, :workflow, :started_at, :status, 'x', '{}')"
            ),
            [row],
        )

    def clean_up(tx: Tx) -> None:
        tx.execute(sa.delete(TABLES[Run]).where(TABLES[Run].c.id == "run_9"))

    store.write(behind_the_back)
    first, wrong, last = together(store, spend(1), recording(run_started("run_9")), spend(100))
    with pytest.raises(Internal, match="UNIQUE constraint failed"):
        wrong.result(10)
    assert (first.result(10), last.result(10)) == (0, 1)
    assert store.refused is None
    store.write(clean_up)
    assert store.write(recording(run_started("run_9"))).seq == 4
    assert fsck(store).clean


# --- what is there already -----------------------------------------------------------------------------


def test_what_is_made_twice_is_found_in_the_batch_and_in_the_tables(store: Store, tmp_path: Path) -> None:
    made, again = together(store, recording(run_started("run_2")), recording(run_started("run_2")))
    assert made.result(10).seq == 2
    with pytest.raises(Conflict, match="run 'run_2' exists already"):
        again.result(10)
    store.close()
    with Store.open(tmp_path / "test.db", clock=ManualClock(START)) as opened:  # one that remembers nothing
        with pytest.raises(Conflict, match="run 'run_2' exists already"):
            opened.write(recording(run_started("run_2")))
        assert fsck(opened).clean


def test_what_is_made_and_changed_before_it_is_written_is_written_whole(store: Store) -> None:
    both = recording(run_started("run_2"), run_finished("run_2"))
    for future in together(store, both, recording(run_started("run_3")), recording(run_finished("run_3"))):
        future.result(10)
    ended = store.read(lambda view: view.find(Run, limit=5, workflow="renewals", status=RunStatus.SUCCEEDED))
    assert [run.id for run in ended] == ["run_2", "run_3"]
    assert fsck(store).clean


# --- whatever is done together --------------------------------------------------------------------------


class Wrong(Exception):
    """What a job of a generated story fails with."""


class Teller:
    """Jobs about one run and one tool: each knows what it has to find, from what was done before it and what it does itself."""

    def __init__(self, n: int) -> None:
        self.run, self.tool = f"run_{n}0", f"tool_{n}"
        self.tokens = self.holds = 0
        self._numbers = iter(range(1_000))

    def job(self, deeds: list[str], *, fails: bool) -> Work:
        def work(tx: Tx) -> None:
            before = self.tokens, self.holds
            try:
                for deed in deeds:
                    getattr(self, deed)(tx, f"{self.run}_{next(self._numbers)}")
                    assert tx.need(Run, self.run).tokens == self.tokens
                    assert len(self.held(tx)) == self.holds
                if fails:
                    raise Wrong
            except BaseException:
                self.tokens, self.holds = before
                raise

        return work

    def held(self, view: View) -> list[Hold]:
        return [hold for hold in view.each(Hold, active=True) if hold.scope.name == self.tool]

    def spend(self, tx: Tx, name: str) -> None:
        tx.record(stepped(name, self.run, tokens=3))
        self.tokens += 3

    def hold(self, tx: Tx, name: str) -> None:
        tx.record(held(name, tool=self.tool))
        self.holds += 1

    def start(self, tx: Tx, name: str) -> None:
        tx.record(run_started(name))

    def count(self, tx: Tx, _name: str) -> None:
        tx.count(Step)

    def read_journal(self, tx: Tx, _name: str) -> None:
        assert tx.entries(after=tx.last_seq()) == []

    def write_elsewhere(self, tx: Tx, name: str) -> None:
        tx.execute(sa.insert(heartbeat).values(point=name, seen_at=tx.now, epoch=1))


deeds = st.sampled_from(["spend", "hold", "start", "count", "read_journal", "write_elsewhere"])
jobs = st.tuples(st.lists(deeds, max_size=4), st.booleans())
stories = st.lists(st.lists(jobs, max_size=5), max_size=3)


def test_the_writer_remembers_what_the_tables_hold(tmp_path: Path) -> None:
    with Store.open(tmp_path / "test.db", clock=ManualClock(START)) as store:
        tellers = map(Teller, range(1_000))

        @settings(max_examples=60, deadline=None)
        @given(stories)
        def go_through(story: list[list[tuple[list[str], bool]]]) -> None:
            teller = next(tellers)
            store.write(recording(run_started(teller.run)))
            for batch in story:
                futures = together(store, *(teller.job(todo, fails=fails) for todo, fails in batch))
                failed = [isinstance(future.exception(10), Wrong) for future in futures]
                assert failed == [fails for _, fails in batch]
                assert [
                    future.exception() for future, fails in zip(futures, failed, strict=True) if not fails
                ] == [None] * failed.count(False)
            run = store.read(lambda view: view.need(Run, teller.run))
            assert (run.tokens, len(store.read(teller.held))) == (teller.tokens, teller.holds)

        go_through()
        remembered = store.write(lambda tx: [tx.get(Run, run.id) for run in tx.each(Run)])
        assert remembered == store.read(lambda view: list(view.each(Run)))
        assert fsck(store).clean
