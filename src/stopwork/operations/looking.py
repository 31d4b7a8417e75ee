"""Looking at objects in their systems, outside every transaction: a slow system must not keep the writer waiting."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Final, TypeVar, cast

from stopwork.incidents.references import Reference
from stopwork.kernel.clock import boottime
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Referring, Stamping, Swapping, System, in_words

MAX_LOOKS: Final = 500
#: How many systems may keep somebody waiting who only wants to see; whoever comes next is told at once that nobody could look.
MAX_GLANCES: Final = 4
#: How many objects are looked at at the same time, and how many together where a system can do that.
AT_ONCE: Final = 8
TOGETHER: Final = 100
LOOK_WITHIN_S: Final = 10.0
#: A system that has not answered so often is not asked again during the same look.
MAX_SILENCES: Final = 3

A = TypeVar("A")
#: Objects of one system that are asked for together.
_Part = tuple[ObjectRef, ...]

_glances: Final = threading.BoundedSemaphore(MAX_GLANCES)


def look(
    systems: Mapping[str, System],
    objects: Iterable[ObjectRef],
    *,
    most: int = MAX_LOOKS,
    within_s: float = LOOK_WITHIN_S,
) -> dict[ObjectRef, Image]:
    """Answer what each object holds now; ``unknown``, with the reason, where it cannot be told within ``within_s`` for each."""
    every = list(dict.fromkeys(objects))
    asked = _asked(_parts(systems, every[:most]), lambda part: _seen(systems, part), within_s)
    late = Image.unknown(f"it was not answered within {within_s:g} s")
    left_out = Image.unknown(f"not looked at: one look takes in {most} objects")
    return {ref: asked.get(ref, late) if number < most else left_out for number, ref in enumerate(every)}


def stamps(
    systems: Mapping[str, System], objects: Iterable[ObjectRef], *, within_s: float = LOOK_WITHIN_S
) -> dict[ObjectRef, tuple[str, str]]:
    """Answer who changed each object last, and when, where its system can tell."""
    parts = ((ref,) for ref in objects if callable(getattr(systems.get(ref.system), "stamp", None)))
    return _asked(parts, lambda part: _stamped(systems, part[0]), within_s)


def references(
    systems: Mapping[str, System], objects: Iterable[ObjectRef], *, within_s: float = LOOK_WITHIN_S
) -> dict[str, tuple[Reference, ...]]:
    """Answer what each system of these objects declares about which refers to which, where it can tell."""
    one_of_each = {ref.system: ref for ref in objects}.values()
    parts = ((ref,) for ref in one_of_each if callable(getattr(systems.get(ref.system), "references", None)))
    found = _asked(parts, lambda part: _referring(systems, part[0]), within_s)
    return {ref.system: declared for ref, declared in found.items()}


def _asked(
    parts: Iterator[_Part], ask: Callable[[_Part], dict[ObjectRef, A]], within_s: float
) -> dict[ObjectRef, A]:
    """Answer what was answered in time, with at most :data:`AT_ONCE` questions under way.

    Each is asked in a thread of its own: one that a system keeps for ever is left behind, and holds nobody up.
    """
    found: dict[ObjectRef, A] = {}
    answers: SimpleQueue[tuple[_Part, dict[ObjectRef, A]]] = SimpleQueue()
    begun: dict[_Part, float] = {}
    silent: Counter[str] = Counter()
    exhausted = False
    while not exhausted or begun:
        while len(begun) < AT_ONCE and not exhausted:
            part = next(parts, None)
            if part is None:
                exhausted = True
            elif silent[part[0].system] < MAX_SILENCES:
                begun[part] = boottime() + within_s
                _in_thread(part, ask, answers)
        if not begun:
            continue
        try:
            part, images = answers.get(timeout=max(0.0, min(begun.values()) - boottime()))
            if begun.pop(part, None) is not None:
                found |= images
        except Empty:
            for part in [part for part, until in begun.items() if until <= boottime()]:
                del begun[part]
                silent[part[0].system] += 1
    return found


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


def _parts(systems: Mapping[str, System], objects: Sequence[ObjectRef]) -> Iterator[_Part]:
    for name in dict.fromkeys(ref.system for ref in objects):
        own = [ref for ref in objects if ref.system == name]
        together = TOGETHER if callable(getattr(systems.get(name), "read_many", None)) else 1
        yield from (tuple(own[start : start + together]) for start in range(0, len(own), together))


def _in_thread(
    part: _Part,
    ask: Callable[[_Part], dict[ObjectRef, A]],
    answers: SimpleQueue[tuple[_Part, dict[ObjectRef, A]]],
) -> None:
    name = f"look at {part[0].system}"
    threading.Thread(target=lambda: answers.put((part, ask(part))), name=name, daemon=True).start()


def _seen(systems: Mapping[str, System], part: _Part) -> dict[ObjectRef, Image]:
    if len(part) > 1:
        try:
            images = cast(Swapping, systems[part[0].system]).read_many(part)
            return dict(zip(part, images, strict=True))
        except Exception:  # noqa: BLE001, S110 - which of them cannot be read is found out one by one
            pass
    return {ref: _looked(systems, ref) for ref in part}


def _stamped(systems: Mapping[str, System], ref: ObjectRef) -> dict[ObjectRef, tuple[str, str]]:
    try:
        return {ref: cast(Stamping, systems[ref.system]).stamp(ref)}
    except Exception:  # noqa: BLE001 - who it was is not known then
        return {}


def _referring(systems: Mapping[str, System], ref: ObjectRef) -> dict[ObjectRef, tuple[Reference, ...]]:
    try:
        return {ref: tuple(cast(Referring, systems[ref.system]).references())}
    except Exception:  # noqa: BLE001 - the place itself refuses what would leave a reference behind
        return {}


def _looked(systems: Mapping[str, System], ref: ObjectRef) -> Image:
    system = systems.get(ref.system)
    if system is None:
        return Image.unknown(f"no system {ref.system} is connected here")
    try:
        return system.read(ref)
    except Exception as error:  # noqa: BLE001 - one adapter's fault hides no other object
        return Image.unknown(in_words(error))
