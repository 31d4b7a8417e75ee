"""What a world holds, and what a call really changed. Knows nothing of Stopwork.

How an environment is taken apart into objects is each bench's own; from there on they are compared alike.
"""

from __future__ import annotations

from typing import Any, Final

Key = tuple[str, str]
"""Place and id; the id of what belongs to no place is ``OWN``."""

World = dict[Key, Any]
Change = tuple[Key, str]
"""An object and what happened to it: created, modified or deleted."""

OWN: Final = "own"


def changes(before: World, after: World) -> set[Change]:
    """Answer what differs between two worlds."""
    found = {(key, "created") for key in after.keys() - before.keys()}
    found |= {(key, "deleted") for key in before.keys() - after.keys()}
    found |= {(key, "modified") for key in before.keys() & after.keys() if before[key] != after[key]}
    return found
