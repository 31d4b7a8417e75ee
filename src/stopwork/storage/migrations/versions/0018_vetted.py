"""What people have let tools be called with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "vetted",
        sa.Column("id", text, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
