"""Preserving by itself: the evidence of an incident that is grave enough is sealed when it opens or rises, and again when more has come."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from stopwork.incidents.preserve import KEPT_BY_ITSELF, UNDER_WAY, due_because
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Bundle, Incident, Principal, Run, Signal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import evidence
from stopwork.operations.installation import Installation
from stopwork.storage.view import View

AS_PRESERVING: Final = Principal(kind=PrincipalKind.SYSTEM, id="preserving")


def seal_due(installation: Installation) -> int:
    """Seal the evidence of every incident for which that is due; answer how many were sealed.

    One that cannot be sealed keeps nobody else's from being: its error is raised at the end.
    """
    store = installation.store
    due = store.read(lambda view: _due(view, store.clock.now()))
    failed: list[StopworkError] = []
    for incident, reason in due:
        try:
            evidence.seal(installation, AS_PRESERVING, incident=incident, reason=reason)
        except StopworkError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return len(due)


def _due(view: View, now: datetime) -> list[tuple[str, str]]:
    found = []
    for incident in view.each(Incident, status=UNDER_WAY):
        if incident.severity not in KEPT_BY_ITSELF:
            continue
        bundles = tuple(view.each(Bundle, incident=incident.id))
        if reason := due_because(incident, bundles, _newest(view, incident) if bundles else None, now):
            found.append((incident.id, reason))
    return found


def _newest(view: View, incident: Incident) -> datetime | None:
    """Answer when something last came that tells more of what happened: a signal, or a run that began or ended."""
    signals = [signal.raised_at for signal in view.each(Signal, incident=incident.id)]
    runs = [run for each in incident.runs if (run := view.get(Run, each)) is not None]
    return max((*signals, *(run.finished_at or run.started_at for run in runs)), default=None)
