"""Calls that were recorded instead of run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "draft",
        sa.Column("id", text, nullable=False),
        sa.Column("state", text, nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=True),
        sa.Column("workflow", text, nullable=True),
        sa.Column("key", text, nullable=True),
        sa.Column("run", text, nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("draft_state_requested_at", "draft", ["state", "requested_at"])
    op.create_index("draft_workflow_requested_at", "draft", ["workflow", "requested_at"])
    op.create_index("draft_key", "draft", ["key"])
    op.create_index("draft_run", "draft", ["run"])
