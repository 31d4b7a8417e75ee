"""Enforcement points: the guards that are alive, what each has last confirmed, and until when it may decide reads by itself.

A heartbeat is not history: it is no entry of the journal. It is durable before it is answered, because a lease that nobody remembers
would let a pause be called enforced while a guard still reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import sqlalchemy as sa
from msgspec import Struct

from stopwork.control.protocol import Heartbeat, Pulse
from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.ledger.events import PointRegistered, PointRetired
from stopwork.ledger.records import Control, Point, Principal
from stopwork.operations import leasing
from stopwork.operations.manifests import Manifests
from stopwork.operations.runs import require_own_workflow, require_speaks_for
from stopwork.storage.leases import now_us
from stopwork.storage.tables import TABLES
from stopwork.storage.tables import heartbeat as heartbeats
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View, decode

#: A guard that was silent for this long is no longer counted on to be there.
RETIRED_AFTER: Final = timedelta(seconds=60)
#: How often a guard comes by itself.
BEATS_EVERY_S: Final = 3.0
#: A guard without a lease is about to be told until it was silent for this long, and out of reach after the second time.
LATE_AFTER_S: Final = 2 * BEATS_EVERY_S
SILENT_AFTER_S: Final = 30.0

_points: Final = TABLES[Point]


class PointState(StrEnum):
    """How a guard stands to a hold.

    ``requested``: it has been told or is about to be, and until it confirms it may still read by itself. ``confirmed``: it acts on the
    hold. ``expired``: its lease has run out, so that it asks before it reads, as it does before every change. ``unreachable``: so
    it is, and nothing was heard of it for long.
    """

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"


class PointView(Struct, frozen=True, kw_only=True):
    """A live guard: how long it has been silent, the newest control epoch it confirmed, and how long it may still read by itself.

    ``lease_left_s`` is ``None`` for a guard that always asks.
    """

    point: str
    workflow: str
    name: str
    registered_at: datetime
    silent_s: float
    epoch: int
    lease_left_s: float | None = None


class Unconfirmed(PointView, frozen=True, kw_only=True):
    """A guard that has not confirmed a hold, and when it is expected to come by itself; where it can be told sooner it is."""

    state: PointState
    next_try_s: float


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


class Beat(Struct, frozen=True, kw_only=True):
    """One heartbeat of a guard whose right to speak for the point is known."""

    known: Point
    epoch: int
    lease: bool = False


def beat_of(view: View, asked: Heartbeat, newest: int, *, actor: Principal) -> Beat:
    """Answer a heartbeat that this actor may have noted.

    ``NotFound`` for a guard that was given up: nobody would wait for its confirmation, so it has to register again. ``Invalid`` for
    an epoch that has not come yet: that would confirm a pause before it is set.
    """
    known = view.need(Point, asked.point)
    require_speaks_for(actor, known.workflow)
    if known.retired_at is not None:
        raise NotFound(f"{known.id} is no longer counted on", hint="Register again.", point=known.id)
    if asked.epoch > newest:
        raise Invalid(
            f"epoch {asked.epoch} has not come yet",
            hint="Confirm what you were told.",
            expected=newest,
            found=asked.epoch,
        )
    return Beat(known=known, epoch=asked.epoch, lease=asked.lease)


def note(tx: Tx, manifests: Manifests, beats: Sequence[Beat]) -> list[Pulse]:
    """Note heartbeats, many at once, and answer each: the newest epoch, and the lease where one was asked for."""
    newest = current_epoch(tx)
    asked: dict[str, list[str]] = {}
    for beat in beats:
        if beat.lease:
            asked.setdefault(beat.known.workflow, []).append(beat.known.id)
    granted = leasing.grant(tx, manifests, asked)
    until = {for_s: leasing.until_us(tx, for_s) for for_s in {lease.for_s for lease in granted.values()}}
    pulses, rows = [], {}
    for beat in beats:
        lease = granted.get(beat.known.id) if beat.lease else None
        rows[beat.known.id] = {
            "of": beat.known.id,
            "at": tx.now,
            "confirmed": beat.epoch,
            "until": until[lease.for_s] if lease else 0,
            "reads": lease.reads if lease else 0,
        }
        pulses.append(Pulse(epoch=newest, lease=lease))
    if rows:
        # In one order everywhere, so that servers that note at the same time wait for each other and not in a circle.
        tx.execute(_NOTED, [rows[point] for point in sorted(rows)])
    return pulses


def _later(noted: sa.ColumnElement[int], granted: sa.BindParameter[int]) -> sa.Case[int]:
    """The guard may never hear of the lease that it is granted, and go by the one before."""
    return sa.case((noted < granted, granted), else_=noted)


_NOTED: Final = (
    sa.update(heartbeats)
    .where(heartbeats.c.point == sa.bindparam("of"))
    .values(
        seen_at=sa.bindparam("at"),
        epoch=sa.bindparam("confirmed"),
        lease_until_us=_later(heartbeats.c.lease_until_us, sa.bindparam("until", type_=sa.BigInteger)),
        lease_reads=sa.case(
            (sa.bindparam("until") > 0, sa.bindparam("reads")), else_=heartbeats.c.lease_reads
        ),
    )
)


def heartbeat(
    tx: Tx, manifests: Manifests | None = None, *, point: str, epoch: int, lease: bool = False
) -> Pulse:
    """Note that a guard is alive and has confirmed ``epoch``; answer the newest one, and a lease if it is asked for."""
    asked = Heartbeat(point=point, epoch=epoch, lease=lease)
    [pulse] = note(tx, manifests or Manifests(), [beat_of(tx, asked, current_epoch(tx), actor=tx.actor)])
    return pulse


def retire(tx: Tx, *, point: str, reason: str) -> None:
    """Count no longer on a guard; saying so again changes nothing."""
    known = tx.need(Point, point)
    require_own_workflow(tx, known.workflow)
    if known.retired_at is None:
        tx.record(PointRetired(point=point, workflow=known.workflow, reason=reason))


def retire_silent(tx: Tx) -> int:
    """Retire the guards that were silent for too long and whose leases have run out; answer how many."""
    query = (
        sa.select(heartbeats.c.point)
        .join_from(heartbeats, _points, _points.c.id == heartbeats.c.point)
        .where(
            heartbeats.c.seen_at < tx.now - RETIRED_AFTER,
            heartbeats.c.lease_until_us < now_us(tx),
            _points.c.retired_at.is_(None),
        )
    )
    silent = [point for (point,) in tx.execute(query)]
    for point in silent:
        retire(tx, point=point, reason=f"silent for {RETIRED_AFTER.total_seconds():.0f} s")
    return len(silent)


def live(
    view: View, *, now: datetime, workflow: str | None = None, before_epoch: int | None = None
) -> list[PointView]:
    """Answer the guards that are counted on; with ``before_epoch`` only those that have not confirmed that epoch."""
    query = sa.select(
        _points.c.record, heartbeats.c.seen_at, heartbeats.c.epoch, heartbeats.c.lease_until_us
    ).join_from(_points, heartbeats, _points.c.id == heartbeats.c.point)
    query = query.where(_points.c.retired_at.is_(None))
    if workflow is not None:
        query = query.where(_points.c.workflow == workflow)
    if before_epoch is not None:
        query = query.where(heartbeats.c.epoch < before_epoch)
    counted_us = now_us(view)
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
                lease_left_s=max(0.0, (row.lease_until_us - counted_us) / 1_000_000)
                if row.lease_until_us
                else None,
            )
        )
    return found


def unconfirmed(view: View, *, now: datetime, workflow: str | None, epoch: int) -> tuple[Unconfirmed, ...]:
    """Answer the guards that have not confirmed what was changed with this epoch, each with how it stands to that."""
    return tuple(
        Unconfirmed(
            **{name: getattr(point, name) for name in PointView.__struct_fields__},
            state=_state(point),
            next_try_s=max(0.0, BEATS_EVERY_S - point.silent_s),
        )
        for point in live(view, now=now, workflow=workflow, before_epoch=epoch)
    )


def _state(point: PointView) -> PointState:
    """Answer how a guard stands that has not confirmed."""
    always_asks = point.lease_left_s is None
    if point.silent_s < LATE_AFTER_S if always_asks else point.lease_left_s:
        return PointState.REQUESTED
    return PointState.EXPIRED if point.silent_s < SILENT_AFTER_S else PointState.UNREACHABLE


def count(view: View, *, workflow: str | None) -> int:
    """Count the guards that are counted on."""
    of_workflow = {} if workflow is None else {"workflow": workflow}
    return view.count(Point, retired_at=None, **of_workflow)


def current_epoch(view: View) -> int:
    """Answer the control epoch: it rises with every change of what may happen."""
    control = view.get(Control, "control")
    return control.epoch if control else 0
