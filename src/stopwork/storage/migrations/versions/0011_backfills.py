"""Orders to make up for missed runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "backfill",
        sa.Column("id", text, nullable=False),
        sa.Column("workflow", text, nullable=True),
        sa.Column("ordered_at", sa.BigInteger(), nullable=True),
        sa.Column("state", text, nullable=True),
        sa.Column("incident", text, nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backfill_workflow_ordered_at", "backfill", ["workflow", "ordered_at"])
    op.create_index("backfill_state", "backfill", ["state"])
    op.create_index("backfill_incident", "backfill", ["incident"])
