"""How long idempotency keys are kept: for as long as the manifest says after their last use, and for ever while nobody knows how their
call ended. After that the same call may be made again.
"""

from __future__ import annotations

from typing import Final

from stopwork.ledger.events import KeysExpired
from stopwork.ledger.records import Key, Workflow
from stopwork.operations.manifests import Manifests
from stopwork.storage.transaction import Tx

#: So many keys expire in one transaction; the next round takes those that are left.
MOST_AT_ONCE: Final = 500


def expire_keys(tx: Tx, manifests: Manifests) -> int:
    """Record which keys have not been used for as long as their manifest keeps them; answer how many. A key that is open is none."""
    expired = 0
    for workflow in tx.each(Workflow):
        keep = manifests.version(tx, workflow.id, workflow.version).manifest.idempotency_keep
        keys = tx.find(
            Key,
            workflow=workflow.id,
            idle_since_before=tx.now - keep,
            order="idle_since",
            limit=MOST_AT_ONCE - expired,
        )
        if keys:
            tx.record(KeysExpired(workflow=workflow.id, keys=tuple(key.id for key in keys)))
            expired += len(keys)
        if expired == MOST_AT_ONCE:
            break
    return expired
