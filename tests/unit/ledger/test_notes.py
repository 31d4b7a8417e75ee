"""Contract of signed notes and checkpoints (C2SP): whoever knows the key can tell who signed which text."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stopwork.kernel.errors import Invalid, Tampered
from stopwork.ledger.notes import (
    Checkpoint,
    Signer,
    checkpoint_text,
    read_checkpoint,
    read_key,
    verify,
)
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.signed import Key, open_note, parse_vkey
from tests.unit.ledger.evidence import SIGNER, STRANGER

PUBLISHED_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
ROOT = bytes(range(32))


def test_the_id_of_a_published_key_belongs_to_it() -> None:
    key = read_key(PUBLISHED_VKEY)
    assert (key.name, key.id.hex(), key.vkey) == ("example.com/foo", "530d903a", PUBLISHED_VKEY)


def test_a_note_is_text_a_blank_line_and_signatures() -> None:
    note = SIGNER.sign("one\n\ntwo\n")
    text, signature = note[: len("one\n\ntwo\n")], note[len("one\n\ntwo\n") :]
    assert text == "one\n\ntwo\n"
    assert signature.startswith(f"\n— {SIGNER.key.name} ")
    blob = base64.b64decode(signature.split(" ")[2])
    assert (blob[:4], len(blob)) == (SIGNER.key.id, 4 + 64)
    assert verify(note, [SIGNER.vkey]) == text


def test_signatures_by_unknown_keys_are_ignored() -> None:
    witnessed = SIGNER.sign("text\n") + STRANGER.sign("text\n").split("\n\n")[1]
    assert verify(witnessed, [SIGNER.vkey]) == "text\n"
    assert verify(witnessed, [STRANGER.vkey]) == "text\n"
    assert verify(witnessed, [PUBLISHED_VKEY, STRANGER.vkey]) == "text\n"


GOOD = SIGNER.sign("text\n")
BROKEN = {
    "signed by somebody else": STRANGER.sign("text\n"),
    "another text": GOOD.replace("text", "next"),
    "more text": "more\n" + GOOD,
    "no signature": "text\n\n",
    "no blank line": "text\n" + GOOD.split("\n\n")[1],
    "no last newline": GOOD[:-1],
    "a hyphen for the dash": GOOD.replace("—", "-"),
    "two spaces": GOOD.replace("— ", "—  "),
    "a control character": GOOD.replace("text", "te\tt"),
    "half a surrogate pair": GOOD.replace("text", "te\ud800t"),
    "a line after the signatures": GOOD + "more\n",
    "base64 spelled otherwise": GOOD[:-3] + chr(ord(GOOD[-3]) + 1) + GOOD[-2:],
    "a wrong signature beside a right one": GOOD + SIGNER.sign("next\n").split("\n\n")[1],
    "empty": "",
}


@pytest.mark.parametrize("note", BROKEN.values(), ids=BROKEN)
def test_a_note_that_is_not_what_was_signed_is_tampered(note: str) -> None:
    with pytest.raises(Tampered):
        verify(note, [SIGNER.vkey])


NOT_KEYS = {
    "empty": "",
    "a word": "key",
    "another name": PUBLISHED_VKEY.replace("foo", "bar"),
    "another id": PUBLISHED_VKEY.replace("530d903a", "530d903b"),
    "too short": "a+00000000+AQ==",
    "another algorithm": "a+00000000+" + base64.b64encode(b"\x06" + bytes(32)).decode(),
    "not base64": "a+00000000+A",
    "not text": "a\ud800+00000000+AQ==",
}


@pytest.mark.parametrize("vkey", NOT_KEYS.values(), ids=NOT_KEYS)
def test_what_is_not_a_key_is_refused(vkey: str) -> None:
    with pytest.raises(Invalid):
        verify(GOOD, [vkey])


def test_a_checkpoint_is_three_lines() -> None:
    checkpoint = Checkpoint("stopwork.test/journal", 12, ROOT)
    text = checkpoint_text(checkpoint)
    assert text == "stopwork.test/journal\n12\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert read_checkpoint(text) == checkpoint
    assert read_checkpoint(text + "an extension\n") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n12\n",
        "origin\n012\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n1\nAAEC\n",
        "origin\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "origin\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_checkpoint(text)


def test_a_signer_refuses_what_would_not_verify() -> None:
    for text in ("no newline", "tab\t\n"):
        with pytest.raises(Invalid):
            SIGNER.sign(text)
    for name, private in (("two words", bytes(32)), ("a+b", bytes(32)), ("", bytes(32)), ("name", bytes(31))):
        with pytest.raises(Invalid):
            Signer(name, private)
    for checkpoint in (
        Checkpoint("two\nlines", 1, ROOT),
        Checkpoint("", 1, ROOT),
        Checkpoint("origin", -1, ROOT),
    ):
        with pytest.raises(Invalid):
            checkpoint_text(checkpoint)


def test_a_signer_does_not_show_its_private_half() -> None:
    assert repr(SIGNER) == f"Signer({SIGNER.vkey!r})"


def test_a_witness_signs_the_time_with_the_checkpoint() -> None:
    witness = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    key = Key("witness.acme.test", witness.public_key().public_bytes_raw(), b"\x04")
    assert parse_vkey(key.vkey) == key
    text, when = "log.acme.test\n8\n" + "A" * 43 + "=\n", 1_772_456_400
    signature = witness.sign(f"cosignature/v1\ntime {when}\n{text}".encode())

    def note(signed: bytes) -> str:
        return f"{text}\n— {key.name} {base64.b64encode(key.id + signed).decode()}\n"

    good = note(when.to_bytes(8, "big") + signature)
    assert verify(good, [key.vkey]) == text
    assert open_note(good, [key]) == (text, (key,)), "what travels in a bundle agrees with what is quick here"
    for bad in (signature, (when + 1).to_bytes(8, "big") + signature, b""):
        with pytest.raises(Tampered, match="does not verify"):
            verify(note(bad), [key.vkey])
        with pytest.raises(Broken, match="does not verify"):
            open_note(note(bad), [key])
