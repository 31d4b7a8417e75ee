"""Blobs in a bucket of any S3-compatible store. Needs the extra ``s3``."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from stopwork.kernel.errors import Invalid, Unavailable
from stopwork.storage.blobs import CHUNK_BYTES, Blobs, FolderBlobs, Kept, hex_of

_SPOOL_BYTES: Final = 8 * 1024 * 1024


class BucketBlobs(Blobs):
    """Blobs under ``s3://bucket/prefix``. The store itself refuses to overwrite one (``If-None-Match: *``).

    Credentials, region and endpoint are those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, …) unless ``options`` says
    otherwise, with the names of the S3 options of obstore.
    """

    def __init__(self, address: str, options: Mapping[str, Any] | None = None) -> None:
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError as error:
            raise Unavailable(
                "blobs in a bucket need a package that is not installed",
                hint="Install it with: pip install 'stopwork[s3]'",
            ) from error
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise Invalid(
                f"{address!r:.200} is not the address of a bucket",
                hint="It is written s3://bucket or s3://bucket/prefix.",
                field="blobs",
            )
        self.address = address.rstrip("/")
        self._obstore, self._failures = obstore, exceptions
        try:
            self._bucket = store.S3Store(
                parts.netloc, prefix=parts.path.strip("/") or None, **(dict(options or {}))
            )
        except (exceptions.BaseError, ValueError) as error:
            raise Invalid(
                f"{self.address} cannot be used: {_first_line(error)}",
                hint="See the AWS_… variables of the environment.",
                field="blobs",
            ) from error

    def __str__(self) -> str:
        return self.address

    @contextlib.contextmanager
    def _draft(self) -> Iterator[IO[bytes]]:
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as draft:
            yield draft

    def _keep(self, kept: Kept, draft: IO[bytes]) -> bool:
        draft.seek(0)
        try:
            # In one piece: only that can be refused by the store when something is there already.
            self._obstore.put(
                self._bucket, _key(hex_of(kept.digest)), draft.read(), mode="create", use_multipart=False
            )
        except self._failures.AlreadyExistsError:
            return False
        except self._failures.BaseError as error:
            raise self._unavailable("written", _first_line(error)) from error
        return True

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            found = self._obstore.get(self._bucket, _key(name))
            for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)
        except self._failures.NotFoundError as error:
            raise FileNotFoundError(name) from error
        except self._failures.BaseError as error:
            raise self._unavailable("read", _first_line(error)) from error


def open_blobs(where: str | Path) -> Blobs:
    """Answer the blobs at an address ``s3://…``, or in a folder."""
    return BucketBlobs(where) if isinstance(where, str) and "://" in where else FolderBlobs(Path(where))


def _key(name: str) -> str:
    return f"sha256/{name[:2]}/{name}"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
