"""What other tools have delivered: remembered for as long as they may deliver it again, so that twice is once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from stopwork.storage.tables import delivery
from stopwork.storage.transaction import Tx

#: For so long a delivery is known when it comes again.
REMEMBERED: Final = timedelta(days=7)
_ASKED_AT_ONCE: Final = 400


def delivery_digest(source: str, name: str) -> str:
    """Answer the versioned name under which a delivery is remembered; empty where the sender gives it none."""
    return "1:" + hashlib.sha256(f"{source}\0{name}".encode()).hexdigest() if name else ""


def delivered(tx: Tx, digests: Sequence[str]) -> dict[str, str]:
    """Answer which of these were delivered lately, and the signals that they are."""
    found: dict[str, str] = {}
    for start in range(0, len(digests), _ASKED_AT_ONCE):
        asked = digests[start : start + _ASKED_AT_ONCE]
        rows = tx.execute(
            sa.select(delivery.c.digest, delivery.c.signal).where(
                delivery.c.digest.in_(asked), delivery.c.at >= tx.now - REMEMBERED
            )
        )
        found |= {row.digest: row.signal for row in rows}
    return found


def remember(tx: Tx, new: Mapping[str, str]) -> None:
    """Remember what was delivered, by its digest, with the signal that it is; what is older than a delivery is known is forgotten."""
    if new:
        tx.execute(sa.delete(delivery).where(delivery.c.at < tx.now - REMEMBERED))
        tx.execute(
            sa.insert(delivery),
            [{"digest": digest, "at": tx.now, "signal": signal} for digest, signal in new.items()],
        )
