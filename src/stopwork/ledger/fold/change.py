"""What a fold is written with: changes of records, and the register of who handles which event."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from stopwork.kernel.fields import fields
from stopwork.ledger import events as e
from stopwork.ledger import records as r

R = TypeVar("R", bound=r.Record)


class Put(msgspec.Struct, frozen=True):
    """Store this record; it must not be there yet."""

    record: r.Record


class Update(msgspec.Struct, frozen=True):
    """Replace the record of this kind and id by what ``evolve`` makes of it; it must be there."""

    kind: type[r.Record]
    id: str
    evolve: Callable[[Any], r.Record]


class Upsert(msgspec.Struct, frozen=True):
    """Replace the record of this kind and id, or make it: ``evolve`` is given what is there, or ``None``.

    An ``evolve`` that answers ``None`` leaves things as they are.
    """

    kind: type[r.Record]
    id: str
    evolve: Callable[[Any], r.Record | None]


Change = Put | Update | Upsert

replace = msgspec.structs.replace


def to(kind: type[r.Record], record_id: str, **fields: Any) -> Update:
    """Answer the change that sets these fields of one record."""
    return Update(kind, record_id, lambda record: replace(record, **fields))


def same_fields(kind: type[R], event: e.Event, **more: Any) -> R:
    """Make a record from the event's fields of the same name and ``more``; other event fields are left out."""
    names, values = _shared(kind, type(event))
    return kind(**(dict(zip(names, values(event), strict=True)) | more))


@functools.cache
def _shared(
    kind: type[r.Record], event: type[e.Event]
) -> tuple[tuple[str, ...], Callable[[e.Event], tuple[Any, ...]]]:
    names = tuple(name for name in event.__struct_fields__ if name in kind.__struct_fields__)
    return names, fields(*names)


HANDLERS: dict[type[e.Event], Callable[[e.Entry, Any], Iterator[Change]]] = {}


def on(*kinds: type[e.Event]) -> Callable[[Any], Any]:
    """Register what the decorated function answers as the changes that events of these kinds make."""

    def register(handler: Any) -> Any:
        for kind in kinds:
            HANDLERS[kind] = handler
        return handler

    return register
