"""The forms of missed runs: ordered to be made up for, and withdrawn."""

from __future__ import annotations

from stopwork.operations import backfills
from stopwork.server.pages.sent import Landed, Sent


def order_backfill(sent: Sent) -> Landed:
    """Order that a missed occasion is made up for."""
    workflow = sent.path["workflow"]
    manifests = sent.installation.manifests
    sent.write(
        lambda tx: backfills.order(
            tx,
            manifests,
            workflow=workflow,
            occasion=sent.get("occasion"),
            reason=sent.get("reason"),
            incident=sent.get("incident") or None,
            why=sent.get("why"),
        )
    )
    said = "It is ordered. An agent's process takes it up, and every check is made again then."
    return Landed(said, f"/workflows/{workflow}/backfills")


def withdraw_backfill(sent: Sent) -> Landed:
    """Take an order back."""
    found = sent.write(
        lambda tx: backfills.withdraw(tx, backfill=sent.path["backfill"], reason=sent.get("reason"))
    )
    return Landed("The order is withdrawn.", f"/workflows/{found.workflow}/backfills")
