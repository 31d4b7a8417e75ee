"""Read leases as the control plane remembers them: whatever a guard may still decide by itself is on file before the guard hears of it.

Which lease a guard goes by is not known for certain: the answer that brought a newer one may have been lost. So what is on file is never
shortened by a newer lease, and a guard is only ever given what was noted for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import sqlalchemy as sa
from msgspec.structs import replace

from stopwork.control import grants
from stopwork.control.budget import Usage
from stopwork.control.protocol import ReadLease
from stopwork.ledger.records import Day, Hold, Point, Workflow
from stopwork.manifest.sense import LONGEST_LEASE
from stopwork.operations.manifests import Manifests
from stopwork.storage.leases import margin_us, now_us
from stopwork.storage.tables import TABLES, heartbeat
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: How much longer than the guard the control plane counts a lease, because no two clocks run alike.
CLOCKS_DRIFT: Final = 1.01

_points: Final = TABLES[Point]


def grant(tx: Tx, manifests: Manifests, asked: Mapping[str, Iterable[str]]) -> dict[str, ReadLease]:
    """Answer the lease that each point may have now, of those that ``asked``, by their workflow; none where there is no manifest.

    Whoever answers notes it first.
    """
    holds = tuple(tx.each(Hold, active=True)) if asked else ()
    found = {}
    for name in sorted(asked):
        workflow = tx.get(Workflow, name)
        if workflow is None:
            continue
        rules = manifests.version(tx, name, workflow.version)
        limited = rules.manifest.budget.day_calls is not None
        points = tuple(dict.fromkeys(asked[name]))
        count = tx.count(Point, workflow=name, retired_at=None) if limited else 1
        leased = _leased(tx, name, but_for=points) if limited else 0
        usage = _spent(tx.get(Day, Day.id_of(name, tx.now)))
        lease = grants.grant(rules, workflow, holds, usage, now=tx.now)
        for point in points:
            reads = grants.share(rules.manifest, usage, points=count, leased=leased)
            leased += reads
            found[point] = replace(lease, reads=reads)
    return found


def until_us(view: View, lasting_s: float) -> int:
    """Answer until when a lease that is granted now, for so long by its guard's clock, is counted here."""
    return now_us(view) + int(lasting_s * CLOCKS_DRIFT * 1_000_000) + margin_us(view)


def any_on_file(view: View) -> bool:
    """Answer whether a guard that is counted on may still have a lease."""
    return view.execute(sa.select(heartbeat.c.point).where(_of_live_points()).limit(1)).first() is not None


def after_start(tx: Tx) -> None:
    """Correct what is on file of leases by what a server knows that has just started: that none lasts longer than a minute from now.

    On SQLite time is counted from when the machine began: after a reboot, and on another machine, what is on file means nothing any
    more. So each lease is taken to last as long as one can. On PostgreSQL the clock goes on, and may have been set back.
    """
    longest_us = until_us(tx, LONGEST_LEASE.total_seconds())
    known_us = 0 if tx.database == "sqlite" else longest_us
    wrong = (_of_live_points(), heartbeat.c.lease_until_us > known_us)
    tx.execute(sa.update(heartbeat).where(*wrong).values(lease_until_us=longest_us))


def _of_live_points() -> sa.ColumnElement[bool]:
    live = sa.select(_points.c.id).where(_points.c.retired_at.is_(None))
    return sa.and_(heartbeat.c.lease_until_us > 0, heartbeat.c.point.in_(live))


def _leased(view: View, workflow: str, *, but_for: tuple[str, ...]) -> int:
    """Answer how many reads the other guards of the workflow may still decide at the most."""
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(heartbeat.c.lease_reads), 0))
        .join_from(heartbeat, _points, _points.c.id == heartbeat.c.point)
        .where(
            _points.c.workflow == workflow,
            _points.c.retired_at.is_(None),
            heartbeat.c.lease_until_us > now_us(view),
            heartbeat.c.point.not_in(but_for),
        )
    )
    return int(view.execute(query).scalar_one())


def _spent(today: Day | None) -> Usage:
    if today is None:
        return Usage()
    return Usage(
        day_usd=today.cost_usd,
        day_tokens=today.tokens,
        day_calls=today.calls,
        day_writes=today.writes,
        day_unpriced=today.unpriced,
    )
