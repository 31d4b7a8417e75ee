"""Blobs in a bucket of any S3-compatible store. Needs the extra ``s3``."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

from stopwork.storage.blobs import CHUNK_BYTES, Blobs, FolderBlobs, Kept, hex_of
from stopwork.storage.s3 import Bucket, first_line

_SPOOL_BYTES: Final = 8 * 1024 * 1024


class BucketBlobs(Blobs):
    """Blobs under ``s3://bucket/prefix``. The store itself refuses to overwrite one (``If-None-Match: *``).

    Credentials, region and endpoint are those of the environment (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, …) unless ``options`` says
    otherwise, with the names of the S3 options of obstore.
    """

    def __init__(self, address: str, options: Mapping[str, Any] | None = None) -> None:
        self._bucket = Bucket(address, options or {}, hint="See the AWS_… variables of the environment.")
        self.address = self._bucket.address

    def __str__(self) -> str:
        return self.address

    @contextlib.contextmanager
    def _draft(self) -> Iterator[IO[bytes]]:
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as draft:
            yield draft

    def _keep(self, kept: Kept, draft: IO[bytes]) -> bool:
        draft.seek(0)
        try:
            return self._bucket.create(_key(hex_of(kept.digest)), draft.read())
        except self._bucket.failure as error:
            raise self._unavailable("written", first_line(error)) from error

    def _pieces(self, name: str) -> Iterator[bytes]:
        try:
            yield from self._bucket.pieces(_key(name), min_bytes=CHUNK_BYTES)
        except self._bucket.failure as error:
            raise self._unavailable("read", first_line(error)) from error


def open_blobs(where: str | Path) -> Blobs:
    """Answer the blobs at an address ``s3://…``, or in a folder."""
    return BucketBlobs(where) if isinstance(where, str) and "://" in where else FolderBlobs(Path(where))


def _key(name: str) -> str:
    return f"sha256/{name[:2]}/{name}"
