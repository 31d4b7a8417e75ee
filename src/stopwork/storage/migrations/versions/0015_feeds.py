"""What systems of record tell of the changes in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "feed_change",
        sa.Column("id", text, nullable=False),
        sa.Column("object_key", text, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=True),
        sa.Column("system", text, nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("feed_change_object_key_at", "feed_change", ["object_key", "at"])
    op.create_index("feed_change_system_at", "feed_change", ["system", "at"])
