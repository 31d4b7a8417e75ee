"""Sealing: signed checkpoints over the journal, so that a later change of any sealed entry shows."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Final

import sqlalchemy as sa

from stopwork.kernel.errors import Tampered
from stopwork.ledger.merkle import Tree
from stopwork.ledger.notes import Signer, checkpoint_text
from stopwork.ledger.offline.signed import Checkpoint
from stopwork.storage.store import Store
from stopwork.storage.tables import checkpoint, merkle_node
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How many entries one transaction seals, so that a permit never waits long behind it.
BATCH: Final = 2_000


class StoredNodes:
    """The nodes of the log: leaves stand in the journal, everything above them in a table of its own."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._new: dict[tuple[int, int], bytes] = {}

    def get(self, level: int, index: int) -> bytes:
        found = self._new.get((level, index)) or self._view.node(level, index)
        if found is None:
            raise Tampered(f"node {level}/{index} of the log is missing", hint="Run: stopwork db fsck")
        return found

    def put(self, level: int, index: int, node: bytes) -> None:
        self._new[level, index] = node

    def store(self, tx: Tx) -> None:
        """Write the new nodes above the leaves."""
        rows = [
            {"level": level, "position": index, "hash": node}
            for (level, index), node in self._new.items()
            if level > 0
        ]
        if rows:
            tx.execute(sa.insert(merkle_node), rows)


def seal(store: Store, signer: Signer) -> int:
    """Seal everything committed so far and answer how many entries the newest checkpoint covers.

    Raises ``Tampered`` when an entry about to be sealed no longer has the digest it was written with, or is gone.
    """
    size = store.read(_sealed)
    while size < (newest := store.last_seq):
        size = store.write(partial(_seal_batch, signer=signer, newest=newest))
    return size


def _sealed(view: View) -> int:
    """Answer how many entries are sealed; they have to be there."""
    size = (view.checkpoint() or (0, ""))[0]
    if view.last_seq() < size:
        raise _tampered(view.last_seq() + 1, "is missing")
    return size


def _seal_batch(tx: Tx, signer: Signer, newest: int) -> int:
    size = _sealed(tx)
    if tx.last_seq() < newest:
        raise _tampered(tx.last_seq() + 1, "is missing")
    rows = tx.stored(after=size, limit=BATCH)
    if not rows:
        return size
    nodes = StoredNodes(tx)
    tree = Tree(nodes, size)
    for row in rows:
        if row.seq != tree.size + 1:
            raise _tampered(tree.size + 1, "is missing")
        if hashlib.sha256(b"\x00" + row.body).digest() != row.leaf:
            raise _tampered(row.seq, "is not what was written")
        tree.append(row.leaf)
    nodes.store(tx)
    root = tree.root()
    note = signer.sign(checkpoint_text(Checkpoint(origin=signer.key.name, size=tree.size, root=root)))
    tx.execute(sa.insert(checkpoint).values(size=tree.size, root=root, note=note, at=tx.now))
    return tree.size


def _tampered(seq: int, how: str) -> Tampered:
    return Tampered(
        f"journal entry {seq} {how}",
        hint="Stop the server, keep a copy of the database, run: stopwork db fsck",
        seq=seq,
    )


def proofs(view: View, indexes: list[int], size: int) -> list[tuple[bytes, ...]]:
    """Answer the inclusion proof of each entry (index from 0) in the log of ``size`` entries."""
    tree = Tree(StoredNodes(view), size)
    return [tree.inclusion_proof(index, size) for index in indexes]
