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


def calls_as(view: View, kind: type[G], *, workflow: str, since: datetime, page: int = PAGE) -> Iterator[G]:
    """Answer every call of a workflow that was asked for since then, as a record that has some of its fields."""
    table = TABLES[Call]
    asked = (
        sa.select(table.c.requested_at, table.c.id, table.c.record)
        .where(table.c.workflow == workflow)
        .order_by(table.c.requested_at, table.c.id)
        .limit(page)
    )
    at, last = since, ""
    while True:
        behind = sa.or_(table.c.requested_at > at, sa.and_(table.c.requested_at == at, table.c.id > last))
        # The first condition is what the index is entered by.
        rows = view.execute(asked.where(table.c.requested_at >= at, behind)).all()
        for row in rows:
            yield decode(kind, row.record)
        if len(rows) < page:
            return
        at, last = rows[-1].requested_at, rows[-1].id
