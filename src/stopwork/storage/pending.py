"""What is decided and not yet in the tables: records in their newest state, and lines of the journal.

A transaction keeps what it changes to itself until a query asks the tables, or until the commit is near. Then a record that ten jobs of one
commit have changed is written once, and each table with one statement for many rows. Layers of this lie upon each other: one for each
transaction, one for the commit it belongs to, and below them what the database holds (:mod:`stopwork.storage.memory`). A
transaction that fails is forgotten with its layer; nothing has to be taken back.
"""

from __future__ import annotations

from itertools import compress
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from stopwork.ledger.records import Record
from stopwork.storage import statements
from stopwork.storage.tables import COLUMNS, TABLES, journal, stored_values

#: A kind of record and an id.
Key = tuple[type[Record], str]

#: One row of the journal: a value for each column, in their order.
Row = tuple[Any, ...]
_JOURNAL: Final = tuple(column.name for column in journal.columns)
_encode: Final = msgspec.json.Encoder().encode


class Pending:
    """The changes of one transaction, or of all that share a commit.

    ``records`` are the newest states, written already or not; ``bytes_of`` says how large those that are written are.
    """

    __slots__ = ("_lines", "_stored", "bytes_of", "kinds", "records")

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.bytes_of: dict[Key, int] = {}
        self.kinds: set[type[Record]] = set()
        self._stored: dict[Key, Record | None] = {}
        self._lines: list[Row] = []

    @property
    def unwritten(self) -> bool:
        """Whether the tables lack something of this."""
        return bool(self._stored or self._lines)

    def change(self, key: Key, before: Record | None, after: Record) -> None:
        """Take down that a record, which was ``before`` until now, is ``after``."""
        self._stored.setdefault(key, before)
        self.records[key] = after
        self.kinds.add(key[0])

    def append(self, line: Row) -> None:
        """Take down a line of the journal."""
        self._lines.append(line)

    def take_over(self, upper: Pending) -> None:
        """Make the changes of the layer above part of this one."""
        for key, before in upper._stored.items():
            self._stored.setdefault(key, before)
        self.records |= upper.records
        self.bytes_of |= upper.bytes_of
        self.kinds |= upper.kinds
        self._lines += upper._lines

    def write(self, connection: sa.Connection) -> None:
        """Bring the tables up to date; the driver's own error when that fails, and then it is not known how far it came."""
        rows: dict[statements.Rows, list[tuple[Any, ...]]] = {}
        for (kind, record_id), stored in self._stored.items():
            record = self.records[kind, record_id]
            if record is stored or record == stored:
                continue
            columns, values, body = COLUMNS[kind], stored_values(record), _encode(record)
            if stored is not None:
                # An index is written again for every column that is set, whether or not its value is another.
                before = stored_values(stored)
                differs = [now != then for now, then in zip(values, before, strict=True)]
                columns, values = tuple(compress(columns, differs)), tuple(compress(values, differs))
                columns, values = ("id", *columns), (record_id, *values)
            statement = statements.rows(TABLES[kind], (*columns, "record"), there=stored is not None)
            rows.setdefault(statement, []).append((*values, body))
            self.bytes_of[kind, record_id] = len(body)
        for statement, each in rows.items():
            statement.write(connection, each)
        self._stored.clear()
        if self._lines:
            statements.rows(journal, _JOURNAL, there=False).write(connection, self._lines)
            self._lines.clear()
