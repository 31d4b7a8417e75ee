"""A file on another disk, or on a share that only takes additions: every checkpoint is added at its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stopwork.anchors.base import Log, Receipt, require_grown_from
from stopwork.kernel.errors import StopworkError, Unavailable
from stopwork.ledger.notes import Checkpoint, notes_in, read_checkpoint
from stopwork.ledger.words import AnchorKind

#: The end of the file that holds its last checkpoint, whatever was added last and was cut short.
_TAIL_BYTES: Final = 16 * 1024


class FileAnchor:
    """Adds checkpoints at the end of a file, and never writes anywhere else in it."""

    kind = AnchorKind.FILE

    def __init__(self, name: str, path: Path, *, every_s: float) -> None:
        self.name, self.place, self.every_s = name, str(path), every_s
        self._path = path

    def take(self, log: Log, message_id: str) -> Receipt:  # noqa: ARG002 - the size names what is added
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "r+b", buffering=0) as file:
                length = file.seek(0, os.SEEK_END)
                file.seek(max(0, length - _TAIL_BYTES))
                last = _last_in(file.read())
                if last is not None:
                    require_grown_from(log, last, place=self.place)
                # The gap before it parts it from whatever a crash cut short.
                file.write((b"\n\n" if length else b"") + log.note.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(
                f"{self.place} cannot be written: {error.strerror}",
                hint="Let the server's user add to the file, and look whether its disk is there and has room.",
            ) from error
        return Receipt(said=f"added at byte {length}")

    def kept(self, origin: str) -> Sequence[str]:  # noqa: ARG002 - a file is of one log
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Unavailable(
                f"{self.place} cannot be read: {error.strerror}",
                hint="Ask as a user who may read it, where its disk is mounted.",
            ) from error
        return notes_in(text) if text.strip() else ()


def _last_in(tail: bytes) -> Checkpoint | None:
    """Answer the last checkpoint of a file's end; its first and its last may be cut short."""
    for note in reversed(notes_in(tail.decode(errors="replace"))):
        text, signed, _ = note.partition("\n\n")
        with contextlib.suppress(StopworkError):
            if signed:
                return read_checkpoint(text + "\n")
    return None
