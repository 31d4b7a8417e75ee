"""The pages of what came in: the form for people, and the list of signals with what became of each."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.server.pages.contexts.parts import Choice, Context, Filter, Frame, Paging


class ReportFormContext(Context):
    """What a person who reports something chooses from; only what was seen has to be said."""

    frame: Frame
    workflows: tuple[Choice, ...]
    types: tuple[Choice, ...]
    noticed_by: tuple[Choice, ...]
    zones: tuple[str, ...]
    zone: str = "UTC"
    run: str = ""
    text: str = ""


class SignalRow(Context):
    """A signal, the title of its workflow, the incident that it belongs to, and what it answers: the fact and its value."""

    signal: r.Signal
    workflow: str = ""
    incident: r.Incident | None = None
    answers: tuple[tuple[str, str], ...] = ()


class SignalsContext(Context):
    """What came in, newest first; ``unplaced`` are those that nobody could place yet, whatever the filter.

    ``text`` is what was searched for; the list is ``narrowed`` where that or a filter leaves some out.
    """

    frame: Frame
    signals: tuple[SignalRow, ...]
    filters: tuple[Filter, ...]
    paging: Paging
    workflows: tuple[Choice, ...]
    unplaced: int = 0
    text: str = ""
    narrowed: bool = False
