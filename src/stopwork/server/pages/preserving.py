"""What people send from the preserve section of an incident's page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from stopwork.ledger import words as w
from stopwork.operations import legal_hold
from stopwork.server.pages.sent import Landed, Sent


def set_hold(sent: Sent) -> Landed:
    """Keep everything that belongs to the incident."""
    sent.write(partial(legal_hold.hold, incident=sent.incident, reason=sent.get("reason")))
    return Landed("Nothing that belongs to this incident is removed from now on.", sent.at(w.Phase.PRESERVE))


def lift_hold(sent: Sent) -> Landed:
    """End the legal hold."""
    sent.write(partial(legal_hold.lift, incident=sent.incident, reason=sent.get("reason")))
    return Landed("The legal hold is lifted.", sent.at(w.Phase.PRESERVE))


PRESERVING: Final[dict[str, Callable[[Sent], Landed]]] = {
    "legal-hold": set_hold,
    "legal-hold/lift": lift_hold,
}
