"""What was found when a call was compared with what its run had read from outside."""

from __future__ import annotations

from datetime import datetime

from stopwork.kernel.canonical import digest_of
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

    @property
    def thing(self) -> str:
        """Answer the one thing that the call may follow: the item, within what that record read."""
        return thing_of(self.record, self.item)


def thing_of(record: str, item: str | None) -> str:
    """Answer one thing of those that a call or a step read, as it is noted for its run."""
    return f"{record}/{item}" if item else record


class Vetted(Record):
    """A value that people have let a tool be called with, although it seemed to come from a text that the run had read.

    ``id`` is of workflow, tool and value; ``call`` is the first one that passed with it.
    """

    id: str
    workflow: str
    tool: str
    call: str
    at: datetime

    @staticmethod
    def id_of(workflow: str, tool: str, value: str) -> str:
        """Answer the id for a value, however it is set in blanks and capitals."""
        return f"{workflow}/{tool}/{digest_of(''.join(value.split()).lower())}"
