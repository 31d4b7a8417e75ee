"""How long idempotency keys are kept: for as long as the manifest says after their last use, and for ever while nobody knows how their
call ended. After that the same call may be made again. Keys of calls that a legal hold covers are kept for another such time.
"""

from __future__ import annotations

from typing import Final

from stopwork.ledger.events import KeysExpired, KeysKept
from stopwork.ledger.records import Call, Key, Workflow
from stopwork.operations.legal_hold import held_runs
from stopwork.operations.manifests import Manifests
from stopwork.storage.transaction import Tx

#: So many keys are looked at in one transaction; the next round takes those that are left.
MOST_AT_ONCE: Final = 500


def expire_keys(tx: Tx, manifests: Manifests) -> int:
    """Record which keys have not been used for as long as their manifest keeps them; answer how many. A key that is open is none."""
    expired = looked_at = 0
    for workflow in tx.each(Workflow):
        keep = manifests.version(tx, workflow.id, workflow.version).manifest.idempotency_keep
        keys = tx.find(
            Key,
            workflow=workflow.id,
            idle_since_before=tx.now - keep,
            order="idle_since",
            limit=MOST_AT_ONCE - looked_at,
        )
        if keys:
            kept = _held(tx, workflow.id, keys)
            free = tuple(key.id for key in keys if key.id not in kept)
            if free:
                tx.record(KeysExpired(workflow=workflow.id, keys=free))
            if kept:
                tx.record(KeysKept(workflow=workflow.id, keys=tuple(sorted(kept))))
            expired += len(free)
            looked_at += len(keys)
        if looked_at == MOST_AT_ONCE:
            break
    return expired


def _held(tx: Tx, workflow: str, keys: list[Key]) -> set[str]:
    runs = held_runs(tx, workflow)
    return {key.id for key in keys if tx.need(Call, key.call).run in runs} if runs else set()
