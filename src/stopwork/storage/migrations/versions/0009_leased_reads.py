"""How many reads a guard was last leased, so that guards together are leased no more than the day has left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("heartbeat", sa.Column("lease_reads", sa.BigInteger(), nullable=False, server_default="0"))
