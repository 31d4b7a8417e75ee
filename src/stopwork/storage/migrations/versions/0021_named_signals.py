"""An incident names a hundred of its signals at most, and says how many there are besides."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_MAX_NAMED = 100
#: A record that names more than so many signals is longer than this.
_LONG_BYTES = _MAX_NAMED * 20


def upgrade() -> None:
    table = sa.table("incident", sa.column("id"), sa.column("record"))
    long = sa.select(table).where(sa.func.length(table.c.record) > _LONG_BYTES)
    connection = op.get_bind()
    for row in connection.execute(long).all():
        record = msgspec.json.decode(bytes(row.record))
        named = record.get("signals", [])
        if len(named) > _MAX_NAMED:
            record |= {"signals": named[:_MAX_NAMED], "more_signals": len(named) - _MAX_NAMED}
            changed = sa.update(table).where(table.c.id == row.id)
            connection.execute(changed.values(record=msgspec.json.encode(record)))
