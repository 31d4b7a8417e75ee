"""How far recovery reaches into a system: whether content can be put back there, and whether tools can be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stopwork.ledger.records import Image, ObjectRef, Record
from stopwork.ledger.words import ImageState

#: Says why an object cannot be changed from the first image into the second one; empty where it can.
Lacks = Callable[[ObjectRef, Image, Image], str]


class Reach(Record):
    """What can be done in one system; ``unable`` names, by type of object, which of create, update and delete it has no way for."""

    restores: bool = True
    invokes: bool = False
    unable: dict[str, tuple[str, ...]] = {}


def task_of(now: Image, target: Image) -> str | None:
    """Answer what has to be done so that ``target`` is there: to create, update or delete; ``None`` for nothing."""
    match now.state, target.state:
        case ImageState.ABSENT, ImageState.PRESENT:
            return "create"
        case ImageState.PRESENT, ImageState.ABSENT:
            return "delete"
        case ImageState.PRESENT, ImageState.PRESENT:
            return "update"
    return None


def lacking(reaches: Mapping[str, Reach]) -> Lacks:
    """Answer what says which change a system has no way for."""

    def lacks(ref: ObjectRef, now: Image, target: Image) -> str:
        reach, task = reaches.get(ref.system), task_of(now, target)
        if reach is None or task not in reach.unable.get(ref.type, ()):
            return ""
        return f"{ref.system} has no way to {task} a {ref.type}"

    return lacks


def lacks_nothing(ref: ObjectRef, now: Image, target: Image) -> str:
    """Say nothing: every change can be made."""
    return ""
