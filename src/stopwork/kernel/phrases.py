"""Counts, figures, lists, durations and moments in plain English, so that no screen ever says "1 calls"."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Answer ``1 call``, ``2 calls``, ``no calls``; give ``plural`` where the noun is irregular."""
    if number == 1:
        return f"1 {noun}"
    many = plural or _plural(noun)
    return f"{number:,} {many}" if number else f"no {many}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "z", "ch", "sh")) else f"{noun}s"


def listed(words: Iterable[str], *, most: int = 5) -> str:
    """Answer ``a``, ``a and b``, ``a, b and c``; beyond ``most`` words the rest is counted."""
    every = list(words)
    shown = every if len(every) <= most else [*every[: most - 1], f"{len(every) - most + 1} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def lasting(duration_s: float) -> str:
    """Answer a duration in its two largest units: ``1 hour 30 minutes``, ``45 seconds``, ``7 days``."""
    left, parts = round(duration_s), []
    for noun, size_s in _UNITS:
        number, left = divmod(left, size_s)
        if number:
            parts.append(count_of(number, noun))
        elif parts:
            break
    return " ".join(parts[:2]) or "less than a second"


def moment(at: datetime) -> str:
    """Answer a moment as ``2026-03-02 08:14 UTC``: always with its zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def instant(at: datetime) -> str:
    """Answer a moment to the second, where seconds count: ``2026-03-02 08:14:05 UTC``."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def figure(number: float) -> str:
    """Answer a number as people write it, ``1000000`` or ``0.25``: not in powers of ten, and without digits that only a computer sees."""
    return f"{number:.15g}"


def money(amount_usd: float) -> str:
    """Answer an amount as ``USD 2.50``; fractions of a cent are shown, since a model call costs little."""
    return f"USD {amount_usd:,.2f}" if amount_usd >= 0.01 or amount_usd == 0 else f"USD {amount_usd:.6f}"


def sentence(text: str) -> str:
    """Answer the text with a capital and one full stop, or its question mark; a name such as ``crm.send`` stays as it is."""
    trimmed = text.strip().rstrip(".")
    first = trimmed.split(maxsplit=1)[0].rstrip(",;:") if trimmed else ""
    begun = f"{trimmed[:1].upper()}{trimmed[1:]}" if first.isalpha() else trimmed
    return f"{begun}." if begun and not begun.endswith(("?", "!")) else begun


def clause(text: str) -> str:
    """Answer a sentence as a part of another: without its full stop, and without its capital where that begins a word, not a name."""
    trimmed = text.strip().rstrip(".")
    first = trimmed.split(maxsplit=1)[0].rstrip(",;:") if trimmed else ""
    is_word = first == "A" or (first.isalpha() and first[1:].islower())
    return f"{trimmed[:1].lower()}{trimmed[1:]}" if is_word else trimmed
