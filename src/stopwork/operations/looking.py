"""Looking at objects in their systems, outside every transaction: a slow system must not keep the writer waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Final

from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import System, in_words

MAX_LOOKS: Final = 500
#: How many systems may keep somebody waiting who only wants to see; whoever comes next is told at once that nobody could look.
MAX_GLANCES: Final = 4

_glances: Final = threading.BoundedSemaphore(MAX_GLANCES)


def look(systems: Mapping[str, System], objects: Iterable[ObjectRef]) -> dict[ObjectRef, Image]:
    """Answer what each object holds now; ``unknown``, with the reason, where it cannot be told."""
    return {
        ref: _looked(systems, ref) if number < MAX_LOOKS else Image.unknown("too many objects to look at")
        for number, ref in enumerate(dict.fromkeys(objects))
    }


def glance(systems: Mapping[str, System], ref: ObjectRef, *, within_s: float) -> Image:
    """Answer what an object holds now, or after ``within_s`` that it cannot be told: for people who wait for a page."""
    if not _glances.acquire(blocking=False):
        return Image.unknown("other objects are being looked at; try again in a moment")
    seen: list[Image] = []

    def work() -> None:
        try:
            seen.append(_looked(systems, ref))
        finally:
            _glances.release()

    thread = threading.Thread(target=work, name=f"glance at {ref.system}", daemon=True)
    thread.start()
    thread.join(within_s)
    return seen[0] if seen else Image.unknown(f"{ref.system} did not answer within {within_s:g} s")


def _looked(systems: Mapping[str, System], ref: ObjectRef) -> Image:
    system = systems.get(ref.system)
    if system is None:
        return Image.unknown(f"no system {ref.system} is connected here")
    try:
        return system.read(ref)
    except Exception as error:  # noqa: BLE001 - one adapter's fault hides no other object
        return Image.unknown(in_words(error))
