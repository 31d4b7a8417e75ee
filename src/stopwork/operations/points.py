"""Enforcement points: the guards that are alive, and what each has last confirmed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.events import PointRegistered, PointRetired
from stopwork.ledger.records import Control, Point
from stopwork.operations.runs import require_own_workflow
from stopwork.storage.tables import TABLES
from stopwork.storage.tables import heartbeat as heartbeats
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View, decode

#: A guard that was silent for this long is no longer counted on to be there.
RETIRED_AFTER: Final = timedelta(seconds=60)

_points: Final = TABLES[Point]


class PointView(Struct, frozen=True, kw_only=True):
    """A live guard: how long it has been silent and the newest control epoch it confirmed."""

    point: str
    workflow: str
    name: str
    registered_at: datetime
    silent_s: float
    epoch: int


def register(tx: Tx, *, workflow: str, name: str, point: str | None = None) -> tuple[str, int]:
    """Register a guard; answer its id and the control epoch.

    A guard may choose its id, so that its permits can name it from the first on; the same again is one guard. ``Conflict`` when the
    id was another one's, or has been given up.
    """
    require_own_workflow(tx, workflow)
    known = tx.get(Point, point) if point else None
    if known is not None:
        if (known.workflow, known.retired_at) != (workflow, None):
            raise Conflict(f"{point} is not this guard any more", hint="Choose a new id.", point=known.id)
        return known.id, current_epoch(tx)
    point = point or tx.new_id("point")
    tx.record(PointRegistered(point=point, workflow=workflow, name=name[:120]))
    epoch = current_epoch(tx)
    tx.execute(sa.insert(heartbeats).values(point=point, seen_at=tx.now, epoch=epoch))
    return point, epoch


def heartbeat(tx: Tx, *, point: str, epoch: int) -> int:
    """Note that a guard is alive and has confirmed ``epoch``; answer the newest one.

    ``NotFound`` for a guard that was given up: nobody would wait for its confirmation, so it has to register again. ``Invalid`` for
    an epoch that has not come yet: that would confirm a pause before it is set.
    """
    known = tx.need(Point, point)
    require_own_workflow(tx, known.workflow)
    if known.retired_at is not None:
        raise NotFound(f"{point} is no longer counted on", hint="Register again.", point=point)
    newest = current_epoch(tx)
    if epoch > newest:
        raise Invalid(
            f"epoch {epoch} has not come yet",
            hint="Confirm what you were told.",
            expected=newest,
            found=epoch,
        )
    tx.execute(sa.update(heartbeats).where(heartbeats.c.point == point).values(seen_at=tx.now, epoch=epoch))
    return newest


def retire(tx: Tx, *, point: str, reason: str) -> None:
    """Count no longer on a guard; saying so again changes nothing."""
    known = tx.need(Point, point)
    require_own_workflow(tx, known.workflow)
    if known.retired_at is None:
        tx.record(PointRetired(point=point, workflow=known.workflow, reason=reason))


def retire_silent(tx: Tx) -> int:
    """Retire the guards that were silent for too long; answer how many."""
    query = (
        sa.select(heartbeats.c.point)
        .join_from(heartbeats, _points, _points.c.id == heartbeats.c.point)
        .where(heartbeats.c.seen_at < tx.now - RETIRED_AFTER, _points.c.retired_at.is_(None))
    )
    silent = [point for (point,) in tx.execute(query)]
    for point in silent:
        retire(tx, point=point, reason=f"silent for {RETIRED_AFTER.total_seconds():.0f} s")
    return len(silent)


def live(view: View, *, now: datetime, workflow: str | None = None) -> list[PointView]:
    """Answer the guards that are counted on."""
    query = sa.select(_points.c.record, heartbeats.c.seen_at, heartbeats.c.epoch).join_from(
        _points, heartbeats, _points.c.id == heartbeats.c.point
    )
    query = query.where(_points.c.retired_at.is_(None))
    if workflow is not None:
        query = query.where(_points.c.workflow == workflow)
    found = []
    for row in view.execute(query):
        known = decode(Point, row.record)
        found.append(
            PointView(
                point=known.id,
                workflow=known.workflow,
                name=known.name,
                registered_at=known.registered_at,
                silent_s=(now - row.seen_at).total_seconds(),
                epoch=row.epoch,
            )
        )
    return found


def current_epoch(view: View) -> int:
    """Answer the control epoch: it rises with every change of what may happen."""
    control = view.get(Control, "control")
    return control.epoch if control else 0
