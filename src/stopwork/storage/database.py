"""What the store needs of a database: connections to read from, writers, and word of what others commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from stopwork.kernel.clock import Clock
from stopwork.kernel.ids import IdSource
from stopwork.ledger.events import Entry
from stopwork.storage.batch import Batch
from stopwork.storage.connections import Readers
from stopwork.storage.jobs import Job, Line
from stopwork.storage.news import News
from stopwork.storage.transaction import Tx

#: How many jobs one commit may make durable.
MAX_BATCH: Final = 128


class Scribe:
    """Begins the transactions of one store, and tells whoever remembers what one saw that it was rolled back."""

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        self._clock = clock
        self._ids = ids
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []

    def begin(self, batch: Batch, job: Job) -> Tx:
        return Tx(batch, now=self._clock.now(), ids=self._ids, actor=job.actor)

    def when_taken_back(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        self._listeners.append(listener)

    def take_back(self, entries: Sequence[Entry]) -> None:
        if entries:
            for listener in self._listeners:
                listener(entries)


class Done(NamedTuple):
    """What is durable now: each job's result, and the number of the newest entry, if there is one.

    ``entries`` are all that are new, of so many ``entries_bytes``, where nobody else makes any. ``refused`` is why the database
    itself took nothing, which is not the fault of a job.
    """

    results: list[tuple[Job, Any]]
    newest: int = 0
    entries: Sequence[Entry] = ()
    entries_bytes: int = 0
    refused: BaseException | None = None


class Writer(Protocol):
    """One connection that writes, for one thread."""

    def run(self, first: Job, line: Line) -> Done:
        """Do this job, and as many of those that wait as can be made durable with it; refuse those that fail.

        Whatever happens, every job that was taken is refused or among the results.
        """
        ...

    def rest(self) -> None:
        """Do what is due now and then, when everybody has been answered and nobody waits for it."""
        ...

    def close(self) -> None: ...


class Database(Protocol):
    """One kind of database."""

    @property
    def writers(self) -> int:
        """How many writers there may be beside each other."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes may use the database at the same time."""
        ...

    @property
    def readers(self) -> Readers: ...

    def writer(self, scribe: Scribe) -> Writer: ...

    def follow(self, news: News) -> None:
        """Announce what other processes commit, from now on."""
        ...

    def close(self) -> None:
        """Give everything back; the writers are closed already."""
        ...
