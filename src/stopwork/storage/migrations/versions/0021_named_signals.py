"""An incident names a hundred of its signals at most, and says how many there are besides."""

from __future__ import annotations

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


def upgrade() -> None:
    connection, after = op.get_bind(), ""
    page = (
        sa.select(_incident).where(sa.func.length(_incident.c.record) > _LONG_BYTES).order_by(_incident.c.id)
    )
    while rows := connection.execute(page.where(_incident.c.id > after).limit(_ROWS)).all():
        for row in rows:
            record = msgspec.json.decode(bytes(row.record))
            named = record.get("signals", [])
            if len(named) > _MAX_NAMED:
                record |= {"signals": named[:_MAX_NAMED], "more_signals": len(named) - _MAX_NAMED}
                changed = sa.update(_incident).where(_incident.c.id == row.id)
                connection.execute(changed.values(record=msgspec.json.encode(record)))
        after = rows[-1].id
