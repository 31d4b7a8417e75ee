"""The base of every event, and the journal's envelope around one."""

from __future__ import annotations

from datetime import datetime
from typing import dataclass_transform

from msgspec import Struct, field

from stopwork.ledger import records as r


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Event(Struct, frozen=True, kw_only=True, gc=False, tag_field="event"):
    """The base of every event. One that names content kept beside the journal has a field ``blobs``, a tuple of ``BlobRef``."""


def name_of(event: Event | type[Event]) -> str:
    """Answer the event's name, for example ``run.started``."""
    return str(event.__struct_config__.tag)


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """One line of the journal. ``seq`` counts from 1 without a gap."""

    seq: int
    at: datetime
    actor: r.Principal
    event: Event
