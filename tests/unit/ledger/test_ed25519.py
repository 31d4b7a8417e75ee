"""Contract of the offline signature check: the answer of RFC 8032, and of OpenSSL, for any bytes at all."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from stopwork.ledger.offline.ed25519 import verify_ed25519

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = {
    "empty": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "one byte": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "two bytes": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
}
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19


def openssl(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS.values(), ids=VECTORS)
def test_published_signatures_verify_and_their_neighbours_do_not(
    public: str, message: str, signature: str
) -> None:
    key, text, good = (bytes.fromhex(part) for part in (public, message, signature))
    assert verify_ed25519(key, text, good)
    assert not verify_ed25519(key, text + b"\x00", good)
    for at in range(0, 512, 37):
        changed = bytearray(good)
        changed[at // 8] ^= 1 << at % 8
        assert not verify_ed25519(key, text, bytes(changed))


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_what_openssl_signs_verifies(private: bytes, message: bytes) -> None:
    signer = Ed25519PrivateKey.from_private_bytes(private)
    assert verify_ed25519(signer.public_key().public_bytes_raw(), message, signer.sign(message))


@settings(max_examples=60)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40), st.data())
def test_the_answer_to_a_changed_signature_is_that_of_openssl(
    private: bytes, message: bytes, data: st.DataObject
) -> None:
    signer = Ed25519PrivateKey.from_private_bytes(private)
    parts = bytearray(signer.public_key().public_bytes_raw() + signer.sign(message))
    for bit in data.draw(st.lists(st.integers(0, 767), min_size=1, max_size=3)):
        parts[bit // 8] ^= 1 << bit % 8
    public, signature = bytes(parts[:32]), bytes(parts[32:])
    assert verify_ed25519(public, message, signature) == openssl(public, message, signature)


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public, signature = signer.public_key().public_bytes_raw(), signer.sign(b"m")
    s = int.from_bytes(signature[32:], "little") + ORDER
    assert not verify_ed25519(public, b"m", signature[:32] + s.to_bytes(32, "little"))


NEUTRAL = (1).to_bytes(32, "little")
ODD_KEYS = {
    "a number that is no point": (2).to_bytes(32, "little"),
    "the prime itself, which is zero spelled again": PRIME.to_bytes(32, "little"),
    "one, spelled again": (PRIME + 1).to_bytes(32, "little"),
    "a zero x with a sign": (1 | 1 << 255).to_bytes(32, "little"),
    "too short": bytes(31),
    "too long": bytes(33),
}


@pytest.mark.parametrize("public", ODD_KEYS.values(), ids=ODD_KEYS)
def test_a_key_that_is_not_a_point_in_its_one_spelling_verifies_nothing(public: bytes) -> None:
    assert not verify_ed25519(public, b"m", NEUTRAL + bytes(32))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_has_64_bytes(size: int) -> None:
    assert not verify_ed25519(NEUTRAL, b"m", bytes(size))
