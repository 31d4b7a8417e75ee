"""Orders to make up for a run that was missed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from stopwork.ledger.records.parts import Principal, Record
from stopwork.ledger.words import BackfillState, CheckState, RunStatus


class BackfillCheck(StrEnum):
    """What has to be in order before a missed run is made up for."""

    OCCASION = "occasion"
    FRESHNESS = "freshness"
    DUPLICATES = "duplicates"
    HOLDS = "holds"
    STAGE = "stage"


class BackfillFinding(Record):
    """What one check of a backfill found. ``about`` is the source that it is about, ``records`` are those that it rests on.

    An ``unknown`` one lets the backfill go ahead when a person says why.
    """

    check: BackfillCheck
    state: CheckState
    text: str
    about: str = ""
    records: tuple[str, ...] = ()


class Backfill(Record):
    """A person's order to make up for one missed occasion, to be taken up once.

    ``trigger_id`` is the occasion's, so that what attempts at it have done counts. ``as_of`` is how old the person says that sources
    are, ``why`` why it goes ahead although of some nobody recorded it. ``run`` is the run that whoever takes it begins, until
    ``taken_until`` at the latest; ``ended`` is how that ended.
    """

    id: str
    workflow: str
    occasion: str
    trigger_id: str
    state: BackfillState
    reason: str
    ordered_by: Principal
    ordered_at: datetime
    expires_at: datetime
    findings: tuple[BackfillFinding, ...] = ()
    due: datetime | None = None
    incident: str | None = None
    as_of: dict[str, datetime] = {}
    why: str = ""
    run: str | None = None
    session: str | None = None
    taken_at: datetime | None = None
    taken_until: datetime | None = None
    ended: RunStatus | None = None
    closed_at: datetime | None = None
    closed_by: Principal | None = None
    note: str = ""
