"""Contract of numbers that somebody gives out: one that begins and ends as none does is nobody's, however well its check digits fit."""

from __future__ import annotations

import random

import pytest

from stopwork.detect.patterns import sights
from stopwork.detect.patterns.checks import luhn, mod_97


def seen(text: str) -> list[str]:
    return [each.name for each in sights(text)]


def card(begins: str, length: int) -> str:
    """Answer a number that begins so, with a check digit that fits."""
    body = begins + "".join(random.Random(begins).choices("123456789", k=length - 1 - len(begins)))
    return next(f"{body}{digit}" for digit in range(10) if luhn(f"{body}{digit}"))


@pytest.mark.parametrize(
    ("begins", "length", "issued"),
    [
        *((begins, 14, True) for begins in ("36", "38", "39", "300", "305", "309")),
        *((begins, 14, False) for begins in ("35", "37", "299", "306", "308", "4", "51")),
        *((begins, 15, True) for begins in ("34", "37")),
        *((begins, 15, False) for begins in ("33", "35", "36", "4")),
        *((begins, 16, True) for begins in ("4", "51", "55", "2221", "2720", "6011", "644", "659", "62")),
        *((begins, 16, True) for begins in ("3528", "3589")),
        *((begins, 16, False) for begins in ("50", "56", "2220", "2721", "6010", "6012", "643", "660")),
        *((begins, 16, False) for begins in ("3527", "3590", "61", "34", "9")),
        *((begins, 19, True) for begins in ("4", "62")),
        *((begins, 19, False) for begins in ("51", "61", "63")),
        ("4", 17, False),
    ],
)
def test_cards_are_issued_in_ranges(begins: str, length: int, issued: bool) -> None:
    assert seen(f"card {card(begins, length)} of Ann") == (["payment card"] if issued else [])


@pytest.mark.parametrize(
    ("number", "issued"),
    [
        ("536-22-8714", True),
        ("899-22-8714", True),
        ("000-22-8714", False),
        ("666-22-8714", False),
        ("900-22-8714", False),
        ("536-00-8714", False),
        ("536-22-0000", False),
    ],
)
def test_social_security_numbers_that_are_given_out(number: str, issued: bool) -> None:
    assert seen(f"SSN {number}") == (["US social security number"] if issued else [])


@pytest.mark.parametrize(
    ("letters", "issued"),
    [("JG", True), ("AB", True), ("DA", False), ("AD", False), ("AO", False), ("BG", False), ("ZZ", False)],
)
def test_national_insurance_numbers_that_are_given_out(letters: str, issued: bool) -> None:
    assert seen(f"NI number: {letters} 10 37 59 A") == (["UK national insurance number"] if issued else [])


@pytest.mark.parametrize(
    ("month", "issued"),
    [
        ("01", True),
        ("12", True),
        ("20", True),
        ("42", True),
        ("00", False),
        ("13", False),
        ("19", False),
        ("43", False),
    ],
)
def test_french_numbers_have_a_month(month: str, issued: bool) -> None:
    number = f"255{month}14168025"
    found = seen(f"NIR {number}{97 - int(number) % 97:02}")
    assert found == (["French social security number"] if issued else [])


def account(country: str, rest: str) -> str:
    return f"{country}{98 - mod_97(f'{rest}{country}00'):02}{rest}"


@pytest.mark.parametrize(
    ("text", "issued"),
    [
        (account("DE", "500105175407324931"), True),
        (account("DE", "50010517540732493"), False),
        (account("DE", "5001051754073249312"), False),
        (account("XX", "500105175407324931"), False),
        ("X" + account("DE", "500105175407324931"), False),
        (account("DE", "500105175407324931") + "x", False),
        (account("NO", "86011117947"), True),
    ],
    ids=[
        "as long as in Germany",
        "shorter",
        "longer",
        "of no country",
        "within a word",
        "with more",
        "in Norway",
    ],
)
def test_accounts_are_as_long_as_in_their_country(text: str, issued: bool) -> None:
    assert seen(f"Pay to {text} please") == (["bank account (IBAN)"] if issued else [])
