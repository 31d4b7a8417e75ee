"""What has to be made safe in an incident, item by item and place by place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from stopwork.ledger.records.parts import Principal, Record, Scope
from stopwork.ledger.words import (
    ContainmentArea,
    ContainmentProof,
    ContainmentState,
    HookKind,
    PlaceKind,
)


class ContainmentPlace(Record):
    """One of the places at which an item is made safe; ``name`` is that of a hook, or the id of what the records tell of.

    ``tries`` numbers how often its hook was begun; in ``spared`` of them it did not run, as its probe was asked first and did not say no.
    A hook that is running is cut off by ``until``. ``probed`` is what its probe has said last: that it is safe, that it is not, or nothing.
    ``before_capture`` is why it did not wait for the evidence, where it did not.
    """

    kind: PlaceKind
    name: str
    state: ContainmentState = ContainmentState.PROPOSED
    hook: HookKind | None = None
    has_probe: bool = False
    tries: int = 0
    spared: int = 0
    until: datetime | None = None
    probed: bool | None = None
    proof: ContainmentProof | None = None
    note: str = ""
    by: Principal | None = None
    at: datetime | None = None
    before_capture: str = ""

    @property
    def running(self) -> bool:
        """Whether its hook was begun and no end is recorded."""
        return self.until is not None

    @property
    def runs(self) -> int:
        """How often its hook has run, or may have."""
        return self.tries - self.spared


class ContainmentItem(Record):
    """One thing to make safe. ``id`` is ``incident/area/n``.

    ``target`` is what it is about: a credential by the name that it has everywhere, a permission, a tool, a source, a trigger, an
    automation. ``scope`` is what a hold of it would cover. ``assignee`` has it, until ``due_at``; ``told_at`` is when they were reminded
    of that last.
    """

    id: str
    incident: str
    area: ContainmentArea
    what: str
    why: str
    state: ContainmentState
    automatic: bool = False
    by: Principal | None = None
    at: datetime | None = None
    verified_how: str = ""
    proof: ContainmentProof | None = None
    target: str = ""
    system: str = ""
    scope: Scope | None = None
    places: tuple[ContainmentPlace, ...] = ()
    assignee: str = ""
    due_at: datetime | None = None
    told_at: datetime | None = None

    @property
    def confirmed(self) -> int:
        """How many of its places are made safe."""
        return sum(place.state is ContainmentState.DONE for place in self.places)

    def place(self, kind: PlaceKind, name: str) -> ContainmentPlace | None:
        """Answer one of its places."""
        return next((each for each in self.places if (each.kind, each.name) == (kind, name)), None)


def standing_of(places: Iterable[ContainmentPlace]) -> ContainmentState:
    """Answer how far an item is whose places stand so: the worst that waits for somebody is said first."""
    states = {place.state for place in places}
    for each in (ContainmentState.IN_DOUBT, ContainmentState.FAILED, ContainmentState.IN_PROGRESS):
        if each in states:
            return each
    if states == {ContainmentState.DONE}:
        return ContainmentState.DONE
    return ContainmentState.PARTIAL if ContainmentState.DONE in states else ContainmentState.PROPOSED
