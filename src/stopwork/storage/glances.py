"""Looking at a great many calls: each is read only as far as it is asked for, and no more than a page of them at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, TypeVar

import sqlalchemy as sa

from stopwork.ledger.records import Call, Record
from stopwork.storage.tables import TABLES
from stopwork.storage.view import View, decode

G = TypeVar("G", bound=Record)

PAGE: Final = 5_000


def calls_as(
    view: View, kind: type[G], *, workflow: str, since: datetime, page: int = PAGE
) -> Iterator[tuple[datetime, G]]:
    """Answer the calls of a workflow that were asked for since then, newest first: when, and a record that has some of its fields."""
    table = TABLES[Call]
    asked = (
        sa.select(table.c.requested_at, table.c.id, table.c.record)
        .where(table.c.workflow == workflow, table.c.requested_at >= since)
        .order_by(table.c.requested_at.desc(), table.c.id.desc())
        .limit(page)
    )
    further = asked
    while True:
        rows = view.execute(further).all()
        for row in rows:
            yield row.requested_at, decode(kind, row.record)
        if len(rows) < page:
            return
        at, last = rows[-1].requested_at, rows[-1].id
        before = sa.or_(table.c.requested_at < at, sa.and_(table.c.requested_at == at, table.c.id < last))
        # The first condition is what the index is entered by.
        further = asked.where(table.c.requested_at <= at, before)
