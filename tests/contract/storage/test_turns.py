"""Contract of servers that take turns on PostgreSQL: whoever has the turn decides by what all others have committed, whatever it remembers
and whatever it took for new; what shares a commit with work that fails is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from stopwork.control import protocol as p
from stopwork.kernel.errors import Conflict, Internal, Unavailable
from stopwork.ledger.records import Call, Hold, Run, Scope
from stopwork.ledger.words import Outcome, ScopeKind, Verdict
from stopwork.operations import desk
from stopwork.storage.fsck import fsck
from stopwork.storage.postgres import MAX_CAUGHT_UP
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from tests.support.history import history_faults
from tests.support.office import AGENT
from tests.support.postgres import PostgresServer
from tests.support.replicas import SESSION, TOOL, Replica
from tests.support.told import held, recording, run_finished, run_started


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[list[Replica]]:
    with Replica.several(2, partial(Replica.open, postgres.database())) as opened:
        yield opened


def in_one_commit(store: Store, works: Sequence[Any]) -> list[Future[Any]]:
    """Let all of these wait behind one job, so that they are committed together."""
    released = threading.Event()
    first = store.submit(lambda _tx: released.wait(10))
    waiting = [store.submit(work, actor=AGENT) for work in works]
    released.set()
    first.result(10)
    return waiting


def asking(replica: Replica, run: str, call: str) -> Any:
    request = p.AskPermit(call=call, run=run, tool=TOOL, args={"title": call}, session=SESSION)
    return partial(desk.answer, manifests=replica.manifests, request=request)


@pytest.mark.parametrize("behind", [2, MAX_CAUGHT_UP, MAX_CAUGHT_UP + 1])
def test_what_another_server_has_changed_is_not_remembered(pair: list[Replica], behind: int) -> None:
    one, other = (replica.store for replica in pair)
    one.write(recording(run_started("run-1")))
    assert one.write(lambda tx: (tx.need(Run, "run-1").finished_at, list(tx.each(Hold)))) == (None, [])
    other.write(recording(*(run_started(f"run-{n}") for n in range(2, behind + 1))))
    other.write(recording(run_finished("run-1"), held("hold-1")))

    run, holds = one.write(lambda tx: (tx.need(Run, "run-1"), list(tx.each(Hold))))
    assert run.finished_at is not None
    assert [hold.id for hold in holds] == ["hold-1"]


def test_a_call_that_was_taken_for_new_and_is_not_is_answered_as_it_is(pair: list[Replica]) -> None:
    """Asked by the server that has not seen it, in a commit with others: the guess is wrong, and nobody is told what follows from it."""
    pair[0].apply()
    run = pair[0].begin("monday")
    for call in ("done", "begun"):
        assert pair[0].ask(run, TOOL, call, title=call).verdict is Verdict.ALLOW
    pair[0].finish("done", Outcome.SUCCEEDED)

    works = [asking(pair[1], run, call) for call in ("new-1", "done", "begun", "new-2")]
    new, done, begun, newer = in_one_commit(pair[1].store, works)
    with pytest.raises(Conflict, match="has ended"):
        done.result(10)
    assert [each.result(10).verdict for each in (new, begun, newer)] == [Verdict.ALLOW] * 3
    assert pair[0].store.read(lambda view: view.count(Call)) == 4
    assert pair[0].store.read(history_faults) == []
    assert fsck(pair[0].store).clean


def test_what_is_made_twice_in_one_commit_or_before_it_is_refused_once_each(pair: list[Replica]) -> None:
    store = pair[1].store
    pair[0].store.write(recording(run_started("there")))
    works = [recording(run_started(run)) for run in ("new", "there", "new", "other")]
    answers = in_one_commit(store, works)
    refused = [each.exception(10) for each in answers]
    assert [type(each) for each in refused] == [type(None), Conflict, Conflict, type(None)]
    assert store.read(lambda view: [run.id for run in view.each(Run)]) == ["new", "other", "there"]
    assert fsck(store).clean


def look(tx: Tx) -> None:
    """Write, look at the journal and at a table, and fail."""
    tx.record(run_started("never"))
    assert tx.last_seq() > 0
    assert tx.count(Run, status="running") > 0
    raise ValueError("and then it fails")


def err(tx: Tx) -> None:
    """Ask what the database refuses."""
    tx.record(run_started("never"))
    tx.execute(sa.text("SELECT * FROM no_such_table"))


def err_and_go_on(tx: Tx) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        err(tx)


@pytest.mark.parametrize(("fails", "error"), [(look, ValueError), (err, Internal), (err_and_go_on, Internal)])
def test_work_that_fails_after_it_has_asked_the_database_takes_nothing_along(
    pair: list[Replica], fails: Any, error: type[Exception]
) -> None:
    store = pair[0].store
    works = [recording(run_started("first")), fails, recording(run_started("last")), View.last_seq]
    first, failed, last, seen = in_one_commit(store, works)
    with pytest.raises(error):
        failed.result(10)
    assert (first.result(10).seq, last.result(10).seq, seen.result(10)) == (1, 2, 2)
    assert fsck(store).clean


def test_what_the_tables_do_not_take_is_refused_alone(pair: list[Replica]) -> None:
    works = [recording(run_started(run)) for run in ("first", "run\x00", "last")]
    first, failed, last = in_one_commit(pair[0].store, works)
    assert failed.exception(10) is not None
    assert {first.result(10).seq, last.result(10).seq} == {1, 2}
    assert fsck(pair[0].store).clean


def test_a_pause_does_not_wait_for_all_that_waits(pair: list[Replica]) -> None:
    pair[0].apply()
    run = pair[0].begin("monday")
    released = threading.Event()
    store = pair[0].store
    store.submit(lambda _tx: released.wait(10))
    waiting = [store.submit(asking(pair[0], run, f"call-{n}"), actor=AGENT) for n in range(1_000)]
    threading.Timer(0.2, released.set).start()
    pair[0].pause(Scope(kind=ScopeKind.EVERYTHING))
    assert sum(each.done() for each in waiting) < 500
    assert all(each.result(30) for each in waiting)
    assert store.read(history_faults) == []


def test_those_who_share_a_commit_with_a_session_that_the_database_has_ended_are_told_that_it_does_not_answer(
    pair: list[Replica],
) -> None:
    """As after this server was suspended for too long with the turn."""
    store = pair[0].store

    def is_ended(tx: Tx) -> None:
        mine = tx.execute(sa.text("SELECT pg_backend_pid()")).scalar()
        pair[1].store.read(lambda view: view.execute(sa.text(f"SELECT pg_terminate_backend({mine})")))
        tx.execute(sa.text("SELECT 1"))

    gate = threading.Event()
    store.submit(lambda _tx: gate.wait(1))
    works = (recording(run_started("run-1")), is_ended, recording(run_started("run-2")))
    waiting = [store.submit(work, actor=AGENT) for work in works]
    gate.set()
    for told in waiting:
        with pytest.raises(Unavailable):
            told.result(10)
    store.write(recording(run_started("run-3")), actor=AGENT)
    assert store.read(lambda view: view.count(Run)) == 1
