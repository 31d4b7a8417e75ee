"""The evidence log: how far the journal is sealed, and what keeps it out of this server's reach."""

from __future__ import annotations

from collections.abc import Iterable

from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import Look
from stopwork.worker.anchoring import LogStanding
from stopwork.worker.duty import Health


def log(look: Look, standing: LogStanding, duties: Iterable[Health]) -> c.LogContext:
    """Answer how the log stands; what is not well comes first."""
    ordered = sorted(duties, key=lambda each: each.healthy)
    return c.LogContext(
        frame=look.frame("Evidence log", "journal", watch="none"), log=standing, duties=tuple(ordered)
    )
