"""Blobs: content that is kept under its own digest, written once and never changed.

What is kept is found by what it is, so the same content is kept once, nothing can take another one's place, and whoever reads gets what
was written or an error. The journal names the digests (:class:`stopwork.ledger.records.BlobRef`); this is where the bytes lie.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import stat
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

from stopwork.kernel.errors import Invalid, NotFound, Tampered, TooLarge, Unavailable

#: The largest content that is kept. What is larger stays where it is, and its digest is written down.
MAX_BLOB_BYTES: Final = 64 * 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Kept(Struct, frozen=True, kw_only=True):
    """What was kept: ``digest`` is ``sha256:`` and 64 hex digits."""

    digest: str
    size_bytes: int


class Blobs(ABC):
    """Where blobs lie. What one of these has kept it never overwrites, and nothing removes it."""

    def put(self, content: bytes | IO[bytes], *, limit_bytes: int = MAX_BLOB_BYTES) -> Kept:
        """Keep content, read once and in pieces; durable when this returns. Content that is there already stays as it is.

        ``TooLarge`` beyond ``limit_bytes``, ``Unavailable`` when it cannot be written: then nothing is kept. ``Tampered`` when it is there
        already and no longer what it was.
        """
        limit_bytes = min(limit_bytes, MAX_BLOB_BYTES)
        try:
            with self._draft() as draft:
                kept = _copy(content, draft, limit_bytes)
                draft.flush()
                new = self._keep(kept, draft)
        except OSError as error:
            raise self._unavailable("written", error.strerror or str(error)) from error
        if not new:  # it counts as kept only if it is there unharmed
            deque(self.read(kept.digest), maxlen=0)
        return kept

    def read(self, digest: str) -> Iterator[bytes]:
        """Answer the content in pieces; the last one only once all of it is known to be what was kept.

        ``NotFound`` when there is none, ``Tampered`` when it is not what was kept.
        """
        found, held_back = hashlib.sha256(), b""
        try:
            for piece in self._pieces(hex_of(digest)):
                found.update(piece)
                if held_back:
                    yield held_back
                held_back = piece
        except FileNotFoundError as error:
            raise NotFound(
                f"the content {digest} is not in {self}", hint="Restore it from a backup.", digest=digest
            ) from error
        except OSError as error:
            raise self._unavailable("read", error.strerror or str(error)) from error
        if f"sha256:{found.hexdigest()}" != digest:
            raise Tampered(
                f"the content {digest} is not what was kept",
                hint="Keep it as it is, and restore the right one from a backup.",
                expected=digest,
                found=f"sha256:{found.hexdigest()}",
            )
        if held_back:
            yield held_back

    def _unavailable(self, doing: str, why: str) -> Unavailable:
        return Unavailable(
            f"content cannot be {doing} in {self}: {why}", hint="See that the place is there and has room."
        )

    @abstractmethod
    def __str__(self) -> str:
        """Where it is, for people."""

    @abstractmethod
    def _draft(self) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Answer a file for content whose digest is not known yet; it is gone afterwards."""

    @abstractmethod
    def _keep(self, kept: Kept, draft: IO[bytes]) -> bool:
        """Make a draft durable under its digest; answer whether it was not there already."""

    @abstractmethod
    def _pieces(self, name: str) -> Iterator[bytes]:
        """Answer the content under these hex digits in pieces; ``FileNotFoundError`` when there is none."""


class FolderBlobs(Blobs):
    """Blobs as files of one folder, readable by its owner only. Servers that share a folder share its blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    @contextlib.contextmanager
    def _draft(self) -> Iterator[IO[bytes]]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".unfinished.") as draft:
            yield draft

    def _keep(self, kept: Kept, draft: IO[bytes]) -> bool:
        path = self._path(hex_of(kept.digest))
        os.fsync(draft.fileno())
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(draft.name, path)
        except FileExistsError:
            return False
        for folder in (path.parent, self.folder):
            _make_durable(folder)
        return True

    def _pieces(self, name: str) -> Iterator[bytes]:
        with open_regular(self._path(name)) as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read it, or raise ``OSError`` where something else was put in its place: a pipe would be waited for without end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return os.fdopen(handle, "rb")


def hex_of(digest: str) -> str:
    """Answer the hex digits of a digest; ``Invalid`` for what is none, so that no other text ever becomes a path."""
    if not _DIGEST.fullmatch(digest):
        raise Invalid(
            f"{digest!r:.80} is not a digest", hint="It is written sha256: and 64 hex digits.", field="digest"
        )
    return digest.removeprefix("sha256:")


def _copy(content: bytes | IO[bytes], draft: IO[bytes], limit_bytes: int) -> Kept:
    sha256, size = hashlib.sha256(), 0
    pieces = [content] if isinstance(content, bytes) else iter(lambda: content.read(CHUNK_BYTES), b"")
    for piece in pieces:
        size += len(piece)
        if size > limit_bytes:
            raise TooLarge(
                f"the content is larger than {limit_bytes} bytes",
                hint="Keep it where it is, and note where, with its digest.",
                limit=limit_bytes,
            )
        sha256.update(piece)
        draft.write(piece)
    return Kept(digest=f"sha256:{sha256.hexdigest()}", size_bytes=size)


def _make_durable(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
