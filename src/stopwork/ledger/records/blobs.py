"""Content that is kept beside the journal, named by its digest."""

from __future__ import annotations

from stopwork.ledger.records.parts import Record


class BlobRef(Record):
    """Content too large or too binary for the journal: what it is called, and the digest by which it is found and checked.

    An event that names some has them in a field ``blobs``, a tuple of these: that is how evidence collects them, how a check of the
    store looks at them, and how the journal vouches for their bytes.
    """

    digest: str
    size_bytes: int
    name: str
    media_type: str = "application/octet-stream"
