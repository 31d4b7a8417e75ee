"""The store: every record of an installation, on SQLite or on PostgreSQL.

One interface for both. Work that changes state waits in one line and is answered only after it is durable. How it is made durable,
and what keeps a permit and a pause from overtaking each other, is told in :mod:`stopwork.storage.sqlite` (one process, one writer)
and :mod:`stopwork.storage.postgres` (any number of processes).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Final, Self, TypeVar

import sqlalchemy as sa

from stopwork.kernel.clock import Clock, SystemClock
from stopwork.kernel.errors import Internal, Unavailable
from stopwork.kernel.ids import IdSource, TimeOrderedIds
from stopwork.ledger.events import Entry
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.storage.connections import translated
from stopwork.storage.database import Database, Scribe, Writer
from stopwork.storage.jobs import Job, Line, closed
from stopwork.storage.news import News
from stopwork.storage.sqlite import Sqlite, sqlite_engine
from stopwork.storage.tables import blob
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

T = TypeVar("T")

#: What is written, and removed, to find out whether there is room.
_TRIAL: Final = "trial"
_TRIAL_BYTES: Final = 64 * 1024

SYSTEM: Final = Principal(kind=PrincipalKind.SYSTEM, id="stopwork")


class Store:
    """All records of one installation.

    Open with :meth:`open`; close when done. Raises ``Conflict`` when another process has the file, ``Unavailable`` when the database
    cannot be reached or written: then nothing of that transaction is kept, unless the error says that this is not known.
    """

    def __init__(self, database: Database, *, clock: Clock, ids: IdSource) -> None:
        self.clock = clock
        self.ids = ids
        self._database = database
        self._scribe = Scribe(clock, ids)
        self._line = Line()
        self._news = News()
        self._refused: BaseException | None = None
        try:
            self._news.announce(self.read(View.last_seq))
            writers = [database.writer(self._scribe) for _ in range(database.writers)]
        except BaseException:
            database.close()
            raise
        self._threads = [
            threading.Thread(target=self._write, args=(writer,), name=f"stopwork-writer-{n}", daemon=True)
            for n, writer in enumerate(writers, start=1)
        ]
        for thread in self._threads:
            thread.start()
        database.follow(self._news)

    @classmethod
    def open(cls, location: str | Path, *, clock: Clock | None = None, ids: IdSource | None = None) -> Store:
        """Open a database and bring its schema up to date: a file is made and owned until :meth:`close`; a ``postgresql://`` address
        is shared with other servers.
        """
        clock = clock or SystemClock()
        try:
            return cls(_database(location), clock=clock, ids=ids or TimeOrderedIds(clock))
        except Exception as error:
            found = translated(error)
            if found is error:
                raise
            raise found from error

    @property
    def shared(self) -> bool:
        """Whether other processes may use the database at the same time."""
        return self._database.shared

    # --- writing ---------------------------------------------------------------------------------

    def write(
        self,
        work: Callable[[Tx], T],
        *,
        actor: Principal = SYSTEM,
        urgent: bool = False,
    ) -> T:
        """Run ``work`` in one transaction and answer its result once that is durable.

        ``work`` runs on a writer's thread: it must not wait for anything and must not call ``write`` itself, and it may be run again
        from its beginning. What is ``urgent``, because it stops others, goes before everything that waits and is committed without
        waiting for more. Work is alone in the database, on all servers.
        """
        if threading.current_thread() in self._threads:
            raise Internal("a transaction was started inside a transaction")
        return self.submit(work, actor=actor, urgent=urgent).result()

    def submit(
        self,
        work: Callable[[Tx], T],
        *,
        actor: Principal = SYSTEM,
        urgent: bool = False,
    ) -> Future[T]:
        """Like :meth:`write`, but answer at once with a future."""
        future: Future[T] = Future()
        self.put(Job(work=work, actor=actor, urgent=urgent, future=future))
        return future

    def put(self, job: Job) -> None:
        """Like :meth:`submit`, for who waits in a way of their own."""
        self._line.put(job)

    def _write(self, writer: Writer) -> None:
        try:
            while (job := self._line.take()) is not None:
                done = writer.run(job, self._line)
                if done.refused or done.newest:
                    self._refused = done.refused
                self._news.announce(done.newest, done.entries, done.entries_bytes)
                for answered, result in done.results:
                    answered.future.set_result(result)
                writer.rest()
        finally:
            writer.close()
            self._line.refuse_all()

    @property
    def refused(self) -> BaseException | None:
        """Why the database took nothing, until it takes an entry again: what needs no room does not show that there is some."""
        return self._refused

    def try_again(self) -> None:
        """Where the database took nothing, try whether it does now, with something of the size of an entry; raises if not."""
        if self._refused is None:
            return

        def put(tx: Tx) -> None:
            take(tx)
            tx.execute(sa.insert(blob).values(digest=_TRIAL, content=bytes(_TRIAL_BYTES)))

        def take(tx: Tx) -> None:
            tx.execute(sa.delete(blob).where(blob.c.digest == _TRIAL))

        self.write(put)
        self.write(take)
        self._refused = None

    # --- reading ---------------------------------------------------------------------------------

    def read(self, work: Callable[[View], T]) -> T:
        """Run ``work`` on a consistent snapshot of everything committed so far."""
        if self._line.closed:
            raise closed()
        try:
            with self._database.readers.lend() as connection:
                return work(View(connection))
        except Exception as error:
            found = translated(error)
            if found is error:
                raise
            raise found from error

    # --- following -------------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The newest journal entry that is known here to be committed."""
        return self._news.newest

    def recent(self, *, after: int, limit: int) -> list[Entry] | None:
        """Answer the entries after this one without asking the database; ``None`` where not all of them are at hand."""
        return self._news.after(after, limit)

    def wait_beyond(self, seq: int, timeout_s: float) -> bool:
        """Wait until an entry after ``seq`` is committed; answer whether there is one."""
        return self._news.wait_beyond(seq, timeout_s)

    def listening(self, listener: Callable[[int], None]) -> contextlib.AbstractContextManager[None]:
        """Call ``listener`` with the newest entry's number after each commit. It must return at once."""
        return self._news.listening(listener)

    def when_taken_back(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Call ``listener`` with entries that were recorded and then rolled back: for whoever remembers what a transaction saw."""
        self._scribe.when_taken_back(listener)

    # --- closing ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish what was accepted, then give the database back."""
        if threading.current_thread() in self._threads:
            raise Internal("the store was closed inside a transaction")
        if not self._line.close():
            return
        for thread in self._threads:
            thread.join()
        self._news.end()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def is_address(location: str | Path) -> bool:
    """Answer whether this is the address of a PostgreSQL database, and not the path of a file."""
    return isinstance(location, str) and location.startswith(("postgresql://", "postgres://"))


def engine_of(location: str | Path) -> sa.Engine:
    """Answer the engine of a database, which is neither made nor owned by that."""
    return (
        _postgres().postgres_engine(str(location)) if is_address(location) else sqlite_engine(Path(location))
    )


def _database(location: str | Path) -> Database:
    return _postgres().Postgres.open(str(location)) if is_address(location) else Sqlite.open(Path(location))


def _postgres() -> ModuleType:
    try:
        from stopwork.storage import postgres
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"PostgreSQL needs a package that is not installed: {error.name}",
            hint="Install it: pip install 'stopwork[server,postgres]'",
        ) from error
    return postgres
