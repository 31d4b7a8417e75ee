"""Events of the last look: what a recovery put back is read once more before it is over."""

from __future__ import annotations

from stopwork.ledger.events.base import Event


class ItemsReadAgain(Event, tag="items.read_again"):
    """What the plan put back in ``system`` has been read once more, in its order up to the item ``upto``; ``done`` says that this was all.

    ``changed`` are the items that do not hold any more what they were verified to hold.
    """

    incident: str
    workflow: str
    plan: str
    system: str
    upto: str
    done: bool
    changed: tuple[str, ...] = ()
