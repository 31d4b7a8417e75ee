"""Plans are found by their state, and each names every system that its items are about, however many entries they took."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("plan", sa.Column("state", text))
    connection = op.get_bind()
    plan = sa.table("plan", sa.column("id"), sa.column("state"), sa.column("record", sa.LargeBinary()))
    item = sa.table("item", sa.column("plan"), sa.column("record", sa.LargeBinary()))
    for known in connection.execute(sa.select(plan.c.id, plan.c.record)).all():
        record = msgspec.json.decode(known.record)
        items = connection.execute(sa.select(item.c.record).where(item.c.plan == known.id))
        systems = {msgspec.json.decode(each.record)["object"]["system"] for each in items}
        record |= {"systems": sorted(systems)}
        connection.execute(
            sa.update(plan)
            .where(plan.c.id == known.id)
            .values(state=record["state"], record=msgspec.json.encode(record))
        )
    op.create_index("plan_state", "plan", ["state"])
