"""What a pause test found out."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.records.parts import Principal, Record
from stopwork.ledger.words import CheckState, ScopeKind


class LevelTest(Record):
    """One level of a pause test: what was held, whether that refused the probe, and how long it took from hold to refusal.

    ``state`` is ``unknown`` where the manifest names nothing that could be held at this level.
    """

    level: ScopeKind
    name: str
    state: CheckState
    text: str
    refused_after_s: float | None = None


class PauseTest(Record):
    """A pause test of one workflow. ``points`` guards were alive; ``unconfirmed`` names those that did not hear of it in time."""

    id: str
    version: int
    at: datetime
    by: Principal
    passed: bool
    tool: str
    levels: tuple[LevelTest, ...]
    epoch: int
    points: int = 0
    unconfirmed: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    confirmed_after_s: float | None = None
