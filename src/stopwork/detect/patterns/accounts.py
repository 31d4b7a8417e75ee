"""Bank accounts: IBANs of the countries that issue them, each of its length, with the right check digits (ISO 13616, ISO/IEC 7064)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from stopwork.detect.patterns.checks import mod_97
from stopwork.detect.patterns.sight import GROUPING, Doubt, Kind, Passage, Sight, in_groups, words

NAME: Final = "bank account (IBAN)"
SCREEN: Final = rb"[A-Z]{2}\d\d" + GROUPING + rb"?[A-Z0-9]{4}" + GROUPING + rb"?[A-Z0-9]{3}"

_BY_LENGTH: Final = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL FK SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK MN",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ TL OM SO",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
#: How long an IBAN of each country is, from the registry of ISO 13616.
LENGTHS: Final = {country: length for length, codes in _BY_LENGTH.items() for country in words(codes)}

#: Those that stand in standards and manuals.
EXAMPLES: Final = words("""
    GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555 DE89370400440532013000 DE75512108001245126199
    FR1420041010050500013M02606 FR7630006000011234567890189 NL91ABNA0417164300 NL02ABNA0123456789 ES9121000418450200051332
    IT60X0542811101000000123456 BE68539007547034 CH9300762011623852957 AT611904300234573201 IE29AIBK93115212345678
    SE4550000000058398257466 NO9386011117947 DK5000400440116243 FI2112345600000785 PL61109010140000071219812874
    PT50000201231234567890154 LU280019400644750000
    """)

_RUN: Final = re2.compile(rb"[A-Z]{2}\d\d(?:" + GROUPING + rb"?[A-Z0-9]){11,30}")


def find(passage: Passage) -> Iterator[Sight]:
    """Yield the bank accounts of a passage."""
    for run in _RUN.finditer(passage.text):
        start, end = run.span()
        if not passage.stands_alone(start, start + 2) and start and passage.text[start - 1 : start].isalnum():
            continue
        iban = _iban(in_groups(run.group()), ends_here=passage.stands_alone(start, end))
        if iban:
            yield Sight(Kind.ACCOUNT, NAME, iban, passage.field, Doubt.EXAMPLE if iban in EXAMPLES else None)


def _iban(run: str, *, ends_here: bool) -> str:
    """Answer the IBAN with which a row of groups begins, or nothing: a word in capitals may follow it."""
    text = run.replace(" ", "")
    length = LENGTHS.get(text[:2], 0)
    if not length or len(text) < length:
        return ""
    if len(text) > length and not _breaks_after(run, length):
        return ""
    if len(text) == length and not ends_here:
        return ""
    return text[:length] if mod_97(text[4:length] + text[:4]) == 1 else ""


def _breaks_after(run: str, characters: int) -> bool:
    counted = 0
    for character in run:
        if counted == characters:
            return character == " "
        counted += character != " "
    return False
