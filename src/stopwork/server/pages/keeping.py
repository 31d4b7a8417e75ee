"""What people send from a timeline: pins, corrections, notes about earlier, and that they have taken the incident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import parse_qsl, urlencode

from stopwork.kernel.errors import Invalid
from stopwork.operations import acknowledging, incidents, timeline
from stopwork.server import timelines
from stopwork.server.pages.sent import Landed, Sent

MAX_DIGITS: Final = 15


def acknowledge(sent: Sent) -> Landed:
    """Say that one has taken the incident."""
    found = sent.write(partial(acknowledging.acknowledge, incident=sent.incident, note=sent.get("note")))
    return Landed(f"{found.acknowledged_by} has taken the incident.", f"/incidents/{sent.incident}")


def pin(sent: Sent) -> Landed:
    """Pin an entry."""
    entry = _entry(sent)
    sent.write(partial(timeline.pin, incident=sent.incident, entry=entry))
    return Landed(f"Entry {entry} is pinned.", back(sent, f"#entry-{entry}"))


def unpin(sent: Sent) -> Landed:
    """Take a pin away."""
    entry = _entry(sent)
    sent.write(partial(timeline.unpin, incident=sent.incident, entry=entry))
    return Landed(f"Entry {entry} is not pinned any more.", back(sent, f"#entry-{entry}"))


def correct(sent: Sent) -> Landed:
    """Correct an entry."""
    entry = _entry(sent)
    sent.write(
        partial(
            timeline.correct,
            incident=sent.incident,
            entry=entry,
            reason=sent.get("reason"),
            text=sent.get("text"),
            occurred_at=_moment(sent),
        )
    )
    return Landed(f"Entry {entry} is corrected; what it said at first stays.", back(sent, f"#entry-{entry}"))


def note(sent: Sent) -> Landed:
    """Write a note, also about something that happened earlier."""
    text, at = sent.get("text"), _moment(sent)
    sent.write(partial(incidents.add_note, incident=sent.incident, text=text, occurred_at=at))
    return Landed("Noted.", back(sent))


def back(sent: Sent, fragment: str = "") -> str:
    """Answer the address of the timeline as it was filtered."""
    query = urlencode(parse_qsl(sent.get("here")[:2_000]))
    return f"/incidents/{sent.incident}/timeline{'?' if query else ''}{query}{fragment}"


def _entry(sent: Sent) -> int:
    spelled = sent.get("entry")
    if not spelled.isdecimal() or len(spelled) > MAX_DIGITS:
        raise Invalid("this is no number of an entry", hint="Reload the page.", field="entry")
    return int(spelled)


def _moment(sent: Sent) -> datetime | None:
    """Answer the moment that was typed, in the zone that the page showed."""
    spelled = sent.get("occurred_at")
    if not spelled:
        return None
    try:
        at = datetime.fromisoformat(spelled)
    except ValueError as error:
        raise Invalid(
            f"{spelled!r:.40} is no time", hint="Write it as 2026-03-02 08:14.", field="occurred_at"
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=timelines.zone_of(sent.get("zone")))


KEEPING: Final[dict[str, Callable[[Sent], Landed]]] = {
    "acknowledge": acknowledge,
    "timeline/pin": pin,
    "timeline/unpin": unpin,
    "timeline/correct": correct,
    "timeline/note": note,
}
