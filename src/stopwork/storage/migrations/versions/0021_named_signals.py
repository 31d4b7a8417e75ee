"""An incident names a hundred of its signals at most, and says how many there are besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_ROWS = 100
_MAX_NAMED = 100
#: A record that names more than so many signals is longer than this.
_LONG_BYTES = _MAX_NAMED * 20
_incident = sa.table("incident", sa.column("id"), sa.column("record"))
_journal = sa.table("journal", *(sa.column(name) for name in ("seq", "kind", "incident", "body")))


def upgrade() -> None:
    connection, after = op.get_bind(), ""
    page = (
        sa.select(_incident).where(sa.func.length(_incident.c.record) > _LONG_BYTES).order_by(_incident.c.id)
    )
    while rows := connection.execute(page.where(_incident.c.id > after).limit(_ROWS)).all():
        for row in rows:
            record = msgspec.json.decode(bytes(row.record))
            signals = record.get("signals", [])
            named = _left(connection, record) if record.get("split") else signals[:_MAX_NAMED]
            if named != signals:
                record |= {"signals": named, "more_signals": len(signals) - len(named)}
                changed = sa.update(_incident).where(_incident.c.id == row.id)
                connection.execute(changed.values(record=msgspec.json.encode(record)))
        after = rows[-1].id


def _left(connection: sa.Connection, record: dict[str, Any]) -> list[str]:
    """Answer what is left of the first hundred that an incident named at any time: some of them were split off."""
    named: list[str] = []
    for event in _events(connection, record):
        if event["event"] == "incident.split" and event["incident"] == record["id"]:
            named = [each for each in named if each not in event["signals"]]
        else:
            named += [event["signal"]] if "signal" in event else event["signals"]
            del named[_MAX_NAMED:]
    return named


def _events(connection: sa.Connection, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what has changed which signals an incident has, in the order of the journal."""
    incident = record["id"]
    # What came from another incident stands under that one's name.
    others = (*record.get("merged", ()), record.get("split_from"))
    kinds = ("incident.signal_joined", "incident.merged", "incident.split")
    about = _journal.c.incident.in_([incident, *filter(None, others)]) & _journal.c.kind.in_(kinds)
    page, after = sa.select(_journal.c.seq, _journal.c.body).where(about).order_by(_journal.c.seq), 0
    while rows := connection.execute(page.where(_journal.c.seq > after).limit(_ROWS)).all():
        for row in rows:
            event = msgspec.json.decode(bytes(row.body))["event"]
            own = event["incident"] == incident and event["event"] != "incident.merged"
            if own or event.get("into") == incident:
                yield event
        after = rows[-1].seq
