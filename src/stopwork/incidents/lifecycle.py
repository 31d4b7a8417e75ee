"""Where an incident stands: its statuses, its ten phases, and the one thing to do next.

Order is data. :data:`MOVES` says which status may follow which, :data:`NEEDS` which phase must be done before
another may begin; the rest may be done in any order, and :func:`next_action` says which comes first. Nothing
is put back before the evidence is sealed, nothing returns before its records are right, and no phase asks for
anything in a closed incident.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.standing import STANDINGS, Standing
from stopwork.kernel.errors import Conflict
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Incident
from stopwork.ledger.words import IncidentStatus, Phase, Severity

MOVES: Final[Mapping[IncidentStatus, frozenset[IncidentStatus]]] = {
    IncidentStatus.PROPOSED: frozenset(
        {
            IncidentStatus.INVESTIGATING,
            IncidentStatus.DECLINED,
            IncidentStatus.MERGED,
        }
    ),
    IncidentStatus.INVESTIGATING: frozenset(
        {
            IncidentStatus.DECLINED,
            IncidentStatus.MERGED,
            IncidentStatus.CONTAINED,
            IncidentStatus.RECOVERING,
            IncidentStatus.MONITORING,
            IncidentStatus.CLOSED,
        }
    ),
    IncidentStatus.CONTAINED: frozenset(
        {
            IncidentStatus.DECLINED,
            IncidentStatus.MERGED,
            IncidentStatus.INVESTIGATING,
            IncidentStatus.RECOVERING,
            IncidentStatus.MONITORING,
            IncidentStatus.CLOSED,
        }
    ),
    IncidentStatus.RECOVERING: frozenset(
        {
            IncidentStatus.INVESTIGATING,
            IncidentStatus.CONTAINED,
            IncidentStatus.MONITORING,
            IncidentStatus.CLOSED,
        }
    ),
    IncidentStatus.MONITORING: frozenset(
        {IncidentStatus.INVESTIGATING, IncidentStatus.RECOVERING, IncidentStatus.CLOSED}
    ),
    IncidentStatus.CLOSED: frozenset(),
    IncidentStatus.DECLINED: frozenset(),
    IncidentStatus.MERGED: frozenset(),
}
"""The statuses that may follow each; what has ended stays so, and a new signal opens a new incident."""

NEEDS: Final[Mapping[Phase, tuple[Phase, ...]]] = {
    Phase.RECOVER: (Phase.OPEN, Phase.PRESERVE, Phase.AUDIT),
    Phase.LEARN: (Phase.OPEN, Phase.AUDIT),
    Phase.REENABLE: (Phase.OPEN, Phase.PRESERVE, Phase.AUDIT, Phase.RECOVER),
}
"""The phases that must be done before each may begin."""

_ORDER: Final = tuple(Phase)
_ORDER_IF_GRAVE: Final = (
    Phase.OPEN,
    Phase.PAUSE,
    Phase.PRESERVE,
    Phase.COMMUNICATE,
    *(phase for phase in Phase if phase not in (Phase.OPEN, Phase.PAUSE, Phase.PRESERVE, Phase.COMMUNICATE)),
)
_GRAVE: Final = frozenset({Severity.SEV0, Severity.SEV1})

_FIRST: Final = {
    Phase.OPEN: "nobody has accepted the incident yet",
    Phase.PRESERVE: "the evidence is not sealed yet",
    Phase.AUDIT: "the side effects are not audited yet",
    Phase.RECOVER: "the records are not put right yet",
}


class PhaseState(StrEnum):
    """Where a phase stands: exactly one is ``now`` while an incident is open and not ready to be closed."""

    DONE = "done"
    NOW = "now"
    BLOCKED = "blocked"
    LATER = "later"


class PhaseView(Struct, frozen=True, kw_only=True):
    """One phase: why it stands where it stands, and what it asks for next (empty when done or blocked)."""

    phase: Phase
    state: PhaseState
    reason: str
    next_action: str = ""
    who: str = ""
    at: datetime | None = None


class NextAction(Struct, frozen=True, kw_only=True):
    """The one thing that an incident asks for next; ``who`` is empty when any responder may do it."""

    phase: Phase
    title: str
    why: str
    who: str = ""


def phase_states(case: Case) -> tuple[PhaseView, ...]:
    """Answer the ten phases in order."""
    standings = {phase: STANDINGS[phase](case) for phase in Phase}
    now = _now(case, standings)
    return tuple(_view(phase, standings, now, closed=_closed(case)) for phase in Phase)


def next_action(case: Case) -> NextAction | None:
    """Answer what to do next; ``None`` when the incident has ended."""
    if _closed(case):
        return None
    standings = {phase: STANDINGS[phase](case) for phase in Phase}
    phase = _now(case, standings)
    if phase is None:
        return NextAction(
            phase=Phase.PREPARE,
            title="Close the incident",
            why="all ten phases are done",
            who=case.incident.commander,
        )
    standing = standings[phase]
    return NextAction(phase=phase, title=standing.task, why=standing.why, who=standing.who)


def require_move(before: IncidentStatus, after: IncidentStatus) -> None:
    """Raise ``Conflict`` naming the legal moves, unless this is one."""
    if after not in MOVES[before]:
        legal = sorted(status.value for status in MOVES[before])
        raise Conflict(
            f"an incident does not go from {before} to {after}",
            hint=f"From {before} it goes to {listed(legal)}."
            if legal
            else f"An incident that is {before} does not change.",
            found=before.value,
            expected=legal,
        )


def require_open(incident: Incident) -> None:
    """Raise ``Conflict`` when the incident has ended."""
    if incident.status.ended:
        where = f"; it went on in {incident.merged_into}" if incident.merged_into else ""
        raise Conflict(
            f"{incident.id} is {incident.status}{where}",
            hint=f"Go on in {incident.merged_into}."
            if where
            else f"A {incident.status} incident does not change; open a new one.",
            incident=incident.id,
        )


def require_before(case: Case, phase: Phase) -> None:
    """Raise ``Conflict`` naming what must come first, unless the phase may begin."""
    require_open(case.incident)
    for first in NEEDS.get(phase, ()):
        if not STANDINGS[first](case).done:
            raise Conflict(
                f"{phase} cannot begin: {_FIRST[first]}",
                hint=f"Next in {case.incident.id}: {STANDINGS[first](case).task}.",
                incident=case.incident.id,
                expected=first.value,
            )


def _closed(case: Case) -> bool:
    return case.incident.status.ended


def _blocked_by(phase: Phase, standings: Mapping[Phase, Standing]) -> Phase | None:
    return next((first for first in NEEDS.get(phase, ()) if not standings[first].done), None)


def _now(case: Case, standings: Mapping[Phase, Standing]) -> Phase | None:
    """Answer the phase whose task comes next; one that only waits gives way to one that can be worked on."""
    order = _ORDER_IF_GRAVE if case.incident.severity in _GRAVE else _ORDER
    possible = [
        phase for phase in order if not standings[phase].done and _blocked_by(phase, standings) is None
    ]
    able = [phase for phase in possible if not standings[phase].waits]
    return next(iter(able or possible), None)


def _view(phase: Phase, standings: Mapping[Phase, Standing], now: Phase | None, *, closed: bool) -> PhaseView:
    standing = standings[phase]
    if standing.done:
        return PhaseView(phase=phase, state=PhaseState.DONE, reason=standing.why, at=standing.at)
    if closed:
        return PhaseView(phase=phase, state=PhaseState.LATER, reason="left open when the incident was closed")
    first = _blocked_by(phase, standings)
    if first is not None:
        return PhaseView(phase=phase, state=PhaseState.BLOCKED, reason=_FIRST[first])
    state = PhaseState.NOW if phase is now else PhaseState.LATER
    return PhaseView(
        phase=phase, state=state, reason=standing.why, next_action=standing.task, who=standing.who
    )
