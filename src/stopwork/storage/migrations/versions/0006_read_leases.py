"""Until when a guard may decide reads by itself. A guard that was there before has no lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "heartbeat", sa.Column("lease_until_us", sa.BigInteger(), nullable=False, server_default="0")
    )
