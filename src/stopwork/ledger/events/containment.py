"""Events of containment. That a hook begins is on record before it runs; how it ended, and what its probe said, after."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.events.base import Event


class ContainmentProposed(Event, tag="containment.proposed"):
    incident: str
    workflow: str
    items: tuple[r.ContainmentItem, ...]


class ContainmentRecorded(Event, tag="containment.recorded"):
    """A person says how an item ended; ``proof`` is ``records`` where the records show the same. Earlier versions did not tell the two apart."""

    incident: str
    workflow: str
    item: str
    state: w.ContainmentState
    verified_how: str
    complete: bool
    proof: w.ContainmentProof | None = None


class ContainmentAssigned(Event, tag="containment.assigned"):
    """A person has an item from now on, until ``due_at``."""

    incident: str
    workflow: str
    item: str
    to: str
    due_at: datetime | None = None


class HookStarted(Event, tag="containment.hook_started"):
    """A hook begins, for the how-manieth time, and is cut off by ``until``. ``before_capture`` is why it does not wait for the evidence."""

    incident: str
    workflow: str
    item: str
    hook: str
    kind: w.HookKind
    number: int
    until: datetime
    has_probe: bool
    before_capture: str = ""


class HookEnded(Event, tag="containment.hook_ended"):
    """How a hook ended, and what its probe said, or nothing. ``looked`` when it did not run: only its probe was asked."""

    incident: str
    workflow: str
    item: str
    hook: str
    number: int
    state: w.ContainmentState
    note: str
    complete: bool
    probed: bool | None = None
    looked: bool = False


class ContainmentLooked(Event, tag="containment.looked"):
    """What the records tell of an item by now: its places, but for those of hooks."""

    incident: str
    workflow: str
    item: str
    places: tuple[r.ContainmentPlace, ...]
    complete: bool
