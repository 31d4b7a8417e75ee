"""What each system of this process lets a recovery do, in words that can be told to a server which does not have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from stopwork.incidents.reach import Reach
from stopwork.systems.base import System

TASKS: Final = ("create", "update", "delete")


def reach_of(system: System) -> Reach:
    """Answer how far recovery reaches into a system."""
    return Reach(
        restores=getattr(system, "restores", True),
        invokes=getattr(system, "invokes", False),
        unable=dict(getattr(system, "unable", {})),
    )


def told(systems: Mapping[str, System]) -> dict[str, Any]:
    """Answer, as plain JSON, how far recovery reaches into each of these systems."""
    return {name: msgspec.to_builtins(reach_of(system)) for name, system in systems.items()}


def heard(told: object) -> dict[str, Reach]:
    """Answer what a process has told of its systems; nothing where it has told something else."""
    try:
        return msgspec.convert(told, dict[str, Reach])
    except msgspec.ValidationError:
        return {}


def unable(types: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Answer, by type, what a map of types names no way for."""
    return {
        kind: lacking
        for kind, way in types.items()
        if (lacking := tuple(task for task in TASKS if getattr(way, task) is None))
    }
