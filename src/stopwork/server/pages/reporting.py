"""The forms of what came in: reporting something, and saying which workflow a signal is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import DetectedBy, IncidentType, SignalKind
from stopwork.operations import reporting
from stopwork.operations.reporting import Received, Report
from stopwork.server.pages.sent import Landed, Sent


def report(sent: Sent) -> Landed:
    """Report what somebody has seen. What cannot be read of the rest is kept in the words that were given."""
    text = sent.get("text")
    if not text:
        raise Invalid("say what was seen", hint="One sentence is enough.", field="text")
    said, zone = sent.get("when"), sent.get("zone")
    facts = {
        "seen": text,
        "where": sent.get("where"),
        "when": f"{said} {zone}" if said else "",
        "by": sent.get("by") or sent.person.id,
    }
    noticed_by, kind = sent.get("noticed_by"), sent.get("type")
    told = Report(
        source="report",
        kind=SignalKind.USER_REPORT,
        summary=text,
        workflow=sent.get("workflow"),
        type=IncidentType(kind) if kind in set(IncidentType) else None,
        occurred_at=_moment(said, zone),
        noticed_by=DetectedBy(noticed_by) if noticed_by in set(DetectedBy) else None,
        facts={name: value for name, value in facts.items() if value},
        run=sent.get("run") or None,
    )
    received = sent.write(lambda tx: reporting.report(tx, sent.installation.manifests, told))
    return _landed(received)


def assign(sent: Sent) -> Landed:
    """Say which workflow a signal is about."""
    known = sent.write(
        lambda tx: reporting.assign(
            tx, sent.installation.manifests, signal=sent.path["signal"], workflow=sent.get("workflow")
        )
    )
    if known.incident:
        return Landed(f"Assigned. It belongs to {known.incident}.", f"/incidents/{known.incident}")
    return Landed("Assigned.", "/signals")


def _landed(received: Received) -> Landed:
    thanks = "Thank you. It is recorded"
    if received.incident is None:
        why = "" if received.workflow else "; somebody will say which workflow it is about"
        return Landed(f"{thanks}{why}.", "/signals")
    how = "was opened for it" if received.opened else "has it"
    if received.opened and received.proposed:
        how = "is proposed for it"
    return Landed(f"{thanks}; {received.incident} {how}.", f"/incidents/{received.incident}")


def _moment(said: str, zone: str) -> datetime | None:
    """Answer the moment that a browser's local time means in a zone; ``None`` where it cannot be told."""
    try:
        return datetime.fromisoformat(said).replace(tzinfo=ZoneInfo(zone or "UTC"))
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None


REPORTING: Final[dict[str, Callable[[Sent], Landed]]] = {
    "/report": report,
    "/signals/{signal}/assign": assign,
}
