"""What shares one commit: the jobs that waited together, one after the other."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from stopwork.ledger.events import Entry, name_of
from stopwork.ledger.records import Call, Key, Record
from stopwork.storage import statements
from stopwork.storage.connections import driver_of
from stopwork.storage.memory import Memory
from stopwork.storage.pending import Key as Place
from stopwork.storage.pending import Pending, Row
from stopwork.storage.tables import JOURNAL_KEYS, TABLES, micros
from stopwork.storage.view import decode

_PART: Final = "one_transaction"
#: Kinds that are nearly always new when they are looked for without being needed.
_MOSTLY_NEW: Final[frozenset[type[Record]]] = frozenset({Call, Key})
#: How an entry ends whose number is not known yet: its keys are in order, and this one is the last.
_UNNUMBERED: Final = b'"seq":0}'

#: An entry and its canonical bytes, both without a number.
Recorded = tuple[Entry, bytes]


class GuessedWrong(BaseException):
    """What was taken for new is there. It is known now, so whoever runs the batch again is not wrong about it."""


class Batch:
    """What a transaction begins with: what those before it in the batch have decided, and what is known of all that is committed.

    Nobody else writes before the commit. ``failed`` is why the tables could not be brought up to date with what is decided: then nothing
    of the batch may be committed, whatever became of the transaction that found out. With ``guesses``, what is mostly new is taken to be
    new, and looked for together with all that the batch takes to be new, before anything is written and before anybody is answered.
    ``parts`` says that a transaction can be taken back without those before it.
    """

    def __init__(
        self, connection: sa.Connection, memory: Memory, *, guesses: bool = False, parts: bool = True
    ) -> None:
        self.connection = connection
        self.memory = memory
        self.decided = Pending()
        self.failed: BaseException | None = None
        self._guesses = guesses
        self._guessed: set[Place] = set()
        self._parts = parts
        self._parted = False
        self._recorded: list[Recorded] = []
        self._newest: int | None = None
        self._given = 0

    # --- guessing --------------------------------------------------------------------------------

    def known(self, place: Place) -> Record | msgspec.UnsetType | None:
        """Answer what is committed, or taken to be, under this key: the record, ``None`` for none, ``UNSET`` where that is not known."""
        return None if place in self._guessed else self.memory.get(place)

    def is_new(self, place: Place, *, made: bool) -> bool:
        """Answer whether nothing is taken to be there under this key, which nothing is known of; ``made`` where it is about to be made."""
        if self._guesses and (made or place[0] in _MOSTLY_NEW):
            self._guessed.add(place)
        return place in self._guessed

    def _confirm(self) -> None:
        """Look for what was taken to be new; raise ``GuessedWrong`` where something is there."""
        guessed: defaultdict[type[Record], list[str]] = defaultdict(list)
        for kind, record_id in self._guessed:
            guessed[kind].append(record_id)
        self._guessed.clear()
        wrong = False
        for kind, ids in guessed.items():
            found = dict(statements.among(TABLES[kind]).run(self.connection, {"ids": ids}).fetchall())
            wrong = wrong or bool(found)
            for record_id in ids:
                body = found.get(record_id)
                record = None if body is None else decode(kind, body)
                self.memory.learn((kind, record_id), record, len(body or b""))
        if wrong:
            raise GuessedWrong

    # --- writing ---------------------------------------------------------------------------------

    def finish(self) -> None:
        """Give what is decided its numbers in the journal and write it, for a query or for the commit."""
        self.number()
        self._confirm()
        if not self.decided.unwritten:
            return
        try:
            self.decided.write(self.connection)
        except BaseException as error:
            self.failed = error
            raise

    def part(self) -> None:
        """Before a transaction writes: let the database be able to take back this one without those before it."""
        if self._parts and not self._parted:
            self.finish()
            driver_of(self.connection).execute(f"SAVEPOINT {_PART}")
            self._parted = True

    def take_over(self, changes: Pending, recorded: Sequence[Recorded]) -> None:
        """Make what a transaction has decided part of the batch: it has succeeded."""
        if self._parted:
            driver_of(self.connection).execute(f"RELEASE {_PART}")
            self._parted = False
        self.decided.take_over(changes)
        self._recorded += recorded
        self._keep_given()

    def take_back(self) -> None:
        """Forget a transaction: it has failed."""
        if self._parted:
            driver_of(self.connection).execute(f"ROLLBACK TO {_PART}")
            driver_of(self.connection).execute(f"RELEASE {_PART}")
            self._parted = False
        self._given = 0

    # --- the journal -----------------------------------------------------------------------------

    def number(self) -> None:
        """Append what the transactions so far have recorded to the journal."""
        recorded, self._recorded = self._recorded, []
        if recorded:
            self.append(recorded, self.decided)
            self._keep_given()

    def append(self, recorded: Sequence[Recorded], changes: Pending) -> None:
        """Give these entries the next numbers and put them among the changes."""
        for seq, (entry, body) in enumerate(recorded, start=self._next_numbers(len(recorded))):
            # Whoever recorded the entry holds it: it gets its number once, here, and is as frozen as before.
            msgspec.structs.force_setattr(entry, "seq", seq)
            changes.append(_line(entry, body.removesuffix(_UNNUMBERED) + b'"seq":%d}' % seq))

    def _next_numbers(self, count: int) -> int:
        """Answer the first of the next ``count`` numbers of the journal."""
        if self.connection.dialect.name == "sqlite":  # one process, one writer
            first = self._newest_number() + self._given + 1
            self._given += count
            return first
        newest = statements.TAKE_NUMBERS.run(self.connection, {"count": count}).fetchone()[0]
        return int(newest) - count + 1

    def _keep_given(self) -> None:
        if self._newest is not None:
            self._newest += self._given
        self._given = 0

    def _newest_number(self) -> int:
        if self._newest is None:
            self._newest = int(statements.LAST_SEQ.run(self.connection, {}).fetchone()[0])
        return self._newest


def _line(entry: Entry, body: bytes) -> Row:
    keys = (getattr(entry.event, name, None) for name in JOURNAL_KEYS)
    leaf = hashlib.sha256(b"\x00" + body).digest()
    return (entry.seq, micros(entry.at), name_of(entry.event), *keys, body, leaf)
