"""Looking at a great many records: each is read only as far as it is asked for, and no more than a page of the calls at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final, TypeVar

import sqlalchemy as sa

from stopwork.ledger.records import Call, Incident, LegalHold, Record, Run
from stopwork.storage.statements import Statement
from stopwork.storage.tables import TABLES
from stopwork.storage.view import View, decode

G = TypeVar("G", bound=Record)

PAGE: Final = 5_000

_incident: Final = TABLES[Incident].c
_hold: Final = TABLES[LegalHold].c
_run: Final = TABLES[Run].c
_PRIVATE: Final = Statement(sa.select(_incident.record).where(_incident.private))
_HELD: Final = sa.select(_incident.record).join_from(
    TABLES[Incident], TABLES[LegalHold], sa.and_(_hold.id == _incident.id, _hold.active)
)


def private_as(view: View, kind: type[G]) -> list[G]:
    """Answer the private incidents, each as a record that has some of its fields."""
    return [decode(kind, body) for (body,) in view.run(_PRIVATE, {})]


def held_as(view: View, kind: type[G], *, runs: Collection[str], incident: str | None) -> list[G]:
    """Answer the incidents under legal hold, as far as asked: this one, and those of the workflows that these runs are of."""
    if view.first(LegalHold, active=True) is None:
        return []
    asked = [_incident.id == incident] if incident else []
    if runs:
        asked.append(_incident.workflow.in_(sa.select(_run.workflow).where(_run.id.in_(runs))))
    return [decode(kind, body) for (body,) in view.execute(_HELD.where(sa.or_(sa.false(), *asked)))]


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
