"""Looking at objects in their systems, outside every transaction: a slow system must not keep the writer waiting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import System

MAX_LOOKS: Final = 500


def look(systems: Mapping[str, System], objects: Iterable[ObjectRef]) -> dict[ObjectRef, Image]:
    """Answer what each object holds now; ``unknown``, with the reason, where it cannot be told."""
    return {
        ref: _looked(systems, ref) if number < MAX_LOOKS else Image.unknown("too many objects to look at")
        for number, ref in enumerate(dict.fromkeys(objects))
    }


def in_words(error: Exception) -> str:
    """Answer what an adapter raised; only our own errors speak for themselves."""
    return str(error) if isinstance(error, StopworkError) else f"{type(error).__name__}: {error}"


def _looked(systems: Mapping[str, System], ref: ObjectRef) -> Image:
    system = systems.get(ref.system)
    if system is None:
        return Image.unknown(f"no system {ref.system} is connected here")
    try:
        return system.read(ref)
    except Exception as error:  # noqa: BLE001 - one adapter's fault hides no other object
        return Image.unknown(in_words(error))
