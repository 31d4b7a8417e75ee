"""Calls that were recorded instead of run, for people to look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger.records.parts import Edit, Principal, Reason, Record
from stopwork.ledger.words import DraftState, EffectKind, Risk


class Release(Record):
    """A person's permission to carry out a draft: by whom and why, the approval it gave, and the call that it becomes."""

    person: str
    at: datetime
    reason: str
    approval: str
    call: str


class Claim(Record):
    """A guard has taken a released draft to carry it out, and nobody else does before ``until``."""

    session: str
    at: datetime
    until: datetime
    point: str | None = None


class Draft(Record):
    """A call that was stored and not run. ``id`` is that call's; what a person releases runs as a call of its own.

    ``asked`` are the arguments that the agent gave, ``args`` those that would run: the last of ``edits``. ``note`` says why it is open
    again, how it ended, or why it was set aside; ``superseded_by`` is the call that took its place.
    """

    id: str
    run: str
    workflow: str
    version: int
    tool: str
    effect: EffectKind
    risk: Risk
    key: str
    has_business_key: bool
    asked: dict[str, Any]
    args: dict[str, Any]
    digest: str
    requested_at: datetime
    requested_by: Principal
    state: DraftState
    reasons: tuple[Reason, ...] = ()
    source: str | None = None
    edits: tuple[Edit, ...] = ()
    release: Release | None = None
    claim: Claim | None = None
    note: str = ""
    closed_at: datetime | None = None
    closed_by: Principal | None = None
    superseded_by: str | None = None
