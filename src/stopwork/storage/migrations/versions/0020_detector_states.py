"""What the detectors remember lies apart from how far they have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    duty = sa.table(
        "duty",
        sa.column("name"),
        sa.column("position"),
        sa.column("state", sa.LargeBinary()),
        sa.column("error"),
    )
    known = duty.c.name == "detectors"
    states = sa.select(sa.literal("states of detectors"), duty.c.position, duty.c.state, sa.literal(""))
    op.execute(sa.insert(duty).from_select(["name", "position", "state", "error"], states.where(known)))
    op.execute(sa.update(duty).where(known).values(state=b""))
