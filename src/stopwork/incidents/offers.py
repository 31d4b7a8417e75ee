"""Offers: what the hooks of this server can make safe, as the proposals know them."""

from __future__ import annotations

from msgspec import Struct

from stopwork.ledger.records import ContainmentItem, ContainmentPlace
from stopwork.ledger.words import ContainmentArea, HoldMode, HookKind, PlaceKind


class HookOffer(Struct, frozen=True, kw_only=True):
    """One hook: the areas, targets and workflows it serves, where an empty list serves all of them; or only what names it.

    ``mode`` is of a hook that sets a hold.
    """

    name: str
    kind: HookKind
    areas: tuple[ContainmentArea, ...] = ()
    targets: tuple[str, ...] = ()
    workflows: tuple[str, ...] = ()
    only_named: bool = False
    has_probe: bool = False
    mode: HoldMode = HoldMode.BLOCK

    def serves(self, area: ContainmentArea, target: str, workflow: str) -> bool:
        """Answer whether this hook is for such an item."""
        return not self.only_named and all(
            not of or word in of
            for of, word in ((self.areas, area), (self.targets, target), (self.workflows, workflow))
        )

    def place(self) -> ContainmentPlace:
        """Answer the place that this hook is, in an item's list."""
        return ContainmentPlace(kind=PlaceKind.HOOK, name=self.name, hook=self.kind, has_probe=self.has_probe)


#: The hold that every server can set, without a line of settings, where an item has a scope.
HOLD = HookOffer(name="hold", kind=HookKind.HOLD, has_probe=True)


def fitting(offers: tuple[HookOffer, ...], item: ContainmentItem, workflow: str) -> tuple[HookOffer, ...]:
    """Answer the hooks that serve this item, or that its checklist names already."""
    named = {place.name for place in item.places if place.kind is PlaceKind.HOOK}
    return tuple(
        each
        for each in offers
        if each.name in named
        or (each.serves(item.area, item.target, workflow) and (each.kind is not HookKind.HOLD or item.scope))
    )
