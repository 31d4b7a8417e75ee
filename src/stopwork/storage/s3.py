"""A bucket of any S3-compatible store. Needs the extra ``s3``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from stopwork.kernel.errors import Invalid, Unavailable


class Bucket:
    """The objects under ``s3://bucket/prefix``; ``failure`` is what its methods raise where the store does not do it.

    ``options`` have the names of the S3 options of obstore, ``client`` says how the store is asked. What is left out is taken from the
    environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, …).
    """

    def __init__(self, address: str, options: Mapping[str, Any], *, hint: str, **client: Any) -> None:
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError as error:
            raise Unavailable(
                "a bucket needs a package that is not installed",
                hint="Install it with: pip install 'stopwork[s3]'",
            ) from error
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise Invalid(
                f"{address!r:.200} is not the address of a bucket",
                hint="It is written s3://bucket or s3://bucket/prefix.",
                field="url",
            )
        self.address = address.rstrip("/")
        self.failure: type[Exception] = exceptions.BaseError
        self._obstore, self._failures = obstore, exceptions
        try:
            self._store = store.S3Store(
                parts.netloc, prefix=parts.path.strip("/") or None, **client, **dict(options)
            )
        except (exceptions.BaseError, ValueError, TypeError) as error:
            raise Invalid(
                f"{self.address} cannot be used: {first_line(error)}", hint=hint, field="options"
            ) from error

    def create(self, key: str, content: bytes) -> bool:
        """Keep an object; ``False`` where there is one of that key, which stays as it is."""
        try:
            # In one piece: only that can be refused by the store when something is there already (If-None-Match: *).
            self._obstore.put(self._store, key, content, mode="create", use_multipart=False)
        except self._failures.AlreadyExistsError:
            return False
        return True

    def pieces(self, key: str, *, min_bytes: int) -> Iterator[bytes]:
        """Yield an object's content; ``FileNotFoundError`` where there is none."""
        try:
            for piece in self._obstore.get(self._store, key).stream(min_chunk_size=min_bytes):
                yield bytes(piece)
        except self._failures.NotFoundError as error:
            raise FileNotFoundError(key) from error

    def content(self, key: str) -> bytes:
        """Answer the whole content of a small object."""
        return bytes(self._obstore.get(self._store, key).bytes())

    def keys_after(self, key: str, *, folder: str) -> Iterator[str]:
        """Yield the keys in a folder that come after this one, in their order."""
        for page in self._obstore.list(self._store, prefix=folder, offset=key, chunk_size=50):
            yield from (each["path"] for each in page)


def first_line(error: Exception) -> str:
    """Answer what an error of the store says, without what it says of itself."""
    return str(error).strip().partition("\n")[0][:300]
