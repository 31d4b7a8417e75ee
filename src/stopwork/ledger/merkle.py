"""The Merkle log (RFC 6962): entries go in at the end, and any later state proves every earlier one.

A :class:`Tree` keeps only the hashes of *perfect* subtrees, each written once and never changed: ``(level, index)`` covers
the ``2**level`` entries from ``index * 2**level`` on. Entries are added many at a time, a level at a time: two hashes an entry.
A root or proof costs O(log n) reads. Proofs are checked by the lines that travel in every bundle (:mod:`stopwork.ledger.offline`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Protocol

from stopwork.kernel.errors import Invalid
from stopwork.ledger.offline.inclusion import (
    EMPTY_ROOT,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "EMPTY_ROOT",
    "MemoryNodes",
    "Nodes",
    "Tree",
    "leaf_hash",
    "node_hash",
    "verify_consistency",
    "verify_inclusion",
]

_sha256: Final = hashlib.sha256


class Nodes(Protocol):
    """Where the hashes of perfect subtrees are kept."""

    def get(self, level: int, index: int) -> bytes: ...

    def put(self, level: int, index: int, nodes: Sequence[bytes]) -> None:
        """Keep the nodes of one level that stand side by side from ``index`` on."""


class MemoryNodes:
    """Nodes in memory, level by level: for tests, and for trees that are made anew."""

    def __init__(self) -> None:
        self.levels: defaultdict[int, list[bytes]] = defaultdict(list)

    def get(self, level: int, index: int) -> bytes:
        return self.levels[level][index]

    def put(self, level: int, index: int, nodes: Sequence[bytes]) -> None:
        row = self.levels[level]
        if index != len(row):
            raise Invalid(f"node {level}/{index} does not come after {len(row)} others", found=index)
        row.extend(nodes)


class Tree:
    """A Merkle log of ``size`` entries over stored nodes."""

    def __init__(self, nodes: Nodes, size: int = 0) -> None:
        self._nodes = nodes
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add the hashes of entries at the end, in their order."""
        level, first, row = 0, self._size, list(leaves)
        self._size += len(row)
        while row:
            self._nodes.put(level, first, row)
            if first & 1:
                first -= 1
                row.insert(0, self._nodes.get(level, first))
            # Spelled out: a call for each of them would take as long as the hash.
            pairs = zip(row[::2], row[1::2], strict=False)
            row = [_sha256(b"\x01" + left + right).digest() for left, right in pairs]
            level, first = level + 1, first >> 1

    def root(self, size: int | None = None) -> bytes:
        """Answer the root when the log had ``size`` entries; by default now."""
        size = self._known(self._size if size is None else size)
        return self._root(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Answer what proves that entry ``index`` is in the log of ``size`` entries (section 2.1.1)."""
        size = self._known(self._size if size is None else size)
        if not 0 <= index < size:
            raise Invalid(
                f"entry {index} is not among the first {size}", found=index, expected=f"0 to {size - 1}"
            )
        proof = []
        first, end = 0, size
        while end - first > 1:
            middle = first + _split(end - first)
            if index < middle:
                proof.append(self._root(middle, end))
                end = middle
            else:
                proof.append(self._root(first, middle))
                first = middle
        return tuple(reversed(proof))

    def consistency_proof(self, earlier: int, size: int | None = None) -> tuple[bytes, ...]:
        """Answer what proves that the log of ``size`` entries begins with the ``earlier`` ones (section 2.1.2)."""
        size = self._known(self._size if size is None else size)
        if not 0 <= earlier <= size:
            raise Invalid(f"a log of {earlier} entries is not earlier than one of {size}", found=earlier)
        if earlier in (0, size):
            return ()
        proof = []
        first, end = 0, size
        while end != earlier:
            middle = first + _split(end - first)
            if earlier <= middle:
                proof.append(self._root(middle, end))
                end = middle
            else:
                proof.append(self._root(first, middle))
                first = middle
        if first:
            proof.append(self._root(first, end))
        return tuple(reversed(proof))

    def _root(self, first: int, end: int) -> bytes:
        """Hash the entries from ``first`` to before ``end``; ``first`` is where a perfect subtree of that width begins."""
        width = end - first
        if width & (width - 1) == 0:
            level = width.bit_length() - 1
            return self._nodes.get(level, first >> level)
        middle = first + _split(width)
        return node_hash(self._root(first, middle), self._root(middle, end))

    def _known(self, size: int) -> int:
        if not 0 <= size <= self._size:
            raise Invalid(f"the log has {self._size} entries, not {size}", found=size, expected=self._size)
        return size


def _split(width: int) -> int:
    """Answer the largest power of two below ``width``."""
    return 1 << (width - 1).bit_length() - 1
