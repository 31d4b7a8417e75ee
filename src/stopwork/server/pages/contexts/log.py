"""The page of the evidence log."""

from __future__ import annotations

from stopwork.server.pages.contexts.parts import Context, Frame
from stopwork.worker.anchoring import LogStanding
from stopwork.worker.duty import Health


class LogContext(Context):
    """How far the journal is sealed, which places keep checkpoints of it, and how the background duties are."""

    frame: Frame
    log: LogStanding
    duties: tuple[Health, ...]
