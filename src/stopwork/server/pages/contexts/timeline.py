"""The page of a timeline."""

from __future__ import annotations

from stopwork.incidents.timeline import Line, Order
from stopwork.ledger import records as r
from stopwork.server.pages.contexts.parts import Context, Filter, Frame, Paging


class TimelineLine(Context):
    """One line: ``recorded`` and ``occurred`` are its times in the zone of the page, ``first`` when it was said to have happened at first."""

    line: Line
    recorded: str
    occurred: str
    href: str = ""
    first: str = ""
    note: bool = False


class TimelineContext(Context):
    """What happened in an incident, a page at a time. ``here`` is what stands in the address, so that a form leads back to it."""

    frame: Frame
    incident: r.Incident
    rows: tuple[TimelineLine, ...]
    filters: tuple[Filter, ...]
    order: Order
    text: str
    zone: str
    paging: Paging
    here: str = ""
    whole: bool = True
    max_upload_bytes: int = 0
