"""A log as an anchor sees it, whose every entry is known, so that it can be put back and written anew."""

from __future__ import annotations

from collections.abc import Sequence

from stopwork.ledger.merkle import MemoryNodes, Tree, leaf_hash
from stopwork.ledger.notes import Checkpoint, Signer, checkpoint_text

SIGNER = Signer("log.acme.test/1", b"\x01" * 32)


class LogOf:
    """The log of these entries, sealed."""

    def __init__(self, entries: Sequence[str], signer: Signer = SIGNER) -> None:
        self._tree = Tree(MemoryNodes())
        self._tree.extend([leaf_hash(each.encode()) for each in entries])
        self.checkpoint = Checkpoint(signer.key.name, len(entries), self._tree.root())
        self.note = signer.sign(checkpoint_text(self.checkpoint))

    def root(self, size: int) -> bytes:
        return self._tree.root(size)

    def proof(self, earlier: int) -> Sequence[bytes]:
        return self._tree.consistency_proof(earlier)


def grown(size: int) -> LogOf:
    """Answer the one true log when it had this many entries."""
    return LogOf([f"entry {number}" for number in range(size)])


def rewritten(size: int) -> LogOf:
    """Answer a log of another history, signed with the true key."""
    return LogOf(["something else", *(f"entry {number}" for number in range(1, size))])
