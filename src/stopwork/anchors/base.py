"""What an anchor is: it takes the log's newest checkpoint to a place that the server cannot change afterwards.

An anchor raises ``Unavailable`` when the place took nothing, to be tried again, and ``Tampered`` when what the place keeps says that
this log is not the one it was: then somebody has put the database back, or has written its history anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from stopwork.kernel.errors import Tampered
from stopwork.ledger.notes import Checkpoint
from stopwork.ledger.words import AnchorKind
from stopwork.notify.web import Answer, ask

#: No receipt is larger: it stands in the journal.
MAX_RECEIPT_BYTES: Final = 64 * 1024
#: How long one place is waited for.
WITHIN_S: Final = 15.0


class Log(Protocol):
    """The log as an anchor sees it: its newest checkpoint, and what proves that it grew from an earlier one."""

    note: str
    checkpoint: Checkpoint

    def root(self, size: int) -> bytes:
        """Answer the root that the log had with this many entries."""

    def proof(self, earlier: int) -> Sequence[bytes]:
        """Answer what proves that the checkpoint's log begins with the ``earlier`` entries."""


class Receipt(Struct, frozen=True, kw_only=True):
    """What the place answered: in words, and where it can be checked, as bytes of a media type."""

    said: str
    content: bytes = b""
    media_type: str = ""


class Anchor(Protocol):
    """One place. ``name`` is the operator's word for it, ``place`` says where it is, without any credential."""

    name: str
    kind: AnchorKind
    place: str
    every_s: float

    def take(self, log: Log, message_id: str) -> Receipt:
        """Take the newest checkpoint there; the same ``message_id`` when it is tried again."""


class Readable(Anchor, Protocol):
    """A place whose checkpoints can be read back."""

    def kept(self, origin: str) -> Sequence[str]:
        """Answer the checkpoints that it keeps of this log; where there is none, those of another log, which may be this one with an exchanged key.

        Raises ``Unavailable`` when they cannot be read.
        """


def post(url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """Send something and answer what came back, no larger than a receipt; ``Unavailable`` when nothing did in time."""
    return ask("POST", url, content, headers, within_s=WITHIN_S, most_bytes=MAX_RECEIPT_BYTES)


def require_grown_from(log: Log, earlier: Checkpoint, *, place: str) -> None:
    """Raise ``Tampered`` unless the log is what it was when this checkpoint was taken to ``place``, or has grown from it."""
    if earlier.origin != log.checkpoint.origin:
        raise Tampered(
            f"{place} keeps checkpoints of {earlier.origin}, and this log is {log.checkpoint.origin}",
            hint="Give each log a place of its own. If this is the same log, its key was exchanged: stopwork db fsck",
            expected=earlier.origin,
            found=log.checkpoint.origin,
        )
    if earlier.size > log.checkpoint.size:
        raise gone_back(log, earlier.size, place=place)
    if log.root(earlier.size) != earlier.root:
        raise Tampered(
            f"{place} keeps a checkpoint of {earlier.size} entries, and the first {earlier.size} are other ones now",
            hint="Stop the server, keep a copy of the database, and compare it: stopwork db fsck --anchors FILE",
            size=earlier.size,
        )


def gone_back(log: Log, size: int, *, place: str) -> Tampered:
    """Answer the error for a log that has fewer entries than a checkpoint of it."""
    return Tampered(
        f"{place} keeps a checkpoint of {size} entries, and there are {log.checkpoint.size}: the database was put back",
        hint="If a backup was restored on purpose, begin a new place for its checkpoints. Otherwise stop the server and "
        "keep a copy of the database.",
        expected=size,
        found=log.checkpoint.size,
    )
