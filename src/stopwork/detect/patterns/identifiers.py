"""National identifiers: a short list of those whose numbers say by themselves, or by what stands before them, what they are.

United States (SSN), United Kingdom (National Insurance), France (NIR), Italy (codice fiscale), Spain (DNI, NIE), Brazil (CPF). A number
that no check digit protects counts when it is written the usual way and nothing before it says that it is something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import re2

from stopwork.detect.patterns.checks import weighted
from stopwork.detect.patterns.sight import Doubt, Kind, Passage, Sight, words

_OTHER: Final = words(
    "order invoice part parts sku serial model item ticket case reference ref phone tel fax product article catalog id ids"
)
_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ),
        strict=True,
    )
)
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
#: Numbers that were printed in advertisements and manuals.
_EXAMPLES: Final = frozenset(
    {"078051120", "219099999", "123456789", "457555462", "QQ123456C", "AB123456C", "12345678Z"}
)


class Scheme(NamedTuple):
    """How one country's identifier is written and checked. ``words`` introduce it; it must be introduced where ``introduced``."""

    name: str
    pattern: bytes
    fits: Callable[[str], bool]
    words: frozenset[str]
    introduced: bool = False


def _ssn(text: str) -> bool:
    area, group, serial = text[:3], text[3:5], text[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def _nino(text: str) -> bool:
    never = ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
    return text[0] not in "DFIQUV" and text[1] not in "DFIOQUV" and text[:2] not in never


def _nir(text: str) -> bool:
    number = text[:13].replace("2A", "19").replace("2B", "18")
    month = int(text[3:5])
    return (
        number.isdigit()
        and (1 <= month <= 12 or 20 <= month <= 42)
        and 97 - int(number) % 97 == int(text[13:])
    )


def _codice_fiscale(text: str) -> bool:
    total = 0
    for place, character in enumerate(text[:15]):
        total += (
            _ODD[character] if place % 2 == 0 else int(character, 36) - (0 if character.isdigit() else 10)
        )
    return text[15] == chr(ord("A") + total % 26)


def _dni(text: str) -> bool:
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI_LETTERS[int(number) % 23] == text[-1]


def _cpf(text: str) -> bool:
    first = weighted(text, range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(text, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(text)) > 1 and text[9:] == f"{first}{second}"


SCHEMES: Final = (
    Scheme("US social security number", rb"\d{3}-\d\d-\d{4}", _ssn, frozenset({"ssn", "social", "tax"})),
    Scheme(
        "UK national insurance number",
        rb"[A-Z]{2} \d\d \d\d \d\d [A-D]",
        _nino,
        frozenset({"nino", "insurance", "ni"}),
    ),
    Scheme(
        "UK national insurance number",
        rb"[A-Z]{2}\d{6}[A-D]",
        _nino,
        frozenset({"nino", "insurance", "ni"}),
        introduced=True,
    ),
    Scheme(
        "French social security number",
        rb"[12] ?\d\d ?[0-4]\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d",
        _nir,
        frozenset({"nir", "insee", "secu", "sociale"}),
    ),
    Scheme(
        "Italian tax code",
        rb"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]",
        _codice_fiscale,
        frozenset({"codice", "fiscale", "cf"}),
    ),
    Scheme(
        "Spanish identity number",
        rb"(?:\d{8}|[XYZ]\d{7})-?[A-Z]",
        _dni,
        frozenset({"dni", "nie", "nif", "documento"}),
        introduced=True,
    ),
    Scheme("Brazilian taxpayer number", rb"\d{3}\.\d{3}\.\d{3}-\d\d", _cpf, frozenset({"cpf"})),
)
SCREEN: Final = b"|".join(scheme.pattern for scheme in SCHEMES)

_COMPILED: Final = tuple((scheme, re2.compile(scheme.pattern)) for scheme in SCHEMES)


def find(passage: Passage) -> Iterator[Sight]:
    """Yield the national identifiers of a passage."""
    for scheme, pattern in _COMPILED:
        for match in pattern.finditer(passage.text):
            start, end = match.span()
            text = match.group().decode().translate(str.maketrans("", "", " -."))
            if passage.stands_alone(start, end) and scheme.fits(text):
                doubt = _doubt(passage, scheme, text, start)
                yield Sight(Kind.IDENTIFIER, scheme.name, text, passage.field, doubt)


def _doubt(passage: Passage, scheme: Scheme, text: str, start: int) -> Doubt | None:
    if text in _EXAMPLES:
        return Doubt.EXAMPLE
    before = passage.words_before(start)
    if before & scheme.words:
        return None
    return Doubt.NO_CONTEXT if scheme.introduced or before & _OTHER else None
