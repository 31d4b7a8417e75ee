"""Preserving by itself: the evidence of an incident that is grave enough is sealed when it opens or rises, and again when more has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

from stopwork.incidents.preserve import KEPT_BY_ITSELF, UNDER_WAY, due_because
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.events import RunFinished, RunStarted, SignalJoined, SignalRaised, name_of
from stopwork.ledger.records import Bundle, Incident, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import evidence
from stopwork.operations.cases import RUNS_AT_ONCE
from stopwork.operations.installation import Installation
from stopwork.storage.view import View

AS_PRESERVING: Final = Principal(kind=PrincipalKind.SYSTEM, id="preserving")
_OF_SIGNALS: Final = (name_of(SignalRaised), name_of(SignalJoined))
_OF_RUNS: Final = (name_of(RunStarted), name_of(RunFinished))


def seal_due(installation: Installation) -> int:
    """Seal the evidence of every incident for which that is due; answer how many were sealed.

    One that cannot be sealed keeps nobody else's from being: its error is raised at the end.
    """
    store = installation.store
    due = store.read(lambda view: _due(view, store.clock.now()))
    failed: list[StopworkError] = []
    for incident, reason, bundles in due:
        try:
            evidence.seal(installation, AS_PRESERVING, incident=incident, reason=reason, bundles=bundles)
        except StopworkError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return len(due)


def _due(view: View, now: datetime) -> list[tuple[str, str, int]]:
    """Answer the incidents to seal, why, and how many bundles each has."""
    found = []
    for incident in view.each(Incident, status=UNDER_WAY):
        if incident.severity not in KEPT_BY_ITSELF:
            continue
        bundles = tuple(view.each(Bundle, incident=incident.id))
        if reason := due_because(incident, bundles, now, more=_has_more(view, incident, bundles)):
            found.append((incident.id, reason, len(bundles)))
    return found


def _has_more(view: View, incident: Incident, bundles: Sequence[Bundle]) -> bool:
    """Tell whether the journal goes on after the newest bundle with what tells more of what happened: a signal, or a run that began or ended.

    Not what time it was counts: what comes while a bundle is written is not in it.
    """
    if not bundles:
        return False
    later = partial(view.stored, after=max(bundle.tree_size for bundle in bundles), limit=1)
    parts = (
        incident.runs[start : start + RUNS_AT_ONCE] for start in range(0, len(incident.runs), RUNS_AT_ONCE)
    )
    return bool(later(incident=incident.id, kinds=_OF_SIGNALS)) or any(
        later(run=part, kinds=_OF_RUNS) for part in parts
    )
