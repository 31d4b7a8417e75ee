"""What several servers on one PostgreSQL database agree by. SQLite has one process and needs none of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.create_table(
        "journal_head",
        sa.Column("single", sa.Boolean(), sa.CheckConstraint("single"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("single"),
    )
    op.execute("INSERT INTO journal_head (single, seq) SELECT true, coalesce(max(seq), 0) FROM journal")
    op.create_table(
        "lease",
        sa.Column("duty", sa.Text(collation="C"), nullable=False),
        sa.Column("owner", sa.Text(collation="C"), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("duty"),
    )
