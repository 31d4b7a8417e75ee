"""What was found when a call was compared with what its run had read from outside."""

from __future__ import annotations

from stopwork.ledger.records.parts import Record
from stopwork.ledger.words import Clue


class Suspicion(Record):
    """Why a call may follow a text that its run has read, and how much speaks for it.

    ``record`` is the call or step that read it, from ``source``; ``item`` is the thing within what was read. ``field`` and ``value`` are the
    argument that says most, ``passage`` is a quotation of what stands around it there, and ``disguise`` how it was hidden. ``over`` is
    whether the score reaches what the manifest sets.
    """

    score: float
    clues: tuple[Clue, ...]
    record: str
    source: str
    item: str | None = None
    field: str = ""
    value: str = ""
    passage: str = ""
    disguise: str = ""
    over: bool = False
