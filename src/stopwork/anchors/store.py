"""A second object store, with credentials of its own: each checkpoint is one object, which is made once and never replaced.

Needs the extra ``s3``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stopwork.anchors.base import WITHIN_S, Log, Receipt, gone_back
from stopwork.kernel.errors import Invalid, Tampered, Unavailable
from stopwork.ledger.words import AnchorKind


class StoreAnchor:
    """Puts each checkpoint under ``s3://bucket/prefix``; the store itself refuses to overwrite one (``If-None-Match: *``)."""

    kind = AnchorKind.STORE

    def __init__(self, name: str, address: str, options: Mapping[str, str], *, every_s: float) -> None:
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError as error:
            raise Unavailable(
                "an anchor in a bucket needs a package that is not installed",
                hint="Install it with: pip install 'stopwork[s3]'",
            ) from error
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise Invalid(
                "this is not the address of a bucket",
                hint="It is written s3://bucket or s3://bucket/prefix.",
                field="url",
            )
        self.name, self.place, self.every_s = name, address.rstrip("/"), every_s
        self._obstore, self._failures = obstore, exceptions
        client: dict[str, Any] = {
            "timeout": f"{WITHIN_S:.0f}s",
            "allow_http": options.get("endpoint", "").startswith("http://"),
        }
        try:
            self._bucket = store.S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options=client,  # type: ignore[arg-type]  # its type is a TypedDict of all there are
                retry_config={"max_retries": 1},
                **dict[str, Any](options),
            )
        except (exceptions.BaseError, ValueError, TypeError) as error:
            raise Invalid(
                f"{self.place} cannot be used: {_first_line(error)}",
                hint="Give the options of obstore's S3 store, such as region and endpoint.",
                field="options",
            ) from error

    def take(self, log: Log, message_id: str) -> Receipt:  # noqa: ARG002 - the size names the object
        folder = log.checkpoint.origin.replace("/", "-")
        key = f"{folder}/{log.checkpoint.size:020d}.txt"
        try:
            for page in self._obstore.list(self._bucket, prefix=folder, offset=key, chunk_size=50):
                if later := [int(each["path"].rpartition("/")[2].removesuffix(".txt")) for each in page]:
                    raise gone_back(log, max(later), place=self.place)
            try:
                self._obstore.put(self._bucket, key, log.note.encode(), mode="create", use_multipart=False)
            except self._failures.AlreadyExistsError:
                self._require_same(key, log)
                return Receipt(said=f"{key} was there already")
        except self._failures.BaseError as error:
            raise Unavailable(
                f"{self.place} cannot be written: {_first_line(error)}",
                hint="It is tried again. Check the address and the credentials, which may list, read and create objects.",
            ) from error
        return Receipt(said=f"kept as {key}")

    def _require_same(self, key: str, log: Log) -> None:
        found = bytes(self._obstore.get(self._bucket, key).bytes())
        if found != log.note.encode():
            raise Tampered(
                f"{self.place} keeps another checkpoint of {log.checkpoint.size} entries",
                hint="Two histories were signed: stop the server, keep a copy of the database and of that object.",
                size=log.checkpoint.size,
                object=key,
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
