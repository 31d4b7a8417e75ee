"""The pages of drafted calls."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.operations.draft_standing import Standing
from stopwork.server.pages.contexts.console import ArgumentField
from stopwork.server.pages.contexts.parts import Context, Filter, Frame, Paging


class DraftRow(Context):
    """A drafted call in a list."""

    draft: r.Draft
    waits_for: str = ""


class DraftsContext(Context):
    """The drafts: to be decided about, released and not carried out yet, and closed ones."""

    frame: Frame
    open: tuple[DraftRow, ...]
    released: tuple[DraftRow, ...]
    closed: tuple[r.Draft, ...]
    filters: tuple[Filter, ...]
    paging: Paging
    workflow: r.Workflow | None = None


class DraftContext(Context):
    """What exactly would run, why it was not run, and what this visitor may do about it.

    ``why_not_release`` says why this visitor may not release it, ``fields`` are empty where they may not change it.
    """

    frame: Frame
    standing: Standing
    workflow: r.Workflow
    run: r.Run
    why_not_release: str = ""
    why_not_decide: str = ""
    fields: tuple[ArgumentField, ...] = ()
