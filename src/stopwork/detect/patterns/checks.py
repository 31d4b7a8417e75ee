"""Check digits and checksums: what tells a number of this kind from any other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def luhn(digits: str) -> bool:
    """Answer whether the last digit is the check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += _DOUBLED[int(digit)] if place % 2 else int(digit)
    return total % 10 == 0


def mod_97(text: str) -> int:
    """Answer the remainder that ISO/IEC 7064 MOD 97-10 checks, letters counting from 10."""
    return int("".join(str(int(character, 36)) for character in text)) % 97


def weighted(digits: str, weights: Iterable[int]) -> int:
    """Answer the sum of the digits, each by its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def crc32_base62(text: str) -> str:
    """Answer the six characters with which GitHub and npm end a token."""
    number, digits = crc32(text.encode()), ""
    for _ in range(6):
        number, index = divmod(number, 62)
        digits = _BASE62[index] + digits
    return digits
