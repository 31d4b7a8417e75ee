"""Checkpoints of the log that are kept elsewhere, as ``data/anchors.jsonl`` names them, and how far that can be checked from here.

Each was signed by the log's own key, and the log of the bundle grew from it: that is checked. What a witness signed is checked with
its key, where the reader has it; of a time-stamp (RFC 3161) the digest and the time are read. Whether a file, a mail or a bucket holds what it is
said to hold, only a look there can tell.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stopwork.ledger.offline.bag import ANCHORS
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.inclusion import verify_consistency
from stopwork.ledger.offline.signed import (
    NOT_TEXT,
    Checkpoint,
    Key,
    cosigned_at,
    decode_base64,
    open_note,
    parse_checkpoint,
)

MAX_ANCHOR_LINE_BYTES = 512 * 1024
MAX_PLACES = 200
_PATH_TO_STAMP = (0, 1, 1, 0, 2, 1, 0)
_SHA256_OID = bytes.fromhex("608648016503040201")


@dataclass(frozen=True)
class Elsewhere:
    """One place that keeps a checkpoint of ``size`` entries, and what was ``seen`` of that.

    ``witness`` is whoever cosigned it, where that was checked with a key that the reader gave.
    """

    anchor: str
    place: str
    size: int
    root: str
    at: str
    seen: str
    witness: str = ""


def read_place(line: bytes, log: Checkpoint, signer: Key, witnesses: Sequence[Key]) -> Elsewhere:
    """Answer what one line says, once it is sure that the log grew from the checkpoint that it names."""
    try:
        told = json.loads(line)
        texts = [told[name] for name in ("anchor", "kind", "place", "at", "said", "checkpoint", "receipt")]
        proof = [bytes.fromhex(node) for node in told["proof"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Broken(f"{ANCHORS} has a line that does not name a place", ANCHORS) from None
    if any(not isinstance(text, str) or NOT_TEXT.search(text) for text in texts):
        raise Broken(f"{ANCHORS} has a line that does not name a place", ANCHORS)
    anchor, kind, place, at, said, note, receipt = texts
    try:
        text, _ = open_note(note, [signer])
        kept = parse_checkpoint(text)
        if kept.origin != log.origin or kept.size > log.size:
            raise Broken("it is not an earlier one of this log")
        if not verify_consistency(kept.size, log.size, kept.root, log.root, proof):
            raise Broken("the log of this bundle did not grow from it")
        seen, witness = f"said to be there: {said}", ""
        if kind == "witness":
            seen, witness = _cosigned(decode_base64(receipt).decode(), text, [signer, *witnesses])
        elif kind == "timestamp":
            seen = _stamped(decode_base64(receipt), note)
    except (Broken, UnicodeDecodeError) as error:
        raise Broken(f"the checkpoint that {anchor:.100} keeps: {error}", ANCHORS) from None
    return Elsewhere(anchor, place, kept.size, kept.root.hex(), at, seen, witness)


def _cosigned(note: str, text: str, keys: Sequence[Key]) -> tuple[str, str]:
    """Answer what a witness signed, and its name where that was checked with a key that the reader trusts."""
    found, signed_by = open_note(note, keys)
    if found != text:
        raise Broken("the witness signed something else")
    for key in signed_by:
        if key.cosigns:
            try:
                return f"cosigned by {key.name} at {_moment(time.gmtime(cosigned_at(note, key)))}", key.name
            except (ValueError, OverflowError, OSError):
                raise Broken("the time of the cosignature is no time") from None
    return "said to be cosigned; give the witness's key with --key to have it checked", ""


def _stamped(reply: bytes, note: str) -> str:
    """Answer when a time-stamp says that it was made; ``Broken`` when it is about something else."""
    unread = "a time-stamp that is not read here: check it with openssl ts"
    try:
        info = _inside(reply, _PATH_TO_STAMP)
        fields = [content for _, content in _parts(_inside(info, (0,)))]
        algorithm, imprint = (content for _, content in _parts(fields[2]))
        stamped_at = time.strptime(fields[4].decode()[:14], "%Y%m%d%H%M%S")
    except (LookupError, ValueError):
        return unread
    if _inside(algorithm, (0,)) != _SHA256_OID:
        return unread
    if imprint != hashlib.sha256(note.encode()).digest():
        raise Broken("the time-stamp is about something else")
    return f"stamped {_moment(stamped_at)}; whose stamp it is, openssl ts tells"


def _inside(data: bytes, path: Iterable[int]) -> bytes:
    """Answer the content at a path through DER, by the places of its parts."""
    for place in path:
        data = _parts(data)[place][1]
    return data


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """Answer tag and content of each value that stands side by side in DER."""
    found, at = [], 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length > 0x80:
            length, at = int.from_bytes(data[at : at + length - 0x80], "big"), at + length - 0x80
        elif length == 0x80:
            raise ValueError("BER")
        if at + length > len(data):
            raise ValueError("cut short")
        found.append((tag, data[at : at + length]))
        at += length
    return found


def _moment(utc: time.struct_time) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", utc)
