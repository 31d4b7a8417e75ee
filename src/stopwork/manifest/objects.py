"""What a manifest says of the fields of objects: which values are possible, and in which way a value never changes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from stopwork.manifest.parts import MAX_ENTRIES, FieldName, Part, says


class Never(StrEnum):
    """A way in which the value of a field does not change in this business."""

    DECREASES = "decreases"
    INCREASES = "increases"
    CHANGES = "changes"
    EMPTIED = "emptied"


class FieldRule(Part, frozen=True):
    """What is possible for one field; what an agent leaves there against it is a bad write."""

    min: Annotated[float | None, says("The smallest number that is possible.", 0)] = None
    max: Annotated[float | None, says("The largest number that is possible.", 1_000_000)] = None
    moves: Annotated[
        dict[str, tuple[str, ...]],
        says(
            "From a value, the values it may go to; from one that does not stand here it may go anywhere.",
            {"open": ["won", "lost"], "won": []},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    never: Annotated[
        tuple[Never, ...],
        says(
            "Ways in which it does not change; dates are compared as they are written, so as 2026-07-01.",
            ["decreases"],
            max_length=len(Never),
        ),
    ] = ()


class ObjectRule(Part, frozen=True):
    """What is possible for one type of object."""

    fields: Annotated[
        dict[FieldName, FieldRule],
        says(
            "Its fields.",
            {"amount": {"min": 0}, "renewal_date": {"never": ["decreases"]}},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
