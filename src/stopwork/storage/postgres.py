"""The store on PostgreSQL: any number of servers, each with a few writers, and none of them owning anything.

One advisory lock stands for everything that may be decided. A server's writer takes it, runs all jobs that wait by then one after the other,
and makes them durable by one commit: what SQLite's single writer gives by being single. So a pause waits for the permits that are in flight
of commit, on whichever server, and permits that come later see the pause.

The writer remembers the records that it has read or changed. Whoever has the lock knows by the number of the newest entry whether
others have written meanwhile, and forgets what their entries have changed. Numbers in the journal have no gap, and come in the order of the
commits. NOTIFY is a hint to look; looking every second is what followers rely on.

A server that is cut off or suspended in the middle of a transaction would keep everybody waiting: the database ends such a session
(``idle_in_transaction_session_timeout``), and a server gives up a connection that does not answer, and refuses those who wait in line
when no new one can be made. Why not otherwise: docs/decisions/0011 and 0018.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Self

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from stopwork.kernel.errors import Internal, Unavailable
from stopwork.ledger.fold import changes
from stopwork.storage.batch import Batch, GuessedWrong
from stopwork.storage.connections import Readers, is_of_database, translated
from stopwork.storage.database import MAX_BATCH, Done, Scribe
from stopwork.storage.jobs import Job, Line
from stopwork.storage.memory import Memory
from stopwork.storage.news import News
from stopwork.storage.postgres_connections import CONNECT_WITHIN_S, Watched, cut, postgres_engine, psycopg_of
from stopwork.storage.postgres_errors import lost_a_race
from stopwork.storage.schema import HEAD, IN_USE_LOCK, upgrade
from stopwork.storage.statements import CHANNEL
from stopwork.storage.transaction import Tx, place_of
from stopwork.storage.view import View

#: A connection on which one transaction that writes, or any one statement, takes longer than this is given up.
ANSWERED_WITHIN_S: Final = 15.0
POLL_S: Final = 1.0

#: The key of the advisory lock that stands for everything that may be decided.
_DECISIONS: Final = 0x53_54_4F_50
_BEGIN_ALONE: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({_DECISIONS})"
#: So many entries of other servers are gone through; after more than that, everything is read anew.
MAX_CAUGHT_UP: Final = 512

BEGIN_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

log = logging.getLogger(__name__)


class Postgres:
    """A database that other servers may use as well."""

    writers: Final = 1
    shared: Final = True

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._open_writers: list[PostgresWriter] = []
        self._follower: Follower | None = None
        self._foreign_schema: str | None = None
        self._open: weakref.WeakSet[Watched] = weakref.WeakSet()
        sa.event.listen(engine, "connect", lambda connection, _record: self._open.add(connection))
        # Ended by a commit: after a rollback the driver would prepare every statement again.
        self.readers = Readers(engine.connect, begin=BEGIN_READING, end="COMMIT")

    @classmethod
    def open(cls, url: str) -> Self:
        """Reach the database and bring its schema up to date."""
        engine = postgres_engine(url)
        with engine.connect() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise Unavailable(
                f"the database's encoding is {encoding}",
                hint="Make one with: CREATE DATABASE stopwork ENCODING 'UTF8' TEMPLATE template0",
            )
        upgrade(engine)
        return cls(engine)

    def writer(self, scribe: Scribe) -> PostgresWriter:
        opened = PostgresWriter(
            self._engine, scribe, begin_alone=self.begin_alone, require_schema=self.require_schema
        )
        self._open_writers.append(opened)
        return opened

    def follow(self, news: News) -> None:
        self._follower = Follower(
            self._engine,
            news,
            self.take_part,
            self.give_up_what_is_silent,
            is_own=lambda pid: any(writer.pid == pid for writer in self._open_writers),
        )
        self._follower.start()

    def take_part(self, connection: sa.Connection) -> None:
        """Keep servers of other versions from migrating the database while this connection lasts, and find out whether one has."""
        connection.exec_driver_sql(f"SELECT pg_advisory_lock_shared({IN_USE_LOCK})")
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        self._foreign_schema = None if found == HEAD else str(found)

    def require_schema(self) -> None:
        """Raise ``Unavailable`` when a server of another version has migrated the database meanwhile."""
        if self._foreign_schema is not None:
            raise Unavailable(
                f"the database has been brought to schema {self._foreign_schema}, this version knows {HEAD}",
                hint="Stop this server and start it in the version of the others.",
            )

    def give_up_what_is_silent(self) -> None:
        """Cut every connection that has not answered for too long; whoever waits for it is told."""
        for writer in self._open_writers:
            writer.give_up_if_silent()
        for connection in tuple(self._open):
            since = connection.waiting_since
            if since is not None and time.monotonic() - since > ANSWERED_WITHIN_S:
                log.warning("a connection to the database does not answer and is given up")
                cut(connection)

    def begin_alone(self, connection: sa.Connection) -> None:
        """Begin a transaction that all others wait for, on every server, until it has ended: the lock of promise 1."""
        psycopg_of(connection).execute(_BEGIN_ALONE, prepare=False)

    def close(self) -> None:
        if self._follower is not None:
            self._follower.stop()
        self.readers.close()
        self._engine.dispose()


class PostgresWriter:
    """The one connection of this server that writes. It is opened when it is needed, and again after it was lost."""

    def __init__(
        self,
        engine: sa.Engine,
        scribe: Scribe,
        *,
        begin_alone: Callable[[sa.Connection], None],
        require_schema: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._scribe = scribe
        self._begin_alone = begin_alone
        self._require_schema = require_schema
        self._connection: sa.Connection | None = None
        self._memory = Memory()
        #: By what the database tells this session from others.
        self.pid = 0
        #: The newest entry that the memory knows of.
        self._newest = 0
        self._busy_since: float | None = None
        self._unreachable = False

    def run(self, first: Job, line: Line) -> Done:
        """Wait for the turn of this server, and commit this job together with those that wait behind it by then.

        Where the database cannot be reached, those who wait are told so as well, and not one after the other.
        """
        self._busy_since = time.monotonic()
        self._unreachable = False
        jobs: list[Job] = []
        try:
            self._require_schema()
            connection = self._begun()
            jobs += (
                job for job in line.behind(first, MAX_BATCH) if job.future.set_running_or_notify_cancel()
            )
            return self._together(jobs, connection)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the callers are told
            refused = translated(error)
            for job in jobs or [first]:
                job.refuse(refused)
            if self._unreachable and isinstance(refused, Unavailable):
                line.refuse_waiting(partial(Unavailable, refused.detail, hint=refused.hint))
            return Done(
                [], refused=refused if isinstance(refused, Unavailable) and refused is not error else None
            )
        finally:
            self._busy_since = None

    def give_up_if_silent(self) -> None:
        """Cut a connection that has not answered for too long; whoever waits for it is told. Called by another thread."""
        connection = self._connection
        if connection is not None and self._busy_for_s() > ANSWERED_WITHIN_S:
            log.warning("a connection to the database does not answer and is given up")
            cut(psycopg_of(connection))

    def rest(self) -> None:
        """The server looks after itself."""

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sa.exc.DBAPIError, psycopg.Error):
                connection.close()

    def _busy_for_s(self) -> float:
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    # --- committing ------------------------------------------------------------------------------

    def _together(self, jobs: list[Job], connection: sa.Connection) -> Done:
        """Commit these jobs in the transaction that was begun; where the tables do not take what they have decided, each by itself."""
        try:
            try:
                return self._commit(jobs, connection, guesses=len(jobs) > 1)
            except GuessedWrong:
                return self._commit(jobs, self._begun(), guesses=False)
        except Exception as error:
            if not self._may_be_of_one(error) or (len(jobs) == 1 and not lost_a_race(error)):
                raise
        done = [self._by_itself(job) for job in jobs]
        return Done(
            [each for one in done for each in one.results],
            newest=max(one.newest for one in done),
            entries=[entry for one in done for entry in one.entries],
            entries_bytes=sum(one.entries_bytes for one in done),
        )

    def _by_itself(self, job: Job) -> Done:
        try:
            return self._commit([job], self._begun(), guesses=False)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the caller is told
            job.refuse(translated(error))
            return Done([])

    def _may_be_of_one(self, error: Exception) -> bool:
        """Answer whether the database is well, and only does not take what one of the jobs has decided."""
        if self._connection is None or psycopg_of(self._connection).broken or not is_of_database(error):
            return False
        return lost_a_race(error) or not isinstance(translated(error), Unavailable)

    def _commit(self, jobs: Sequence[Job], connection: sa.Connection, *, guesses: bool) -> Done:
        """Run the jobs and commit; raise when nothing of any of them is kept, and then none of them was told."""
        batch = Batch(connection, self._memory, guesses=guesses, parts=len(jobs) > 1)
        driver = psycopg_of(connection)
        kept: list[Tx] = []
        results: list[tuple[Job, Any]] = []
        refused: list[tuple[Job, BaseException]] = []
        try:
            for job in jobs:
                tx = self._scribe.begin(batch, job)
                kept.append(tx)
                try:
                    results.append((job, self._done(job, tx, driver)))
                except Exception as error:
                    if batch.failed or len(jobs) == 1 or driver.closed:
                        raise
                    batch.take_back()
                    if driver.info.transaction_status is not TransactionStatus.INTRANS:
                        raise
                    self._scribe.take_back(kept.pop().recorded)
                    refused.append((job, translated(error)))
                else:
                    batch.take_over(tx.changes, tx.unnumbered)
            batch.finish()
        except BaseException:
            self._take_back(kept)
            self._roll_back(driver)
            raise
        numbers = [entry.seq for tx in kept for entry in tx.recorded]
        try:
            driver.execute("COMMIT")
        except psycopg.Error as error:
            self._take_back(kept)
            if not driver.broken:
                self._roll_back(driver)
                raise
            self.close()
            raise Unavailable(
                "the connection to the database was lost: it is not known whether this was recorded",
                hint="Ask again; what was recorded already is not recorded twice.",
            ) from error
        self._memory.learn_committed(batch.decided)
        if numbers and numbers[0] == self._newest + 1:
            self._newest = numbers[-1]
        for job, why in refused:
            job.refuse(why)
        return Done(
            results,
            newest=max(numbers, default=0),
            entries=[entry for tx in kept for entry in tx.recorded],
            entries_bytes=sum(tx.recorded_bytes for tx in kept),
        )

    @staticmethod
    def _done(job: Job, tx: Tx, driver: psycopg.Connection) -> Any:
        result = job.work(tx)
        tx.complete()
        if driver.info.transaction_status is not TransactionStatus.INTRANS:
            # A COMMIT would be answered with a rollback and no error.
            raise Internal("a statement failed and its error was ignored", hint="Please report this.")
        return result

    def _take_back(self, transactions: Sequence[Tx]) -> None:
        self._scribe.take_back([entry for tx in transactions for entry in tx.recorded])

    def _roll_back(self, driver: psycopg.Connection) -> None:
        try:
            driver.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    # --- beginning -------------------------------------------------------------------------------

    def _begun(self) -> sa.Connection:
        """Answer a connection in a transaction; one that turns out to have been lost while it lay idle is replaced once."""
        if self._connection is not None:
            try:
                return self._begin(self._connection)
            except Exception as error:
                broken = psycopg_of(self._connection).broken
                self.close()
                if not broken or not is_of_database(error) or self._busy_for_s() > CONNECT_WITHIN_S:
                    raise
        try:
            self._connection = self._engine.connect()
        except BaseException:
            self._unreachable = True
            raise
        # Behind another connection may be another database, restored from a copy.
        self._memory, self._newest = Memory(), 0
        self.pid = psycopg_of(self._connection).info.backend_pid
        try:
            return self._begin(self._connection)
        except BaseException:
            self.close()
            raise

    def _begin(self, connection: sa.Connection) -> sa.Connection:
        self._begin_alone(connection)
        self._catch_up(View(connection))
        return connection

    def _catch_up(self, view: View) -> None:
        """Forget what others have changed since this server has committed."""
        newest = view.last_seq()
        if newest == self._newest:
            return
        if 0 < newest - self._newest <= MAX_CAUGHT_UP:
            for entry in view.entries(after=self._newest, limit=MAX_CAUGHT_UP):
                for change in changes(entry):
                    self._memory.forget(place_of(change))
        else:
            self._memory = Memory()
        self._newest = newest


class Follower:
    """Looks for what other servers commit, at every hint and every second, and for connections that do not answer."""

    def __init__(
        self,
        engine: sa.Engine,
        news: News,
        take_part: Callable[[sa.Connection], None],
        give_up_what_is_silent: Callable[[], None],
        *,
        is_own: Callable[[int], bool],
    ) -> None:
        self._engine = engine
        self._news = news
        self._take_part = take_part
        self._give_up_what_is_silent = give_up_what_is_silent
        self._is_own = is_own
        self._stopping = threading.Event()
        self._listening: sa.Connection | None = None
        self._threads = [
            threading.Thread(target=self._follow, name="stopwork-follower", daemon=True),
            threading.Thread(target=self._watch, name="stopwork-watch", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._listening is not None:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                cut(psycopg_of(self._listening))
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_S):
            self._give_up_what_is_silent()

    def _follow(self) -> None:
        failing = False
        while not self._stopping.is_set():
            try:
                with self._engine.connect() as self._listening:
                    for seq in self._looks(self._listening):
                        failing = False
                        self._news.announce(seq)
            except (psycopg.Error, sa.exc.DBAPIError, OSError) as error:
                if not failing and not self._stopping.is_set():
                    log.warning("news of the journal does not come: %s", translated(error))
                failing = True
                self._stopping.wait(POLL_S)

    def _looks(self, connection: sa.Connection) -> Iterator[int]:
        driver = psycopg_of(connection)
        self._take_part(connection)
        driver.execute(f"LISTEN {CHANNEL}")
        while not self._stopping.is_set():
            yield View(connection).last_seq()
            self._wait_for_others(driver)

    def _wait_for_others(self, driver: psycopg.Connection) -> None:
        """Wait for a hint of something that is not known here, and never longer than until the next look."""
        until = time.monotonic() + POLL_S
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set():
            for hint in driver.notifies(timeout=left, stop_after=1):
                is_news = not hint.payload.isdecimal() or int(hint.payload) > self._news.newest
                if is_news and not self._is_own(hint.pid):
                    return
