"""Milestones: how long each phase took, or why that cannot be said. A skipped milestone is never zero."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.ledger.records import Incident
from stopwork.ledger.words import EffectKind, Outcome, Verdict


class MilestoneState(StrEnum):
    """``invalid`` is a milestone that lies before the moment it is measured from."""

    RECORDED = "recorded"
    PENDING = "pending"
    NOT_APPLICABLE = "not_applicable"
    INVALID = "invalid"


class Milestone(Struct, frozen=True, kw_only=True):
    """How long one phase took, in seconds; while it is pending, the time so far."""

    name: str
    state: MilestoneState
    seconds: float | None = None
    at: datetime | None = None


PHASES: Final = (
    ("pause", "paused_at"),
    ("preserve", "sealed_at"),
    ("contain", "contained_at"),
    ("audit", "audited_at"),
    ("recover", "recovered_at"),
    ("communicate", "communicated_at"),
    ("learn", "learned_at"),
    ("reenable", "reenabled_at"),
)
"""The measured phases in order; each is counted from the detection."""


def first_harm_at(case: Case) -> datetime | None:
    """Answer when the first writing call of the incident was permitted; ``None`` when none is recorded."""
    changed = {effect.call for effect in case.effects}
    return min(
        (
            call.permitted_at
            for call in case.calls
            if call.verdict is Verdict.ALLOW
            and call.permitted_at is not None
            and (
                call.id in changed
                or (call.effect is not EffectKind.READ and call.outcome is not Outcome.FAILED)
            )
        ),
        default=None,
    )


def durations(incident: Incident, harm_at: datetime | None, now: datetime) -> tuple[Milestone, ...]:
    """Answer the time to detect, from the first harm on, and to each phase, from the detection on."""
    detect = (
        _between("detect", harm_at, incident.detected_at)
        if harm_at is not None
        else Milestone(name="detect", state=MilestoneState.NOT_APPLICABLE, at=incident.detected_at)
    )
    rest = (_phase(incident, name, getattr(incident, field), now) for name, field in PHASES)
    return (detect, *rest)


def _phase(incident: Incident, name: str, at: datetime | None, now: datetime) -> Milestone:
    if at is not None:
        return _between(name, incident.detected_at, at)
    if incident.closed_at is not None:
        return Milestone(name=name, state=MilestoneState.NOT_APPLICABLE)
    so_far = max(0.0, (now - incident.detected_at).total_seconds())
    return Milestone(name=name, state=MilestoneState.PENDING, seconds=so_far)


def _between(name: str, begin: datetime, end: datetime) -> Milestone:
    seconds = (end - begin).total_seconds()
    if seconds < 0:
        return Milestone(name=name, state=MilestoneState.INVALID, at=end)
    return Milestone(name=name, state=MilestoneState.RECORDED, seconds=seconds, at=end)
