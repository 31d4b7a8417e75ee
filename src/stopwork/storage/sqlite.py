"""The store on SQLite: one process owns the file, one writer, group commit.

Everything that changes state runs on one thread and one connection, so a permit and a pause can never overtake each other. Jobs that
are waiting are run one after the other, and what they decide is written together and made durable by one commit (WAL,
``synchronous=FULL``): docs/decisions/0013. A job that fails takes nothing of its neighbours with it; a database that fails (full disk,
damaged file) takes the whole batch, and every caller is told. Readers have connections of their own that can neither write nor checkpoint.

The single writer is also the only connection that ever resets the write-ahead log, which is what SQLite's WAL-reset fault (before
3.51.3) needs two of: see docs/decisions.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa

from stopwork.kernel.errors import Internal, Unavailable
from stopwork.storage import sqlite_errors
from stopwork.storage.batch import Batch
from stopwork.storage.connections import Readers, cause_of, translated
from stopwork.storage.database import MAX_BATCH, Done, Scribe
from stopwork.storage.jobs import Job, Line
from stopwork.storage.lock import FileLock
from stopwork.storage.memory import Memory
from stopwork.storage.news import News
from stopwork.storage.schema import upgrade
from stopwork.storage.transaction import Tx

BUSY_MS: Final = 5_000
#: Each number of rows is a statement of its own.
CACHED_STATEMENTS: Final = 512

#: What a commit and each job in it add to the write-ahead log, about, and after how many pages the log is put into the database, between
#: two commits. SQLite itself does it at the latest after so many, and then a commit waits for it.
PAGES_OF_COMMIT: Final = 20
PAGES_OF_JOB: Final = 2
CHECKPOINT_AFTER_PAGES: Final = 6_000
CHECKPOINT_AT_THE_LATEST: Final = 12_000


def sqlite_engine(path: Path) -> sa.Engine:
    """Answer the engine of a database file: every commit durable, every transaction begun by hand."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",  # transactions are begun by hand, IMMEDIATE for the writer
        poolclass=sa.pool.NullPool,
        connect_args={
            "check_same_thread": False,
            "timeout": BUSY_MS / 1000,
            "cached_statements": CACHED_STATEMENTS,
        },
    )

    @sa.event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            f"busy_timeout={BUSY_MS}",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class Sqlite:
    """One database file, owned by this process until it is closed."""

    writers: Final = 1
    shared: Final = False

    def __init__(self, engine: sa.Engine, lock: FileLock) -> None:
        self._engine = engine
        self._lock = lock
        self.readers = Readers(self._connect_reader, begin="BEGIN", end="ROLLBACK")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the file and bring its schema up to date; ``Conflict`` when another process has it."""
        if not path.parent.is_dir():
            raise Unavailable(
                f"the folder of the database does not exist: {path.parent}",
                hint="Make it, or name another path.",
            )
        lock = FileLock.take(path)
        try:
            engine = sqlite_engine(path)
            upgrade(engine)
        except BaseException:
            lock.release()
            raise
        return cls(engine, lock)

    def writer(self, scribe: Scribe) -> SqliteWriter:
        return SqliteWriter(self._engine.connect(), scribe)

    def follow(self, news: News) -> None:
        """Nobody else writes to the file."""

    def close(self) -> None:
        self.readers.close()
        self._engine.dispose()
        self._lock.release()

    def _connect_reader(self) -> sa.Connection:
        connection = self._engine.connect()
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")
        return connection


class SqliteWriter:
    """The one connection that writes."""

    def __init__(self, connection: sa.Connection, scribe: Scribe) -> None:
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise Internal(f"{type(driver).__qualname__} is no connection to SQLite")
        self._connection = connection
        self._driver = driver
        self._scribe = scribe
        self._memory = Memory()
        self._pages = 0
        driver.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_AT_THE_LATEST}")

    def run(self, first: Job, line: Line) -> Done:
        """Commit this job together with those that wait behind it."""
        taken: list[Job] = []
        claimed = (job for job in line.behind(first, MAX_BATCH) if job.future.set_running_or_notify_cancel())
        done = self._commit(claimed, taken)
        if done is not None:
            return done
        # What they have decided could not be written together, so it is found out whose it is.
        each = [self._commit(iter([job]), []) for job in taken]
        return Done(
            [result for done in each if done for result in done.results],
            newest=max((done.newest for done in each if done), default=0),
            entries=[entry for done in each if done for entry in done.entries],
            entries_bytes=sum(done.entries_bytes for done in each if done),
            refused=next((done.refused for done in each if done and done.refused), None),
        )

    def _commit(self, jobs: Iterator[Job], taken: list[Job]) -> Done | None:
        """Run the jobs in one transaction; ``taken`` is filled with those that were begun and not refused for a fault of their own.

        ``None`` where nothing of several was kept and none of them was told, because the tables do not take what they have decided.
        """
        batch = Batch(self._connection, self._memory)
        kept: list[Tx] = []
        results: list[tuple[Job, Any]] = []
        try:
            self._driver.execute("BEGIN IMMEDIATE")
            for job in jobs:
                taken.append(job)
                tx = self._scribe.begin(batch, job)
                try:
                    result = job.work(tx)
                    tx.complete()
                except BaseException as error:
                    if batch.failed or self._is_fatal(error):
                        kept.append(tx)
                        raise
                    batch.take_back()
                    self._scribe.take_back(tx.recorded)
                    taken.remove(job)
                    job.refuse(translated(error))
                else:
                    results.append((job, result))
                    kept.append(tx)
                    batch.take_over(tx.changes, tx.unnumbered)
                if batch.failed:
                    raise batch.failed
            batch.finish()
            self._driver.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - whatever it was, every caller is told
            ours = batch.failed is not None and not self._is_fatal(batch.failed)
            with contextlib.suppress(sqlite3.Error):
                self._driver.execute("ROLLBACK")
            self._scribe.take_back([entry for tx in kept for entry in tx.recorded])
            if ours and len(taken) > 1:
                return None
            refused = translated(error)
            for job in taken or itertools.islice(jobs, 1):
                job.refuse(refused)
            return Done([], refused=None if ours else refused)
        self._memory.learn_committed(batch.decided)
        self._pages += PAGES_OF_COMMIT + PAGES_OF_JOB * len(results)
        entries = [entry for tx in kept for entry in tx.recorded]
        return Done(
            results,
            newest=entries[-1].seq if entries else 0,
            entries=entries,
            entries_bytes=sum(tx.recorded_bytes for tx in kept),
        )

    def rest(self) -> None:
        if self._pages >= CHECKPOINT_AFTER_PAGES:
            self._pages = 0
            # A disk that fails here has failed no job; the next commit will be told.
            with contextlib.suppress(sqlite3.Error):
                self._driver.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        self._connection.close()

    def _is_fatal(self, error: BaseException) -> bool:
        """Answer whether the error ended, or may have ended, the whole transaction and not only one job in it."""
        return sqlite_errors.is_fatal(cause_of(error)) or not self._driver.in_transaction
