"""Which objects refer to which: as their systems declare it, such as by foreign keys, or as a value suggests that equals an id.

What is declared decides what has to be put right first. A value that merely equals an id, a number of stars and the number of a row, decides
at most the order of two items.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from stopwork.incidents.images import field_path, texts, value_at
from stopwork.ledger.records import ObjectRef, Record


class Reference(Record):
    """Objects of ``type`` name objects of type ``to`` of their system: their ``fields`` hold what those hold in ``named``.

    Without ``named`` it is the id that one field holds.
    """

    type: str
    fields: tuple[str, ...]
    to: str
    named: tuple[str, ...] = ()


class References:
    """Finds among objects those which a content names, and answers their places. ``declared`` are the references of each system."""

    def __init__(
        self, declared: Mapping[str, Sequence[Reference]], objects: Iterable[tuple[ObjectRef, Any]]
    ) -> None:
        self._from: dict[tuple[str, str], list[Reference]] = {}
        to: dict[tuple[str, str], list[Reference]] = {}
        for system, references in declared.items():
            for each in references:
                self._from.setdefault((system, each.type), []).append(each)
                to.setdefault((system, each.to), []).append(each)
        self._by_values: dict[tuple[str, Reference, tuple[str, ...]], list[int]] = {}
        self._by_id: dict[tuple[str, str], list[int]] = {}
        for place, (ref, content) in enumerate(objects):
            self._by_id.setdefault((ref.system, ref.id), []).append(place)
            for each in to.get((ref.system, ref.type), ()):
                if values := _values(content, each.named) if each.named else (ref.id,):
                    self._by_values.setdefault((ref.system, each, values), []).append(place)

    def named(self, by: ObjectRef, content: Any) -> Iterator[int]:
        """Yield the places of what the content of ``by`` names, as its system declares."""
        for each in self._from.get((by.system, by.type), ()):
            if values := _values(content, each.fields):
                yield from self._by_values.get((by.system, each, values), ())

    def suggested(self, by: ObjectRef, content: Any) -> Iterator[int]:
        """Yield the places of the objects of its system whose id is somewhere in the content of ``by``."""
        for text in dict.fromkeys(texts(content)):
            yield from self._by_id.get((by.system, text), ())


def _values(content: Any, fields: Sequence[str]) -> tuple[str, ...]:
    """Answer what these fields hold, as text; nothing where one of them names nothing."""
    found = [value_at(content, field_path(name)) for name in fields]
    return tuple(map(str, found)) if all(isinstance(value, str | int) for value in found) else ()
