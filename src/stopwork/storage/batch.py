"""What shares one commit: on SQLite the jobs that waited together, one after the other; on PostgreSQL one job alone."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from stopwork.storage import statements
from stopwork.storage.connections import driver_of
from stopwork.storage.memory import Memory
from stopwork.storage.pending import Pending

_PART: Final = "one_transaction"


class Batch:
    """What a transaction begins with: what those before it in the batch have decided, and what is known of all that is committed.

    ``alone`` says that nobody else writes before the commit. ``failed`` is why the tables could not be brought up to date with what is
    decided: then nothing of the batch may be committed, whatever became of the transaction that found out.
    """

    def __init__(self, connection: sa.Connection, memory: Memory, *, alone: bool) -> None:
        self.connection = connection
        self.memory = memory
        self.alone = alone
        self.decided = Pending()
        self.failed: BaseException | None = None
        self._newest: int | None = None
        self._given = 0
        self._parted = False

    def write(self) -> None:
        """Write what is decided, for a query or for the commit."""
        if not self.decided.unwritten:
            return
        try:
            self.decided.write(self.connection)
        except BaseException as error:
            self.failed = error
            raise

    def part(self) -> None:
        """Before a transaction writes: let the database be able to take back this one without those before it."""
        if self.connection.dialect.name == "sqlite" and not self._parted:
            driver_of(self.connection).execute(f"SAVEPOINT {_PART}")
            self._parted = True

    def take_over(self, changes: Pending) -> None:
        """Make what a transaction has decided part of the batch: it has succeeded."""
        if self._parted:
            driver_of(self.connection).execute(f"RELEASE {_PART}")
            self._parted = False
        self.decided.take_over(changes)
        if self._newest is not None:
            self._newest += self._given
        self._given = 0

    def take_back(self) -> None:
        """Forget a transaction: it has failed."""
        if self._parted:
            driver_of(self.connection).execute(f"ROLLBACK TO {_PART}")
            driver_of(self.connection).execute(f"RELEASE {_PART}")
            self._parted = False
        self._given = 0

    def next_numbers(self, count: int) -> int:
        """Answer the first of the next ``count`` numbers of the journal."""
        if self.connection.dialect.name == "sqlite":  # one process, one writer
            first = self._newest_number() + self._given + 1
            self._given += count
            return first
        newest = statements.TAKE_NUMBERS.run(self.connection, {"count": count}).fetchone()[0]
        return int(newest) - count + 1

    def _newest_number(self) -> int:
        if self._newest is None:
            self._newest = int(statements.LAST_SEQ.run(self.connection, {}).fetchone()[0])
        return self._newest
