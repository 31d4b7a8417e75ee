"""A second object store, with credentials of its own: each checkpoint is one object, which is made once and never replaced.

Needs the extra ``s3``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from stopwork.anchors.base import WITHIN_S, Log, Receipt, gone_back
from stopwork.kernel.errors import Tampered, Unavailable
from stopwork.ledger.words import AnchorKind
from stopwork.storage.s3 import Bucket, first_line

#: So many later checkpoints are looked at: one is enough to tell.
_LOOKED_AT: Final = 50
#: So many checkpoints are read back, evenly spread over all that there are, and with them the newest.
MOST_READ_BACK: Final = 200


class StoreAnchor:
    """Puts each checkpoint under ``s3://bucket/prefix``; the store itself refuses to overwrite one (``If-None-Match: *``)."""

    kind = AnchorKind.STORE

    def __init__(self, name: str, address: str, options: Mapping[str, str], *, every_s: float) -> None:
        self._bucket = Bucket(
            address,
            options,
            hint="Give the options of obstore's S3 store, such as region and endpoint.",
            client_options={
                "timeout": f"{WITHIN_S:.0f}s",
                "allow_http": options.get("endpoint", "").startswith("http://"),
            },
            retry_config={"max_retries": 1},
        )
        self.name, self.place, self.every_s = name, self._bucket.address, every_s

    def take(self, log: Log, message_id: str) -> Receipt:  # noqa: ARG002 - the size names the object
        folder = _folder(log.checkpoint.origin)
        key = f"{folder}/{log.checkpoint.size:020d}.txt"
        try:
            further = islice(self._bucket.keys_after(key, folder=folder), _LOOKED_AT)
            later = [int(each.rpartition("/")[2].removesuffix(".txt")) for each in further]
            if later:
                raise gone_back(log, max(later), place=self.place)
            if not self._bucket.create(key, log.note.encode()):
                self._require_same(key, log)
                return Receipt(said=f"{key} was there already")
        except self._bucket.failure as error:
            raise Unavailable(
                f"{self.place} cannot be written: {first_line(error)}",
                hint="It is tried again. Check the address and the credentials, which may list, read and create objects.",
            ) from error
        return Receipt(said=f"kept as {key}")

    def kept(self, origin: str) -> Sequence[str]:
        folder = _folder(origin)
        try:
            keys = list(self._bucket.keys_after(folder, folder=folder)) or list(
                self._bucket.keys_after("", folder="")
            )
            step = len(keys) // MOST_READ_BACK + 1
            chosen = keys[::-1][::step][::-1]
            return [self._bucket.content(key).decode(errors="replace") for key in chosen]
        except self._bucket.failure as error:
            raise Unavailable(
                f"{self.place} cannot be read: {first_line(error)}",
                hint="Check the address and the credentials, which have to be allowed to list and to read objects.",
            ) from error

    def _require_same(self, key: str, log: Log) -> None:
        if self._bucket.content(key) != log.note.encode():
            raise Tampered(
                f"{self.place} keeps another checkpoint of {log.checkpoint.size} entries",
                hint="Two histories were signed: stop the server, keep a copy of the database and of that object.",
                size=log.checkpoint.size,
                object=key,
            )


def _folder(origin: str) -> str:
    """Answer the folder of a log's checkpoints."""
    return origin.replace("/", "-")
