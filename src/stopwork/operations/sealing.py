"""Sealing: signed checkpoints over the journal, so that a later change of any sealed entry shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from stopwork.kernel.errors import Conflict, NotFound, Tampered
from stopwork.ledger.merkle import Tree, leaf_hash
from stopwork.ledger.notes import Signer, checkpoint_text
from stopwork.ledger.offline.signed import Checkpoint
from stopwork.storage.store import Store
from stopwork.storage.tables import checkpoint, journal, merkle_node
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How many entries one transaction seals, so that a permit never waits long behind it.
BATCH: Final = 500
#: How many one seals where so much is unsealed that nobody who waits for a seal would wait less.
LARGE_BATCH: Final = 4_000
#: How C2SP tlog-tiles cuts the log: so many levels of it make one tile, so many hashes wide.
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
PROVER_REMEMBERS: Final = 4_096


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

    def put(self, level: int, index: int, nodes: Sequence[bytes]) -> None:
        self._new.update(((level, place), node) for place, node in enumerate(nodes, start=index))

    def rows(self) -> list[tuple[int, int, bytes]]:
        """Answer the new nodes above the leaves, as rows of their table."""
        return [(level, index, node) for (level, index), node in self._new.items() if level > 0]


class _Extension(Struct, frozen=True, kw_only=True):
    """What seals the entries from ``before`` to ``size``: the new nodes, the root and its signed note."""

    before: int
    size: int
    rows: list[tuple[int, int, bytes]]
    root: bytes
    note: str


def seal(store: Store, signer: Signer) -> int:
    """Seal everything committed so far and answer how many entries the newest checkpoint covers.

    Raises ``Tampered`` when an entry about to be sealed no longer has the digest it was written with, or is gone.
    """
    size = store.read(_sealed)
    while size < (newest := store.last_seq):
        # Hashing and signing take a while, and need no more than a snapshot: only what came of it waits in line with the permits.
        extension = store.read(partial(_extension, signer=signer, newest=newest))
        size = store.write(partial(_append, extension=extension))
    return size


def covered(view: View) -> int:
    """Answer how many entries the newest checkpoint covers."""
    return (view.checkpoint() or (0, ""))[0]


def _sealed(view: View) -> int:
    """Answer how many entries are sealed; they have to be there."""
    size = covered(view)
    if view.last_seq() < size:
        raise _tampered(view.last_seq() + 1, "is missing")
    return size


def _extension(view: View, *, signer: Signer, newest: int) -> _Extension:
    size = _sealed(view)
    if view.last_seq() < newest:
        raise _tampered(view.last_seq() + 1, "is missing")
    _require_same_origin(view, signer)
    nodes = StoredNodes(view)
    tree = Tree(nodes, size)
    tree.extend(_unchanged(view, after=size, limit=LARGE_BATCH if newest - size > LARGE_BATCH else BATCH))
    root = tree.root()
    note = signer.sign(checkpoint_text(Checkpoint(origin=signer.key.name, size=tree.size, root=root)))
    return _Extension(before=size, size=tree.size, rows=nodes.rows(), root=root, note=note)


def _unchanged(view: View, *, after: int, limit: int) -> list[bytes]:
    """Answer the leaves of the entries after this one; each has to be the hash of its entry, and none missing."""
    rows = view.stored(after=after, limit=limit)
    for seq, row in enumerate(rows, start=after + 1):
        if row.seq != seq:
            raise _tampered(seq, "is missing")
        if leaf_hash(row.body) != row.leaf:
            raise _tampered(seq, "is not what was written")
    return [row.leaf for row in rows]


def _require_same_origin(view: View, signer: Signer) -> None:
    """Raise ``Conflict`` when the journal has been sealed with another key: two logs over one journal prove nothing."""
    newest = view.checkpoint()
    origin = None if newest is None else newest[1].partition("\n")[0]
    if origin not in (None, signer.key.name):
        raise Conflict(
            f"the journal is sealed by {origin}, and this server would sign as {signer.key.name}",
            hint="Servers that share a database share its signing key: give them one folder.",
            expected=origin,
            found=signer.key.name,
        )


def _append(tx: Tx, *, extension: _Extension) -> int:
    """Make a seal durable, unless somebody else has sealed meanwhile; answer how many entries are sealed."""
    sealed = _sealed(tx)
    if sealed != extension.before or extension.size == extension.before:
        return sealed
    if extension.rows:
        tx.insert(merkle_node, ("level", "position", "hash"), extension.rows)
    row = {"size": extension.size, "root": extension.root, "note": extension.note, "at": tx.now}
    tx.execute(sa.insert(checkpoint), [row])
    return extension.size


def _tampered(seq: int, how: str) -> Tampered:
    return Tampered(
        f"journal entry {seq} {how}",
        hint="Stop the server, keep a copy of the database, run: stopwork db fsck",
        seq=seq,
    )


class _RememberedNodes(StoredNodes):
    """Nodes that proofs share are read once: the newest so many of them are remembered."""

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.get = lru_cache(PROVER_REMEMBERS)(super().get)  # type: ignore[method-assign]


def prover(view: View, size: int) -> Callable[[int], tuple[bytes, ...]]:
    """Answer what proves that the entry at an index (from 0) is in the log of ``size`` entries."""
    tree = Tree(_RememberedNodes(view), size)
    return lambda index: tree.inclusion_proof(index, size)


def unsealed_for_s(view: View, now: datetime) -> float:
    """Answer how long the oldest entry that no checkpoint covers has waited for one."""
    waiting = view.entries(after=covered(view), limit=1)
    return max(0.0, (now - waiting[0].at).total_seconds()) if waiting else 0.0


def tile(view: View, level: int, index: int, width: int) -> bytes:
    """Answer hashes of the log side by side as C2SP tlog-tiles has them: ``width`` roots of ``256**level`` entries each.

    ``NotFound`` where the newest checkpoint does not cover all of them.
    """
    first, height = index * TILE_WIDTH, TILE_HEIGHT * level
    if first + width > covered(view) >> height:
        raise NotFound(
            f"tile {level}/{index} of {width} hashes is not sealed yet", hint="Read /v1/log/checkpoint first."
        )
    if level == 0:
        leaves = sa.select(journal.c.leaf).where(journal.c.seq > first, journal.c.seq <= first + width)
        rows = view.execute(leaves.order_by(journal.c.seq)).scalars()
    else:
        at, position = merkle_node.c.level == height, merkle_node.c.position
        nodes = sa.select(merkle_node.c.hash).where(at, position >= first, position < first + width)
        rows = view.execute(nodes.order_by(position)).scalars()
    return b"".join(rows)
