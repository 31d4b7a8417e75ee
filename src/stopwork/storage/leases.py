"""Whose turn something is: a duty where several servers share a database, or the items of one system in a recovery.

The clock that all of them share counts, so the servers' clocks do not matter. A lease keeps work from being done several times; it does not by itself
keep a server that was suspended from finishing what it began after its lease ran out. What a duty writes is therefore always conditional on
what it read, in one transaction: whoever comes late changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql, sqlite

from stopwork.kernel.clock import boottime
from stopwork.storage.tables import lease
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: Nothing is given for longer.
MAX_LEASE_US: Final = 600 * 1_000_000
#: So far the clock of a shared database may be set forward, or be ahead on the machine that takes over, before a guard's lease is taken to
#: be over that is not.
WALL_CLOCK_MARGIN_S: Final = 2.0
_NOW_US: Final = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1_000_000, sa.BigInteger)


def now_us(view: View) -> int:
    """Answer microseconds on the clock that leases are counted on, which all servers of this database share.

    A database that one process owns has that machine's time since boot: nobody sets it, and it goes on while the machine is suspended.
    One that is shared has the time on the wall of its machine, which somebody may set: see :func:`margin_us`.
    """
    if view.database == "sqlite":
        return int(boottime() * 1_000_000)
    return int(view.execute(sa.select(_NOW_US)).scalar_one())


def margin_us(view: View) -> int:
    """Answer by how much longer a guard's lease is counted than by the clock alone, where that clock may be set."""
    return 0 if view.database == "sqlite" else int(WALL_CLOCK_MARGIN_S * 1_000_000)


class Lease(Struct, frozen=True, kw_only=True):
    """Who has something, for how much longer, and under which number: it rises with every change of hands."""

    owner: str
    fence: int
    left_s: float


def take(tx: Tx, duty: str, *, owner: str, for_s: float) -> int | None:
    """Give the duty to ``owner`` for so long from now, again or for the first time; ``None`` while it is somebody else's.

    The answer rises with every change of hands.
    """
    shared = tx.database != "sqlite"
    now: Any = _NOW_US if shared else now_us(tx)
    until_us = now + int(for_s * 1_000_000)
    insert = postgresql.insert if shared else sqlite.insert
    # What seems to last longer than anything is given for was given before the machine was started again.
    over = sa.or_(lease.c.until_us < now, lease.c.until_us > now + MAX_LEASE_US)
    made = insert(lease).values(duty=duty, owner=owner, fence=1, until_us=until_us)
    taken = made.on_conflict_do_update(
        index_elements=[lease.c.duty],
        set_={
            "owner": owner,
            "until_us": until_us,
            "fence": sa.case((lease.c.owner == owner, lease.c.fence), else_=lease.c.fence + 1),
        },
        where=sa.or_(lease.c.owner == owner, over),
    )
    fence: int | None = tx.execute(taken.returning(lease.c.fence)).scalar()
    return fence


def held(view: View, duty: str) -> Lease | None:
    """Answer who has the duty now, or nobody."""
    now = now_us(view)
    row = view.execute(sa.select(lease).where(lease.c.duty == duty)).first()
    if row is None or not now <= row.until_us <= now + MAX_LEASE_US:
        return None
    return Lease(owner=row.owner, fence=row.fence, left_s=(row.until_us - now) / 1_000_000)


def give_back(tx: Tx, duty: str, *, owner: str) -> None:
    """Let somebody else take the duty at once."""
    tx.execute(sa.update(lease).where(lease.c.duty == duty, lease.c.owner == owner).values(until_us=0))


def drop(tx: Tx, duties: Collection[str]) -> None:
    """Forget duties that are over for good: whoever had one is asked for nothing any more, so that its number may begin anew."""
    tx.execute(sa.delete(lease).where(lease.c.duty.in_(duties)))
