"""What each clue weighs, and how a suspicion is put down: with a quotation of the passage, short and in one line.

The weights were set on two known ways of attacking and have not been changed since; what came later is weighed by what it stands for. What they are
worth against others is measured, and stands in ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stopwork.control.steering.content import Foreign
from stopwork.control.steering.spelling import Place, Text
from stopwork.ledger.records import Suspicion
from stopwork.ledger.words import Clue

WEIGHTS: Final[dict[Clue, float]] = {
    Clue.ADDRESS_IN_TEXT: 2.5,
    Clue.ADDRESS_IN_DATA: 0.5,
    Clue.CONTROL_IN_TEXT: 1.5,
    Clue.AMOUNT_IN_TEXT: 0.5,
    Clue.TEXT_CARRIED: 1.0,
    Clue.DICTATED: 1.5,
    Clue.DEED_NAMED: 1.0,
    Clue.OBJECT_NAMED: 0.5,
    # What cannot be read is taken for what it may be: an order for this, in so many words.
    Clue.UNREADABLE: 2.0,
    Clue.NOT_ASKED: 1.0,
    Clue.SPEAKS_TO_AGENT: 1.0,
    Clue.HIDDEN: 1.0,
    Clue.STEERED_BEFORE: 1.0,
    Clue.CARRIES_OUT: 1.5,
    # By itself this is no reason to let a call pass: it keeps a question to people from being an alarm.
    Clue.DELEGATED: 0.0,
    Clue.ASKED_ABOUT_ITEM: -2.0,
    Clue.ASKED_FOR_VALUE: -2.5,
    Clue.KNOWN_TO_PEOPLE: -4.0,
    Clue.NO_TASK: -0.5,
}
"""What each clue adds. ``alerts.prompt_injection.score`` is compared with the sum."""

MAX_QUOTE_CHARS: Final = 280
MAX_VALUE_CHARS: Final = 120


def score(clues: Sequence[Clue]) -> float:
    """Answer what the clues come to together."""
    return sum(WEIGHTS[clue] for clue in clues)


def suspicion(
    read: Foreign,
    clues: Sequence[Clue],
    *,
    item: str | None,
    field: str,
    value: str,
    text: Text | None,
    place: Place | None,
) -> Suspicion:
    """Answer these clues as what is put on record."""
    return Suspicion(
        score=score(clues),
        clues=tuple(clues),
        record=read.record,
        source=read.source,
        item=item,
        field=field,
        value=value[:MAX_VALUE_CHARS],
        passage=_quoted(text, place) if text is not None and place is not None else "",
        disguise=str((place.disguise if place else "") or (text.disguise if text else "")),
    )


def _quoted(text: Text, place: Place) -> str:
    """Answer the passage around the place, in one line, without anything that does not print."""
    start = max(0, min(place.start - MAX_QUOTE_CHARS // 2, len(text.shown) - MAX_QUOTE_CHARS))
    shown = " ".join(text.shown[start : start + MAX_QUOTE_CHARS].split())
    if not shown.isprintable():
        shown = " ".join("".join(char if char.isprintable() else " " for char in shown).split())
    return f"{'…' if start else ''}{shown}{'…' if start + MAX_QUOTE_CHARS < len(text.shown) else ''}"
