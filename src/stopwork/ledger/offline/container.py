"""The container: a zip file in one prescribed spelling.

Members stand in the order of their names, stored, with no gap, comment, flag or extra field, with the earliest date a
zip can hold and mode 0644. So the whole file can be spelled again from names and contents, and compared byte by
byte. Without zip64 there are two bounds: 4 GiB and 65,534 files.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from stopwork.ledger.offline.broken import Broken

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
MAX_NAME_BYTES = 255
MAX_MEMBERS = 65_534
MAX_CONTAINER_BYTES = 2**32 - 2

_DATE, _VERSION, _MADE_BY, _MODE = 0x0021, 20, 0x0314, 0o100644 << 16
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")


class Member(NamedTuple):
    """One file of the container; ``offset`` is where its local header begins."""

    name: str
    crc: int
    size: int
    offset: int

    @property
    def start(self) -> int:
        """Where the content begins."""
        return self.offset + _LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        """Where the content ends, and the next member begins."""
        return self.start + self.size

    def local_header(self) -> bytes:
        fields = (_VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\x03\x04", *fields) + self.name.encode()

    def central_header(self) -> bytes:
        fields = (_MADE_BY, _VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(self.name))
        return _CENTRAL.pack(b"PK\x01\x02", *fields, 0, 0, 0, 0, _MODE, self.offset) + self.name.encode()


def directory(members: Sequence[Member]) -> bytes:
    """Answer everything that follows the last member."""
    headers = b"".join(member.central_header() for member in members)
    offset = members[-1].end if members else 0
    return headers + _END.pack(b"PK\x05\x06", 0, 0, len(members), len(members), len(headers), offset, 0)


def read_members(file: BinaryIO) -> list[Member]:
    """Answer the members of a container, once it is sure that they lie side by side up to the directory.

    Nothing is unpacked and no content is read, so a hostile file costs no more than its directory.
    """
    length = file.seek(0, os.SEEK_END)
    end = read_at(file, max(0, length - _END.size), _END.size)
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise Broken("the file does not end as a bundle ends: it was cut short, or something was added")
    *_, count, size, offset, _ = _END.unpack(end)
    if offset + size + _END.size != length or size > count * (_CENTRAL.size + MAX_NAME_BYTES):
        raise Broken("bytes are missing, or were added, around the directory")
    members = list(_parse_directory(read_at(file, offset, size), count))
    position, previous = 0, ""
    for member in members:
        if member.name <= previous:
            raise Broken(f"{member.name} stands twice, or out of order", member.name)
        if member.offset != position:
            raise Broken(f"{member.name} does not begin where the file before it ends", member.name)
        position, previous = member.end, member.name
    if position != offset:
        raise Broken("the last file does not end where the directory begins")
    return members


def _parse_directory(headers: bytes, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if len(headers) - at < _CENTRAL.size:
            raise Broken("the directory is cut short")
        fields = _CENTRAL.unpack_from(headers, at)
        method, crc, packed, size, name_size, offset = fields[4], *fields[7:11], fields[16]
        name = headers[at + _CENTRAL.size : at + _CENTRAL.size + name_size].decode("ascii", "replace")
        at += _CENTRAL.size + name_size
        if len(name) > MAX_NAME_BYTES or not SAFE_NAME.fullmatch(name):
            raise Broken(f"{name!r:.80} is not a name that a bundle may hold")
        if method != 0 or packed != size:
            raise Broken(f"{name} is compressed: the bundle was packed again", name)
        yield Member(name, crc, size, offset)


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """Answer up to ``size`` bytes from ``offset`` on."""
    file.seek(offset)
    return file.read(size)


class Window(io.RawIOBase):
    """The content of one member, read in place."""

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self._file, self._at, self._end = file, member.start, member.end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = read_at(self._file, self._at, min(len(buffer), self._end - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
