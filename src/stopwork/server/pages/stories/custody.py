"""Who handled the evidence of the story's incident, and the legal hold on it."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.custody import CustodyLine
from stopwork.server.pages.stories.world import INCIDENT_ID, LEE, ago

_BY_ITSELF = r.Principal(kind=w.PrincipalKind.SYSTEM, id="preserving")

LEGAL_HOLD = r.LegalHold(
    id=INCIDENT_ID,
    workflow="weekly-renewal-risk",
    active=True,
    reason="set with the first sealing of its evidence",
    set_at=ago(minutes=31),
    set_by=_BY_ITSELF,
)
CUSTODY = (
    CustodyLine(
        at=ago(minutes=31),
        by=_BY_ITSELF,
        deed=w.CustodyDeed.SEALED,
        what=f"{INCIDENT_ID}-001.zip",
        why="by itself, because the incident is SEV1",
    ),
    CustodyLine(
        at=ago(minutes=31),
        by=_BY_ITSELF,
        deed=w.CustodyDeed.HELD,
        what="every record of the incident",
        why=LEGAL_HOLD.reason,
    ),
    CustodyLine(
        at=ago(minutes=20),
        by=LEE,
        deed=w.CustodyDeed.ADDED,
        what="screen of the customer.png",
        why="What the customer saw.",
    ),
    CustodyLine(at=ago(minutes=9), by=LEE, deed=w.CustodyDeed.SEALED, what=f"{INCIDENT_ID}-002.zip"),
    CustodyLine(at=ago(minutes=4), by=LEE, deed=w.CustodyDeed.EXPORTED, what=f"{INCIDENT_ID}-002.zip"),
)
