"""Payment cards: the issuer's range, its length and the check digit, standing alone.

One order number in fifty has all three by chance. So a number counts as a card when it is written in the groups of a card or something
before it speaks of a card; otherwise it is in doubt. The numbers that payment providers publish for testing are nobody's card.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from stopwork.detect.patterns.checks import luhn
from stopwork.detect.patterns.sight import GROUPING, Doubt, Kind, Passage, Sight, in_groups, words

NAME: Final = "payment card"
SCREEN: Final = rb"\d(?:" + GROUPING + rb"?\d){13}"

_RUN: Final = re2.compile(rb"\d(?:" + GROUPING + rb"?\d)+")
_LEAST, _MOST = 14, 19
_MOST_GROUPS: Final = 64
_GROUPED: Final = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3)})
_WORDS: Final = words(
    "card cards visa mastercard amex maestro discover diners jcb unionpay pan cc ccn credit debit karte carte tarjeta"
)
_OTHER: Final = words(
    "order orders invoice tracking parcel shipment ticket reference ref id ids uuid serial sku batch timestamp epoch phone tel fax "
    "mobile iban account meter imei ean isbn gtin hash sha commit"
)

#: Numbers that card networks and payment providers publish for testing.
TEST_NUMBERS: Final = words("""
    4242424242424242 4111111111111111 4012888888881881 4000056655665556 4000002500003155 4000000000000002 4000000000009995
    4000000000003220 4005519200000004 4009348888881881 4012000033330026 4500600000000061 4000000000000077 4000000000000127
    5555555555554444 5200828282828210 5105105105105100 5454545454545454 2223003122003222 2222400070000005 5431111111111111
    378282246310005 371449635398431 378734493671000 370000000000002 6011111111111117 6011000990139424 6011981111111113
    30569309025904 38520000023237 36227206271667 3056930009020004 3566002020360505 3530111333300000 6200000000000005
    6200000000000047 6205500000000000004
    """)


def find(passage: Passage) -> Iterator[Sight]:
    """Yield the cards of a passage."""
    for run in _RUN.finditer(passage.text):
        start, end = run.span()
        if end - start < _LEAST or not passage.stands_alone(start, end):
            continue
        yield from _in_run(passage, in_groups(run.group()), start)


def _in_run(passage: Passage, run: str, start: int) -> Iterator[Sight]:
    """Yield the cards among the groups of a row of digits: an expiry date may follow a card without a word between."""
    groups = run.split(" ")[:_MOST_GROUPS]
    first = 0
    while first < len(groups):
        taken = next((n for n in range(1, 6) if _is_card("".join(groups[first : first + n]))), 0)
        if not taken or first + taken > len(groups):
            first += 1
            continue
        digits = "".join(groups[first : first + taken])
        shape = tuple(len(group) for group in groups[first : first + taken])
        if taken == 1 or shape in _GROUPED:
            yield Sight(Kind.CARD, NAME, digits, passage.field, _doubt(passage, digits, shape, start))
        first += taken


def _doubt(passage: Passage, digits: str, shape: tuple[int, ...], start: int) -> Doubt | None:
    if digits in TEST_NUMBERS:
        return Doubt.EXAMPLE
    before = passage.words_before(start)
    if before & _WORDS or (shape in _GROUPED and not before & _OTHER):
        return None
    return Doubt.NO_CONTEXT


def _is_card(digits: str) -> bool:
    return _LEAST <= len(digits) <= _MOST and _issued(digits) and luhn(digits) and len(set(digits)) > 1


def _issued(digits: str) -> bool:
    """Answer whether an issuer gives out numbers that begin like this and are this long (ISO/IEC 7812)."""
    two, three, four, length = int(digits[:2]), int(digits[:3]), int(digits[:4]), len(digits)
    match length:
        case 14:
            return two in (36, 38, 39) or 300 <= three <= 305 or three == 309
        case 15:
            return two in (34, 37)
        case 16:
            return (
                digits[0] == "4"
                or 51 <= two <= 55
                or 2221 <= four <= 2720
                or four == 6011
                or 644 <= three <= 659
                or 3528 <= four <= 3589
                or two == 62
            )
        case _:
            return two == 62 or (length == 19 and digits[0] == "4")
