"""Which content beside the journal the journal names, and whether it is what was kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from stopwork.kernel.errors import Invalid, NotFound, Tampered, Unavailable
from stopwork.ledger.events import EVENT_TYPES, name_of
from stopwork.ledger.records import BlobRef
from stopwork.storage.blobs import Blobs
from stopwork.storage.view import View

#: The events that name content: those with a field ``blobs``.
NAMING: Final = tuple(name_of(kind) for kind in EVENT_TYPES if "blobs" in kind.__struct_fields__)
_ENTRIES_AT_ONCE: Final = 1_000


def named(view: View, **asked: Any) -> Iterator[tuple[int, BlobRef]]:
    """Answer the content that entries name, with the number of the entry; ``asked`` are the conditions of :meth:`View.stored`."""
    after = 0
    while NAMING and (
        page := view.entries(after=after, limit=_ENTRIES_AT_ONCE, **{"kinds": NAMING, **asked})
    ):
        for entry in page:
            for blob in getattr(entry.event, "blobs", ()):
                yield entry.seq, blob
        after = page[-1].seq


def fault_of(blobs: Blobs, blob: BlobRef) -> str | None:
    """Answer what is wrong with content that was kept; nothing when it is all there, unchanged. Reads all of it."""
    try:
        size = sum(map(len, blobs.read(blob.digest)))
    except (Invalid, NotFound, Tampered, Unavailable) as error:
        return error.detail
    return None if size == blob.size_bytes else f"it has {size} bytes and not {blob.size_bytes}"
