"""Reading many fields of a record at once, which takes a fraction of reading them one after the other."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any


def fields(*names: str) -> Callable[[Any], tuple[Any, ...]]:
    """Answer what reads these fields of a record, in this order."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)
