"""How soon the flood was stopped, as the journal has it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from stopwork.demo.people import Person


class Detection(Struct, frozen=True, kw_only=True):
    """The permit of the first duplicate, and the commit of the hold that answered it."""

    summary: str
    hold: dict[str, Any]
    duplicate_at: datetime
    held_at: datetime

    @property
    def after_s(self) -> float:
        """The time from the one to the other."""
        return (self.held_at - self.duplicate_at).total_seconds()


def detection_of(asking: Person, incident: str) -> Detection:
    """Answer how the duplicate of an incident was noticed and held: both were written in one transaction."""
    signals = asking.get("/v1/signals", incident=incident)
    noticed = [signal for signal in signals if signal["detector"] == "duplicate_action"][-1]
    first_copy = asking.get(f"/v1/calls/{noticed['facts']['copies'][0]}")
    hold = asking.get("/v1/holds", incident=incident)[-1]
    return Detection(
        summary=noticed["summary"],
        hold=hold,
        duplicate_at=datetime.fromisoformat(first_copy["permitted_at"]),
        held_at=datetime.fromisoformat(hold["set_at"]),
    )
