"""What one writer knows of the records without asking the database.

Whoever is alone in changing records knows what they are as long as it remembers them: they change by :meth:`Tx.record` only, and what has
been changed is remembered anew when its commit is durable. A permit asks for the same dozen of records as the one before it, so this is
most of what it would ask the database. Where others change records too, nothing outlives a transaction.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stopwork.ledger.records import Hold, Record
from stopwork.storage.pending import Key, Pending

#: How much is remembered, as the size of its JSON. What was not used for as long as it takes to fill half of this is forgotten.
MAX_BYTES: Final = 32 * 1024 * 1024
#: What is larger is asked for again: one call with a large document must not push out everything else.
MAX_BYTES_EACH: Final = 64 * 1024
#: What is counted beside a record's own bytes, and for the knowledge that there is none.
_ROW_BYTES: Final = 200

#: Kinds that are few and seldom change, and that every permit searches.
_SEARCHED: Final[frozenset[type[Record]]] = frozenset({Hold})
MAX_SEARCHES: Final = 64

_Known = dict[Key, tuple[Record | None, int]]


class Memory:
    """Records as the database holds them, in two generations: what is asked for moves into the younger, and the elder is dropped."""

    def __init__(self) -> None:
        self._young: _Known = {}
        self._old: _Known = {}
        self._young_bytes = 0
        self._searches: dict[type[Record], dict[Any, list[Any]]] = {kind: {} for kind in _SEARCHED}

    def get(self, key: Key) -> Record | msgspec.UnsetType | None:
        """Answer the record, ``None`` where there is none, ``UNSET`` where that is not known."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                return msgspec.UNSET
            self.learn(key, *found)
        return found[0]

    def learn(self, key: Key, record: Record | None, size: int) -> None:
        """Remember what the database holds under this key: a record of so many bytes, or none."""
        replaced = self._young.pop(key, None)
        if replaced is not None:
            self._young_bytes -= replaced[1] + _ROW_BYTES
        self._old.pop(key, None)
        if size > MAX_BYTES_EACH:
            return
        self._young[key] = (record, size)
        self._young_bytes += size + _ROW_BYTES
        if self._young_bytes > MAX_BYTES // 2:
            self._old, self._young, self._young_bytes = self._young, {}, 0

    def forget(self, key: Key) -> None:
        """Know nothing of what the database holds under this key, and of what a search for its kind finds."""
        replaced = self._young.pop(key, None)
        if replaced is not None:
            self._young_bytes -= replaced[1] + _ROW_BYTES
        self._old.pop(key, None)
        if key[0] in self._searches:
            self._searches[key[0]].clear()

    def searched(self, kind: type[Record], asked: Any) -> list[Any] | None:
        """Answer what this search has found, if it was made since records of this kind changed."""
        found = self._searches.get(kind)
        return None if found is None else found.get(asked)

    def learn_search(self, kind: type[Record], asked: Any, records: list[Any]) -> None:
        """Remember what a search of the tables has found."""
        found = self._searches.get(kind)
        if found is not None:
            if len(found) >= MAX_SEARCHES:
                found.clear()
            found[asked] = records

    def learn_committed(self, changes: Pending) -> None:
        """Remember what has become durable."""
        for key, size in changes.bytes_of.items():
            self.learn(key, changes.records[key], size)
        for kind in changes.kinds:
            if kind in self._searches:
                self._searches[kind].clear()
