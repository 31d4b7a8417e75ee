"""The store on SQLite: one process, one writer, group commit.

Everything that changes state runs on one thread and one connection, so a permit and a pause can never
overtake each other. Jobs that are waiting are put into one transaction, each behind its own savepoint, and made durable
by one commit (WAL, ``synchronous=FULL``): a caller is answered only after the commit. Readers have connections of
their own that can neither write nor checkpoint.

The single writer is also the only connection that ever resets the write-ahead log, which is what SQLite's WAL-reset fault (before
3.51.3) needs two of: see docs/decisions.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import msgspec
import sqlalchemy as sa

from stopwork.kernel.clock import Clock, SystemClock
from stopwork.kernel.errors import Conflict, Internal, StopworkError, Unavailable
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.storage.lock import FileLock
from stopwork.storage.schema import upgrade
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

T = TypeVar("T")

SYSTEM: Final = Principal(kind=PrincipalKind.SYSTEM, id="stopwork")
MAX_BATCH: Final = 128
MAX_WAITING: Final = 10_000
BUSY_MS: Final = 5_000


class _Job(msgspec.Struct):
    work: Callable[[Tx], Any]
    actor: Principal
    future: Future[Any]


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
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MAX_WAITING)
        self._readers = threading.local()
        self._listeners: list[Callable[[int], None]] = []
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
                f"the folder of the database does not exist: {path.parent}", hint="Make it, or name another path."
            )
        lock = FileLock.take(path)
        try:
            engine = _sqlite_engine(path)
            upgrade(engine)
        except sqlite3.DatabaseError as error:
            lock.release()
            raise _unavailable(error) from error
        except sa.exc.DatabaseError as error:
            lock.release()
            raise _unavailable(error.orig or error) from error
        except BaseException:
            lock.release()
            raise
        store = cls(engine, clock=clock, ids=ids or TimeOrderedIds(clock), lock=lock)
        store._last_seq = store.read(View.last_seq)
        return store

    # --- writing ---------------------------------------------------------------------------------

    def write(self, work: Callable[[Tx], T], *, actor: Principal = SYSTEM) -> T:
        """Run ``work`` in one transaction and answer its result once that is durable.

        ``work`` runs on the writer's thread: it must not wait for anything and must not call ``write`` itself.
        """
        if threading.current_thread() is self._writer:
            raise Internal("a transaction was started inside a transaction")
        return self.submit(work, actor=actor).result()

    def submit(self, work: Callable[[Tx], T], *, actor: Principal = SYSTEM) -> Future[T]:
        """Like :meth:`write`, but answer at once with a future."""
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(Unavailable("the store is closed", hint="Open it again."))
            return future
        try:
            self._jobs.put_nowait(_Job(work, actor, future))
        except queue.Full:
            future.set_exception(
                Unavailable("too many writes are waiting", hint="Try again in a moment.", waiting=MAX_WAITING)
            )
        return future

    def _write_loop(self) -> None:
        with self._engine.connect() as connection:
            while (job := self._jobs.get()) is not None:
                batch = [job]
                while len(batch) < MAX_BATCH:
                    try:
                        waiting = self._jobs.get_nowait()
                    except queue.Empty:
                        break
                    if waiting is None:
                        self._commit(connection, batch)
                        return
                    batch.append(waiting)
                self._commit(connection, batch)

    def _commit(self, connection: sa.Connection, batch: list[_Job]) -> None:
        done: list[tuple[_Job, Any]] = []
        last_seq = 0
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            for job in batch:
                if not job.future.set_running_or_notify_cancel():
                    continue
                tx = Tx(connection, now=self.clock.now(), ids=self.ids, actor=job.actor)
                connection.exec_driver_sql("SAVEPOINT job")
                try:
                    result = job.work(tx)
                except BaseException as error:  # noqa: BLE001 - the caller gets it through its future
                    if isinstance(error, sa.exc.DatabaseError) and not isinstance(error, sa.exc.IntegrityError):
                        raise
                    connection.exec_driver_sql("ROLLBACK TO job")
                    connection.exec_driver_sql("RELEASE job")
                    job.future.set_exception(error)
                else:
                    connection.exec_driver_sql("RELEASE job")
                    done.append((job, result))
                    if tx.recorded:
                        last_seq = tx.recorded[-1].seq
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:  # noqa: BLE001 - whatever it was, every caller is told
            with contextlib.suppress(sa.exc.DatabaseError, sqlite3.DatabaseError):
                connection.exec_driver_sql("ROLLBACK")
            cause = error.orig if isinstance(error, sa.exc.DatabaseError) and error.orig else error
            for job in batch:
                if not job.future.done():
                    job.future.set_exception(_unavailable(cause))
            return
        for job, result in done:
            job.future.set_result(result)
        if last_seq:
            self._announce(last_seq)

    # --- reading ---------------------------------------------------------------------------------

    def read(self, work: Callable[[View], T]) -> T:
        """Run ``work`` on a consistent snapshot of everything committed so far."""
        connection = self._reader()
        connection.exec_driver_sql("BEGIN")
        try:
            return work(View(connection))
        except sa.exc.DatabaseError as error:
            raise _unavailable(error.orig or error) from error
        finally:
            connection.exec_driver_sql("ROLLBACK")

    def _reader(self) -> sa.Connection:
        connection: sa.Connection | None = getattr(self._readers, "connection", None)
        if connection is None or connection.closed:
            if self._closed:
                raise Unavailable("the store is closed", hint="Open it again.")
            connection = self._engine.connect()
            connection.exec_driver_sql("PRAGMA query_only=ON")
            connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")
            self._readers.connection = connection
        return connection

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

    def _announce(self, seq: int) -> None:
        with self._committed:
            self._last_seq = seq
            self._committed.notify_all()
        for listener in tuple(self._listeners):
            listener(seq)

    def close(self) -> None:
        """Finish what was accepted, then give the file back."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._writer.join()
        with self._committed:
            self._committed.notify_all()
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _sqlite_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # transactions are begun by hand, IMMEDIATE for the writer
        poolclass=sa.pool.NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _unavailable(error: BaseException) -> StopworkError:
    if isinstance(error, StopworkError):
        return error
    text = str(error)
    if "full" in text:
        return Unavailable("the disk is full: nothing was recorded", hint="Free some space, then try again.")
    if "locked" in text:
        return Conflict("another process is writing to the database", hint="Stop it, or use its address instead.")
    if "malformed" in text or "not a database" in text:
        return Unavailable(f"the database cannot be read ({text})", hint="Restore it from a backup.")
    if isinstance(error, sqlite3.Error):
        return Unavailable(f"the database does not answer ({text})", hint="Look at its disk and permissions.")
    return Internal(f"a transaction failed: {error!r}")
