"""Writing the container of a bundle: every file is measured first and written as it was measured, in bounded memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from stopwork.kernel.errors import Conflict, TooLarge
from stopwork.ledger.offline.container import MAX_CONTAINER_BYTES, MAX_MEMBERS, Member, directory

_CHUNK_BYTES = 1024 * 1024

#: What a file holds: bytes, the file that has them, or a function that answers them in pieces, each time the same.
Content = bytes | Path | IO[bytes] | Callable[[], Iterator[bytes]]


class File(NamedTuple):
    """One file of the bundle, measured before it is written."""

    name: str
    content: Content
    sha256: str
    crc: int
    size: int

    @classmethod
    def measured(cls, name: str, content: Content) -> File:
        sha256, crc, size = hashlib.sha256(), 0, 0
        for chunk in _chunks(content):
            sha256.update(chunk)
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
        return cls(name, content, sha256.hexdigest(), crc, size)


class Sink:
    """Where the container is written, with the digest and size of all that was."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.size_bytes += len(data)


def write_container(sink: Sink, files: Sequence[File]) -> None:
    """Write the files, which come in the order of their names; ``TooLarge`` for more than a container can hold."""
    members, offset = [], 0
    for file in files:
        members.append(Member(file.name, file.crc, file.size, offset))
        offset = members[-1].end
    if len(members) > MAX_MEMBERS or offset > MAX_CONTAINER_BYTES:
        raise TooLarge(
            f"{len(members)} files and {offset} bytes are more than a bundle can hold",
            hint="Export fewer entries, or keep large inputs elsewhere and name their digests.",
            expected={"files": MAX_MEMBERS, "bytes": MAX_CONTAINER_BYTES},
        )
    for file, member in zip(files, members, strict=True):
        sink.write(member.local_header())
        # What is written now must be what was measured: the manifest is signed over that.
        written = hashlib.sha256()
        for chunk in _chunks(file.content):
            written.update(chunk)
            sink.write(chunk)
        if written.hexdigest() != file.sha256:
            raise Conflict(
                f"{file.name} changed while the bundle was written", hint="Try again.", file=file.name
            )
    sink.write(directory(members))


def _chunks(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, Path):
        with content.open("rb") as file:
            yield from _chunks(file)
    elif callable(content):
        yield from content()
    else:
        content.seek(0)
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of ``path``, durably, when all went well, and vanishes otherwise."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
