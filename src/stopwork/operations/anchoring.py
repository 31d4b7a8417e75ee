"""What is known of the log's anchors: which checkpoints lie at places that this server cannot change."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import Struct

from stopwork.anchors.base import Anchor, Receipt
from stopwork.ledger.events import LogAnchored, name_of
from stopwork.ledger.merkle import Tree
from stopwork.ledger.notes import Checkpoint, read_checkpoint, text_of
from stopwork.ledger.words import AnchorKind
from stopwork.operations.sealing import StoredNodes
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How far back it is looked for an anchor's newest receipt.
MAX_LOOKED_THROUGH: Final = 10_000
_PAGE: Final = 500


class SealedLog:
    """The log as it stood at its newest checkpoint: what an anchor takes along, and what it may ask."""

    def __init__(self, store: Store, note: str) -> None:
        self._store = store
        self.note = note
        self.checkpoint: Checkpoint = read_checkpoint(text_of(note))

    @classmethod
    def newest(cls, store: Store) -> SealedLog | None:
        """Answer the log as it is sealed now; ``None`` before the first seal."""
        found = store.read(View.checkpoint)
        return None if found is None else cls(store, found[1])

    def root(self, size: int) -> bytes:
        return self._store.read(lambda view: self._tree(view).root(size))

    def proof(self, earlier: int) -> Sequence[bytes]:
        return self._store.read(lambda view: self._tree(view).consistency_proof(earlier))

    def _tree(self, view: View) -> Tree:
        return Tree(StoredNodes(view), self.checkpoint.size)


class KeptElsewhere(Struct, frozen=True, kw_only=True):
    """One checkpoint that an anchor keeps, and what proves that the log of a later size grew from it.

    ``receipt`` is what the place answered, in base64, where that can be checked by itself.
    """

    anchor: str
    kind: AnchorKind
    place: str
    at: datetime
    size: int
    checkpoint: str
    said: str
    receipt: str
    media_type: str
    proof: tuple[str, ...]


def anchored(tx: Tx, *, anchor: Anchor, log: SealedLog, receipt: Receipt) -> None:
    """Record that an anchor keeps the log's checkpoint."""
    tx.record(
        LogAnchored(
            anchor=anchor.name,
            kind=anchor.kind,
            place=anchor.place,
            size=log.checkpoint.size,
            checkpoint=log.note,
            said=receipt.said,
            receipt=base64.b64encode(receipt.content).decode(),
            media_type=receipt.media_type,
        )
    )


def receipts(view: View, size: int) -> tuple[KeptElsewhere, ...]:
    """Answer the newest receipt of each anchor for a log of at most ``size`` entries, by the anchor's name."""
    tree = Tree(StoredNodes(view), size)
    newest: dict[str, KeptElsewhere] = {}
    for at, event in _anchorings(view):
        if event.size > size or event.anchor in newest:
            continue
        newest[event.anchor] = KeptElsewhere(
            anchor=event.anchor,
            kind=event.kind,
            place=event.place,
            at=at,
            size=event.size,
            checkpoint=event.checkpoint,
            said=event.said,
            receipt=event.receipt,
            media_type=event.media_type,
            proof=tuple(node.hex() for node in tree.consistency_proof(event.size)),
        )
    return tuple(newest[name] for name in sorted(newest))


def _anchorings(view: View) -> Iterator[tuple[datetime, LogAnchored]]:
    """Yield what was anchored, the newest first."""
    before: int | None = None
    asked = partial(view.entries, kinds=(name_of(LogAnchored),), newest_first=True, limit=_PAGE)
    for _ in range(MAX_LOOKED_THROUGH // _PAGE):
        entries = asked(before=before)
        for entry in entries:
            if isinstance(entry.event, LogAnchored):
                yield entry.at, entry.event
        if len(entries) < _PAGE:
            return
        before = entries[-1].seq
