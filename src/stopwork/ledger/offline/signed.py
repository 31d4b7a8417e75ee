"""Signed text: keys, signed notes and checkpoints (C2SP), DSSE envelopes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.ed25519 import verify_ed25519

_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
NOT_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_ED25519 = b"\x01"
_COSIGNATURE = b"\x04"
_TIME_BYTES = 8

# Tells whether a signature over a message was made by a public key: public key, message, signature.
Verify = Callable[[bytes, bytes, bytes], bool]


class Key(NamedTuple):
    """A public key, the name it signs under, and how: as itself, or as a witness who signs the time as well."""

    name: str
    public: bytes
    kind: bytes = _ED25519

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(self.kind + self.public).decode()}"

    @property
    def cosigns(self) -> bool:
        """Whether this is the key of a witness."""
        return self.kind == _COSIGNATURE

    def signed(self, text: str, signature: bytes, verify: Verify = verify_ed25519) -> bool:
        """Tell whether ``signature`` over a note's text was made with the private half of this key."""
        if self.kind == _ED25519:
            return verify(self.public, text.encode(), signature)
        time, signature = signature[:_TIME_BYTES], signature[_TIME_BYTES:]
        return verify(self.public, cosigned_message(text, int.from_bytes(time, "big")), signature)

    @property
    def fingerprint(self) -> str:
        return "sha256:" + hashlib.sha256(self.public).hexdigest()


class Checkpoint(NamedTuple):
    """The state of a log: whose it is, how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes


def decode_base64(text: str) -> bytes:
    """Answer the bytes; any other spelling of the same bytes is refused."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Broken("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Broken("base64 that is not in its one canonical spelling")
    return data


def parse_vkey(vkey: str) -> Key:
    """Answer the key in ``name+id+base64``."""
    match = _VKEY.fullmatch(vkey)
    if match is None or not vkey.isprintable():
        raise Broken("a key is written name+8 hex digits+base64")
    blob = decode_base64(match[3])
    key = Key(match[1], blob[1:], blob[:1])
    if key.kind not in (_ED25519, _COSIGNATURE) or len(key.public) != 32:
        raise Broken("not an Ed25519 key")
    if key.vkey != vkey:
        raise Broken("the key's id does not belong to its name and bytes")
    return key


def open_note(note: str, keys: Iterable[Key], verify: Verify = verify_ed25519) -> tuple[str, tuple[Key, ...]]:
    """Answer the text of a signed note and which of ``keys`` signed it, at least one.

    Signatures by unknown keys are ignored; a wrong one by a known key breaks the note.
    """
    text, gap, signatures = note.rpartition("\n\n")
    text += "\n"
    if not gap or not signatures.endswith("\n") or NOT_TEXT.search(note):
        raise Broken("not a signed note")
    known = {(key.name, key.id): key for key in keys}
    signed_by = []
    for line in signatures[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise Broken("a signed note has a line that is not a signature")
        blob = decode_base64(match[2])
        key = known.get((match[1], blob[:4]))
        if key is None:
            continue
        if not key.signed(text, blob[4:], verify):
            raise Broken(f"the signature of {key.name} does not verify")
        signed_by.append(key)
    if not signed_by:
        raise Broken("no signature by the expected key")
    return text, tuple(signed_by)


def cosigned_message(text: str, unix_s: int) -> bytes:
    """Answer what a witness signs (cosignature/v1): the text of a checkpoint, and when it saw it."""
    return f"cosignature/v1\ntime {unix_s}\n{text}".encode()


def cosigned_at(note: str, witness: Key) -> int:
    """Answer when a witness says that it signed this note, in seconds since 1970; the note's signatures are checked already."""
    lines = note.rpartition("\n\n")[2].split("\n")
    blobs = (decode_base64(match[2]) for match in map(_SIGNATURE_LINE.fullmatch, lines) if match)
    return next(int.from_bytes(blob[4:12], "big") for blob in blobs if blob[:4] == witness.id)


def parse_checkpoint(text: str) -> Checkpoint:
    """Answer what a checkpoint's text says; extension lines are allowed and ignored."""
    lines = text.split("\n")
    if (
        len(lines) < 4
        or lines[-1]
        or not all(lines[:-1])
        or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1])
    ):
        raise Broken("not a checkpoint")
    root = decode_base64(lines[2])
    if len(root) != 32:
        raise Broken("the root of a checkpoint is 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Answer the bytes that a DSSE signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(payload_type: str, payload: bytes, key: Key, signature: bytes) -> bytes:
    """Answer a DSSE envelope, in its one spelling."""
    content = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": key.fingerprint, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"
