"""The page of the runs of a workflow that are made up for."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.operations.backfills import Checked
from stopwork.server.pages.contexts.parts import Context, Frame


class BackfillsContext(Context):
    """The orders of a workflow, and the occasion that this visitor asks about, with what its checks found or why it cannot be asked.

    ``why`` is what the visitor says where nobody recorded how old a source is; ``why_not`` keeps this visitor from ordering it.
    """

    frame: Frame
    workflow: r.Workflow
    orders: tuple[r.Backfill, ...]
    incident: r.Incident | None = None
    occasion: str = ""
    why: str = ""
    checked: Checked | None = None
    problem: str = ""
    why_not: str = ""
    scheduled: bool = True
