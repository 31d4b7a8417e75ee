"""The store on SQLite: one process, one writer, group commit.

Everything that changes state runs on one thread and one connection, so a permit and a pause can never
overtake each other. Jobs that are waiting are put into one transaction, each behind its own savepoint, and made durable
by one commit (WAL, ``synchronous=FULL``): a caller is answered only after the commit. A job that fails takes nothing of
its neighbours with it; a database that fails (full disk, damaged file) takes the whole batch, and every caller is told.
Readers have connections of their own that can neither write nor checkpoint.

The single writer is also the only connection that ever resets the write-ahead log, which is what SQLite's WAL-reset fault (before
3.51.3) needs two of: see docs/decisions.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec
import sqlalchemy as sa

from stopwork.kernel.clock import Clock, SystemClock
from stopwork.kernel.errors import Internal, Unavailable
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.ledger.events import Entry
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.storage.connections import Readers, driver_of, is_fatal, sqlite_engine, translated
from stopwork.storage.lock import FileLock
from stopwork.storage.schema import upgrade
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

T = TypeVar("T")

SYSTEM: Final = Principal(kind=PrincipalKind.SYSTEM, id="stopwork")
MAX_BATCH: Final = 128
MAX_WAITING: Final = 10_000

log = logging.getLogger(__name__)


class _Job(msgspec.Struct):
    work: Callable[[Tx], Any]
    actor: Principal
    urgent: bool
    future: Future[Any]


_Place = tuple[int, int, _Job | None]
"""Where a job stands in line: urgent ones first, then as they came; behind all of them ``None``, which ends the line."""

_URGENT, _IN_TURN, _END = range(3)


class Store:
    """All records of one installation.

    Open with :meth:`open`; close when done. Raises ``Conflict`` when another process has the file, ``Unavailable`` when the disk
    is full or the database cannot be written: then nothing of that transaction is kept.
    """

    def __init__(self, engine: sa.Engine, *, clock: Clock, ids: IdSource, lock: FileLock | None) -> None:
        self.clock = clock
        self.ids = ids
        self._engine = engine
        self._lock = lock
        self._jobs: queue.PriorityQueue[_Place] = queue.PriorityQueue(MAX_WAITING)
        self._numbers = itertools.count()
        self._accepting = threading.Lock()
        self._connection = engine.connect()
        self._driver = driver_of(self._connection)
        self._readers = Readers(engine)
        self._listeners: list[Callable[[int], None]] = []
        self._undone: list[Callable[[Sequence[Entry]], None]] = []
        self._committed = threading.Condition()
        self._last_seq = 0
        self._closed = False
        self._writer = threading.Thread(target=self._write_loop, name="stopwork-writer", daemon=True)
        self._writer.start()

    @classmethod
    def open(cls, path: str | Path, *, clock: Clock | None = None, ids: IdSource | None = None) -> Store:
        """Open or create the database file, bring its schema up to date, and own it until :meth:`close`."""
        clock = clock or SystemClock()
        path = Path(path)
        if not path.parent.is_dir():
            raise Unavailable(
                f"the folder of the database does not exist: {path.parent}",
                hint="Make it, or name another path.",
            )
        lock = FileLock.take(path)
        try:
            engine = sqlite_engine(path)
            upgrade(engine)
            store = cls(engine, clock=clock, ids=ids or TimeOrderedIds(clock), lock=lock)
        except (sqlite3.Error, sa.exc.DBAPIError) as error:
            lock.release()
            raise translated(error) from error
        except BaseException:
            lock.release()
            raise
        try:
            store._last_seq = store.read(View.last_seq)
        except BaseException:
            store.close()
            raise
        return store

    # --- writing ---------------------------------------------------------------------------------

    def write(self, work: Callable[[Tx], T], *, actor: Principal = SYSTEM, urgent: bool = False) -> T:
        """Run ``work`` in one transaction and answer its result once that is durable.

        ``work`` runs on the writer's thread: it must not wait for anything and must not call ``write`` itself. What is ``urgent``,
        because it stops others, goes before everything that waits and is committed without waiting for more.
        """
        if threading.current_thread() is self._writer:
            raise Internal("a transaction was started inside a transaction")
        return self.submit(work, actor=actor, urgent=urgent).result()

    def submit(
        self, work: Callable[[Tx], T], *, actor: Principal = SYSTEM, urgent: bool = False
    ) -> Future[T]:
        """Like :meth:`write`, but answer at once with a future."""
        future: Future[T] = Future()
        with self._accepting:
            if self._closed:
                future.set_exception(_closed())
                return future
            try:
                job = _Job(work, actor, urgent, future)
                self._jobs.put_nowait((_URGENT if urgent else _IN_TURN, next(self._numbers), job))
            except queue.Full:
                future.set_exception(
                    Unavailable(
                        "too many writes are waiting", hint="Try again in a moment.", waiting=MAX_WAITING
                    )
                )
        return future

    def _write_loop(self) -> None:
        try:
            while (job := self._jobs.get()[-1]) is not None:
                self._commit(job)
        finally:
            self._connection.close()
            self._refuse_waiting()

    def _batch(self, first: _Job) -> Iterator[_Job]:
        """Answer the first job and those that wait behind it now, up to an urgent one: with it the batch is full."""
        yield first
        for _ in range(min(self._jobs.qsize(), MAX_BATCH - 1)):
            if first.urgent:
                return
            place = self._jobs.get()
            if place[-1] is None:
                self._jobs.put(place)  # for the next round: this one still has work
                return
            first = place[-1]
            yield first

    def _refuse_waiting(self) -> None:
        """Answer everybody who still waits: nothing is written any more, however the writer came to its end."""
        with self._accepting:
            self._closed = True
            while not self._jobs.empty():
                if (job := self._jobs.get_nowait()[-1]) is not None:
                    _refuse(job.future, _closed())

    def _commit(self, first: _Job) -> None:
        taken: list[_Job] = []
        done: list[tuple[_Job, Any]] = []
        recorded: list[Entry] = []
        try:
            self._driver.execute("BEGIN IMMEDIATE")
            for job in self._batch(first):
                taken.append(job)
                if not job.future.set_running_or_notify_cancel():
                    continue
                tx = Tx(self._connection, now=self.clock.now(), ids=self.ids, actor=job.actor)
                self._driver.execute("SAVEPOINT job")
                try:
                    result = job.work(tx)
                    tx.require_whole()
                except BaseException as error:
                    if is_fatal(error, self._connection):
                        recorded += tx.recorded
                        raise
                    self._driver.execute("ROLLBACK TO job")
                    self._driver.execute("RELEASE job")
                    self._take_back(tx.recorded)
                    _refuse(job.future, translated(error))
                else:
                    self._driver.execute("RELEASE job")
                    done.append((job, result))
                    recorded += tx.recorded
            self._driver.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - whatever it was, every caller is told
            with contextlib.suppress(sqlite3.Error):
                self._driver.execute("ROLLBACK")
            self._take_back(recorded)
            for job in taken or [first]:
                _refuse(job.future, translated(error))
            return
        if recorded:
            self._announce(recorded[-1].seq)
        for job, result in done:
            job.future.set_result(result)

    # --- reading ---------------------------------------------------------------------------------

    def read(self, work: Callable[[View], T]) -> T:
        """Run ``work`` on a consistent snapshot of everything committed so far."""
        if self._closed:
            raise _closed()
        try:
            with self._readers.lend() as connection:
                return work(View(connection))
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            raise translated(error) from error

    # --- following -------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The newest committed journal entry."""
        return self._last_seq

    def wait_beyond(self, seq: int, timeout_s: float) -> bool:
        """Wait until an entry after ``seq`` is committed; answer whether there is one."""
        with self._committed:
            return self._committed.wait_for(lambda: self._last_seq > seq or self._closed, timeout_s) and (
                self._last_seq > seq
            )

    @contextlib.contextmanager
    def listening(self, listener: Callable[[int], None]) -> Iterator[None]:
        """Call ``listener`` with the newest entry's number after each commit. It must return at once."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def when_taken_back(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Call ``listener`` with entries that were recorded and then rolled back: for whoever remembers what a transaction saw."""
        self._undone.append(listener)

    def _take_back(self, entries: Sequence[Entry]) -> None:
        if entries:
            for listener in self._undone:
                listener(entries)

    def _announce(self, seq: int) -> None:
        with self._committed:
            self._last_seq = seq
            self._committed.notify_all()
        for listener in tuple(self._listeners):
            try:
                listener(seq)
            except Exception:
                # What is committed is committed; the journal is there for whoever missed the call.
                log.exception("a listener failed after entry %d", seq)

    def close(self) -> None:
        """Finish what was accepted, then give the file back."""
        if threading.current_thread() is self._writer:
            raise Internal("the store was closed inside a transaction")
        with self._accepting:
            if self._closed:
                return
            self._closed = True
        self._jobs.put((_END, next(self._numbers), None))
        self._writer.join()
        self._readers.close()
        with self._committed:
            self._committed.notify_all()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _closed() -> Unavailable:
    return Unavailable("the store is closed", hint="Open it again.")


def _refuse(future: Future[Any], error: BaseException) -> None:
    """Answer a caller who is still waiting; one who has cancelled meanwhile is not."""
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)
