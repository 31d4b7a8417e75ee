"""Timelines in words: the entries of an incident as lines that people read, for pages and the API alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from stopwork.incidents.timeline import Line, Wanted, chosen
from stopwork.kernel.errors import Invalid
from stopwork.operations import timeline
from stopwork.server.pages.sentences import sentence
from stopwork.storage.view import View

#: So many entries of an incident are looked through for one page.
MAX_LINES: Final = 20_000


class Part(Struct, frozen=True, kw_only=True):
    """A part of a timeline. ``more`` says that there is more after it, ``whole`` that every entry was looked through."""

    lines: tuple[Line, ...]
    more: bool
    whole: bool


def lines(view: View, incident: str) -> Iterable[Line]:
    """Answer the whole timeline, in the order in which it was recorded."""
    return timeline.lines(view, incident, say=sentence)


def part(view: View, incident: str, wanted: Wanted, *, after: int | None, limit: int) -> Part:
    """Answer at most ``limit`` of the wanted lines, those that come after the entry ``after``."""
    every = list(islice(lines(view, incident), MAX_LINES + 1))
    found = chosen(every[:MAX_LINES], wanted)
    if after is not None:
        place = next((n for n, line in enumerate(found) if line.seq == after), None)
        found = [line for line in found if line.seq > after] if place is None else found[place + 1 :]
    return Part(lines=tuple(found[:limit]), more=len(found) > limit, whole=len(every) <= MAX_LINES)


def pinned(view: View, incident: str) -> tuple[Line, ...]:
    """Answer what people pinned, in the order in which it happened."""
    return timeline.pinned(view, incident, say=sentence)


def zone_of(name: str) -> tzinfo:
    """Answer the time zone of this name, UTC without one; ``Invalid`` for what is none."""
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            f"{name!r:.60} is no time zone", hint="Write it as Europe/Berlin or UTC.", field="zone"
        ) from error
