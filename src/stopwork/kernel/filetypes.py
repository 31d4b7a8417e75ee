"""What a file is, by how it begins. Nothing is ever shown or run because of it: it only tells people what they are about to open."""

from __future__ import annotations

from typing import Final

#: So much of a file's beginning is looked at.
HEAD_BYTES: Final = 512
UNKNOWN: Final = "application/octet-stream"
TEXT: Final = "text/plain"

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x7fELF", "application/x-elf"),
    (b"MZ", "application/x-msdownload"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_CONTROLS: Final = frozenset(range(32)) - set(b"\t\n\r\f\x1b")


def sniffed(head: bytes) -> str:
    """Answer the media type of content that begins like this, whatever its name says; markup counts as text."""
    head = head[:HEAD_BYTES]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    for beginning, media_type in _BEGINNINGS:
        if head.startswith(beginning):
            return media_type
    return TEXT if _is_text(head) else UNKNOWN


def _is_text(head: bytes) -> bool:
    if not head or _CONTROLS.intersection(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut off where looking ended.
        return len(head) == HEAD_BYTES and error.start > HEAD_BYTES - 4
    return True
