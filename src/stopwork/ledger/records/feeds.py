"""What systems of record tell of the changes in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger.records.parts import ObjectRef, Record
from stopwork.ledger.words import Operation


class FeedChange(Record):
    """A change that a system's own log tells of. ``id`` is the system's name and what the system calls the change.

    ``fields`` hold the value before and after. ``agents`` are the workflows whose agents write there as ``by``. When it was told, ``call``
    was the guarded call that had made the change, ``refused`` one that would have and was not permitted, and ``beside`` one that changed
    something else of that system at the same time.
    """

    id: str
    system: str
    at: datetime
    by: str
    object: ObjectRef
    object_key: str
    operation: Operation
    told_at: datetime
    fields: dict[str, tuple[Any, Any]] = {}
    destination: str | None = None
    agents: tuple[str, ...] = ()
    call: str | None = None
    refused: str | None = None
    beside: str | None = None
