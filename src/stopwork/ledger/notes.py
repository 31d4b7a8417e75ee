"""Signed notes and checkpoints (C2SP): text that says who signed it, verifiable by anyone who knows the key."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterable
from functools import cache, cached_property
from typing import Final

from stopwork.kernel.errors import Invalid, Tampered
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.ed25519 import verify_ed25519
from stopwork.ledger.offline.signed import (
    NOT_TEXT,
    Checkpoint,
    Key,
    Verify,
    open_note,
    parse_checkpoint,
    parse_vkey,
)

__all__ = [
    "Checkpoint",
    "Key",
    "Signer",
    "checkpoint_text",
    "notes_in",
    "read_checkpoint",
    "read_key",
    "text_of",
    "verify",
]

_SIGNED: Final = "— "


class Signer:
    """Signs under one name with one Ed25519 key. The private half never leaves it and is never shown."""

    def __init__(self, name: str, private: bytes) -> None:
        """``name`` has no spaces and no ``+``; ``private`` is the 32 bytes of RFC 8032."""
        # Imported here so that records, proofs and the SDK need no cryptography package.
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if len(private) != 32:
            raise Invalid("an Ed25519 private key is 32 bytes", found=len(private), expected=32)
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.key = read_key(Key(name, self._private.public_key().public_bytes_raw()).vkey)

    def __repr__(self) -> str:
        return f"Signer({self.vkey!r})"

    @cached_property
    def vkey(self) -> str:
        """The public key as text to hand out: ``name+id+base64``."""
        return self.key.vkey

    def sign_bytes(self, message: bytes) -> bytes:
        """Answer the 64 bytes of the signature over ``message``."""
        return self._private.sign(message)

    def sign(self, text: str) -> str:
        """Answer ``text`` as a note signed with this key."""
        if not text.endswith("\n") or NOT_TEXT.search(text):
            raise Invalid(
                "a note is lines of text", hint="End it with a newline; no other control characters."
            )
        blob = base64.b64encode(self.key.id + self.sign_bytes(text.encode())).decode()
        return f"{text}\n— {self.key.name} {blob}\n"


def verify(note: str, vkeys: Iterable[str]) -> str:
    """Answer the text of a note that at least one of these keys signed.

    Raises ``Tampered`` if none did, or if a signature by one of them is wrong; ``Invalid`` if a key is not a key.
    """
    keys = [read_key(vkey) for vkey in vkeys]
    try:
        text, _ = open_note(note, keys, _quickest())
    except Broken as broken:
        raise Tampered(f"the note does not verify: {broken}", expected=[key.vkey for key in keys]) from broken
    return text


@cache
def _quickest() -> Verify:
    """Answer what checks signatures fastest here: OpenSSL where it is installed, which agrees with the lines that travel."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ModuleNotFoundError:
        return verify_ed25519

    def checked(public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return checked


def read_key(vkey: str) -> Key:
    """Answer the key in ``name+id+base64``; raises ``Invalid``."""
    try:
        return parse_vkey(vkey)
    except Broken as broken:
        hint = "Copy the whole key: name, +, 8 hex digits, +, base64."
        raise Invalid(f"not a verification key: {broken}", hint=hint, found=vkey[:200]) from broken


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Answer the text to sign for a state of a log."""
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"
    if read_checkpoint(text) != checkpoint:
        raise Invalid("a log's origin is one line of text", found=checkpoint.origin[:200])
    return text


def read_checkpoint(text: str) -> Checkpoint:
    """Answer what a checkpoint's text says; raises ``Invalid``."""
    try:
        return parse_checkpoint(text)
    except Broken as broken:
        raise Invalid(f"not a checkpoint: {broken}", found=text[:200]) from broken


def text_of(note: str) -> str:
    """Answer the text of a note, whoever signed it: for what this server wrote itself."""
    return note.rpartition("\n\n")[0] + "\n"


def notes_in(text: str) -> list[str]:
    """Answer the signed checkpoints that stand one after the other in a text, with what a crash cut short left out.

    A text that holds none is answered as it is, for whoever reads it to complain of.
    """
    notes, before = [], ""
    for block in re.split(r"\n(?:[ \t\r]*\n)+", text.strip("\n")):
        signatures = list(itertools.takewhile(lambda line: line.startswith(_SIGNED), block.split("\n")))
        if before and signatures:
            notes.append("\n".join([before, "", *signatures, ""]))
        before = block[len("\n".join(signatures)) :].lstrip("\n")
    return notes or [text]
