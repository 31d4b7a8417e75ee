"""Credentials: keys of issuers that mark them as theirs, private keys, tokens that carry their own proof, and what is assigned to a secret's name.

A key that ends in a checksum is checked. What is assigned to a name such as ``password`` counts when it looks random: a reference to a vault,
a mask or a word of a sentence does not.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64decode
from collections import Counter
from collections.abc import Iterator
from math import log2
from typing import Final, NamedTuple

import re2

from stopwork.detect.patterns.checks import crc32_base62
from stopwork.detect.patterns.sight import Doubt, Kind, Passage, Sight
from stopwork.kernel.foreign_json import read_json


class Issuer(NamedTuple):
    """How the keys of one issuer are written. ``begins`` are the prefixes that the screen looks for."""

    name: str
    begins: bytes
    pattern: bytes
    checksum: bool = False
    test: bool = False


ISSUERS: Final = (
    Issuer("AWS access key", rb"AKIA|ASIA", rb"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    Issuer("GitHub token", rb"gh[opsur]_", rb"gh[opsur]_[0-9A-Za-z]{36}", checksum=True),
    Issuer("GitHub token", rb"github_pat_", rb"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}"),
    Issuer("npm token", rb"npm_", rb"npm_[0-9A-Za-z]{36}", checksum=True),
    Issuer("GitLab token", rb"glpat-", rb"glpat-[0-9A-Za-z_-]{20,}(?:\.[0-9a-z.]{2,})?"),
    Issuer("PyPI token", rb"pypi-AgE", rb"pypi-AgE[0-9A-Za-z_-]{50,}"),
    Issuer("Slack token", rb"xox[abeprs]-", rb"xox[abeprs]-[0-9A-Za-z-]{20,}"),
    Issuer(
        "Slack webhook",
        rb"hooks\.slack\.com/services/",
        rb"hooks\.slack\.com/services/T[0-9A-Z]{8,}/B[0-9A-Z]{8,}/[0-9A-Za-z]{20,}",
    ),
    Issuer("Stripe key", rb"[rs]k_live_", rb"[rs]k_live_[0-9A-Za-z]{20,}"),
    Issuer("Stripe test key", rb"[rs]k_test_", rb"[rs]k_test_[0-9A-Za-z]{20,}", test=True),
    Issuer("Google API key", rb"AIza", rb"AIza[0-9A-Za-z_-]{35}"),
    Issuer("Anthropic key", rb"sk-ant-", rb"sk-ant-[0-9A-Za-z]{3,8}-[0-9A-Za-z_-]{60,}"),
    Issuer(
        "OpenAI key", rb"sk-[A-Za-z0-9]", rb"sk-(?:[a-z]{3,12}-)?[0-9A-Za-z_-]{16,}T3BlbkFJ[0-9A-Za-z_-]{16,}"
    ),
    Issuer("SendGrid key", rb"SG\.", rb"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    Issuer("Hugging Face token", rb"hf_", rb"hf_[A-Za-z]{34}"),
    Issuer("DigitalOcean token", rb"do[opr]_v1_", rb"do[opr]_v1_[0-9a-f]{64}"),
    Issuer("Shopify token", rb"shp(?:at|ca|pa|ss)_", rb"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
)

_COMPILED: Final = tuple((issuer, re2.compile(issuer.pattern)) for issuer in ISSUERS)
_PRIVATE_KEY: Final = re2.compile(
    rb"-----BEGIN (?:[A-Z]{2,10} )?(?:ENCRYPTED )?PRIVATE KEY(?: BLOCK)?-----[\s\\A-Za-z0-9+/=:,.-]{40,}"
)
_JWT: Final = re2.compile(rb"eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}")
_IN_ADDRESS: Final = re2.compile(
    rb"[a-z][a-z0-9+.-]{1,20}://([^\s/:@\"'<>]{1,100}):([^\s/@\"'<>]{3,200})@[A-Za-z0-9\[]"
)
_NAMES: Final = (
    rb"(?i:passwor[dt]|passwd|passphrase|pwd|kennwort|contrase\x{f1}a|mot de passe|client_?secret|secret_?key|secret_?access_?key|shared_?secret|api[_ -]?key|access[_ ]?token|"
    rb"auth_?token|bearer_?token|refresh_?token|private_?key|signing_?key|encryption_?key|connection_?string)"
)
_BEARER: Final = re2.compile(rb"(?i)\b(bearer|basic)\s{1,4}([0-9a-z._~+/=-]{16,400})")
_ASSIGNED: Final = re2.compile(
    rb"(" + _NAMES + rb")[\"']?(?: provided| given)?\s{0,4}(?:=>?|:|\bis\b)\s{0,4}[\"']?([^\s\"'<>,;]{8,200})"
)
_NAMED: Final = re2.compile(_NAMES + rb"$")

SCREEN: Final = b"|".join(
    (
        *(issuer.begins for issuer in ISSUERS),
        rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY",
        rb"eyJ[0-9A-Za-z_-]{10,}\.",
        rb"://[^\s/:@\"]{1,100}:[^\s/@\"]{3,200}@",
        _NAMES + rb"[\\\"']{0,3}(?: provided| given)?\s{0,4}(?:[=:]|is )",
        rb"(?i:\b(?:bearer|basic)\s{1,4}[0-9a-z._~+/=-]{16})",
    )
)

#: Below this many bits a character a word or a date was assigned, and no key.
_LEAST_BITS: Final = 3.0
_LEAST_CHARS: Final = 8
_PLACEHOLDERS: Final = (
    "example",
    "placeholder",
    "changeme",
    "redacted",
    "your",
    "xxxx",
    "****",
    "dummy",
    "sample",
    "${",
    "{{",
    "vault:",
    "null",
    "none",
)


def find(passage: Passage) -> Iterator[Sight]:
    """Yield the credentials of a passage, each once."""
    told: set[str] = set()
    for sight in (*_issued(passage), *_self_evident(passage), *_assigned(passage)):
        if not any(sight.value in known for known in told):
            told.add(sight.value)
            yield sight


def _issued(passage: Passage) -> Iterator[Sight]:
    for issuer, pattern in _COMPILED:
        for match in pattern.finditer(passage.text):
            start, end = match.span()
            if not passage.stands_alone(start, end) and passage.text[start - 1 : start] != b"/":
                continue
            value = match.group().decode()
            yield Sight(Kind.CREDENTIAL, issuer.name, value, passage.field, _doubt(issuer, value))


def _doubt(issuer: Issuer, value: str) -> Doubt | None:
    if issuer.test:
        return Doubt.TEST_MODE
    if "EXAMPLE" in value or len(set(value[-16:])) < 5:
        return Doubt.EXAMPLE
    if issuer.checksum and crc32_base62(value.partition("_")[2][:30]) != value[-6:]:
        return Doubt.CHECKSUM
    return None


def _self_evident(passage: Passage) -> Iterator[Sight]:
    for match in _PRIVATE_KEY.finditer(passage.text):
        yield Sight(Kind.CREDENTIAL, "private key", match.group().decode(), passage.field)
    for match in _JWT.finditer(passage.text):
        if _is_jwt(match.group()):
            yield Sight(Kind.CREDENTIAL, "signed token (JWT)", match.group().decode(), passage.field)
    for match in _IN_ADDRESS.finditer(passage.text):
        password = match.group(2).decode(errors="replace")
        if not _is_placeholder(password):
            yield Sight(Kind.CREDENTIAL, "password in an address", password, passage.field)


def _is_jwt(text: bytes) -> bool:
    header = text.partition(b".")[0]
    try:
        known = read_json(urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except ValueError:
        return False
    return isinstance(known, dict) and "alg" in known


def _assigned(passage: Passage) -> Iterator[Sight]:
    for match in _BEARER.finditer(passage.text):
        scheme, value = match.group(1).decode().lower(), match.group(2).decode().rstrip(".")
        if _names_a_password(value) if scheme == "basic" else _looks_random(value):
            yield Sight(Kind.CREDENTIAL, f"{scheme} authorization", value, passage.field)
    for match in _ASSIGNED.finditer(passage.text):
        name, value = match.group(1).decode().lower(), match.group(2).decode(errors="replace").rstrip(".)")
        if _looks_random(value):
            yield Sight(Kind.CREDENTIAL, f"value of {name}", value, passage.field)
    if _NAMED.search(passage.field.encode()):
        whole = passage.text.decode(errors="replace").strip()
        if not any(character.isspace() for character in whole) and len(whole) <= 200 and _looks_random(whole):
            yield Sight(Kind.CREDENTIAL, f"value of {passage.field.rpartition('.')[2]}", whole, passage.field)


def _names_a_password(value: str) -> bool:
    """Answer whether this is a name and a password as basic authorization sends them (RFC 7617)."""
    try:
        name, _, password = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return False
    return bool(name) and len(password) > 2 and not _is_placeholder(password)


def _looks_random(value: str) -> bool:
    """Answer whether a value is a key or a good password: long, of several kinds of character, and no word."""
    if len(value) < _LEAST_CHARS or _is_placeholder(value) or "://" in value or _is_path(value):
        return False
    kinds = (
        any(character.islower() for character in value)
        + any(character.isupper() for character in value)
        + any(character.isdigit() for character in value)
        + any(not character.isalnum() for character in value)
    )
    least = 2 if len(value) >= 20 else 3
    return (
        kinds >= least
        and any(c.isdigit() for c in value)
        and _bits(value) >= min(_LEAST_BITS, log2(len(value)) * 0.8)
    )


def _is_path(value: str) -> bool:
    """Answer whether this is the place of a file: ``PWD=/srv/app`` assigns no password."""
    return value.startswith(("/", "./", "../", "~/")) and len(value) < 40


def _bits(value: str) -> float:
    """Answer the entropy of a character, by how often each stands in the value."""
    return -sum(n / len(value) * log2(n / len(value)) for n in Counter(value).values())


def _is_placeholder(value: str) -> bool:
    lower = value.lower()
    return any(word in lower for word in _PLACEHOLDERS) or len(set(value)) < 4
