"""What other tools have delivered is remembered for some days, and the newest signals of a cause are found at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    def text(length: int) -> sa.types.TypeEngine[str]:
        return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")

    op.create_table(
        "delivery",
        sa.Column("digest", text(80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("signal", text(64), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("delivery_at", "delivery", ["at"])
    op.drop_index("signal_key", "signal")
    op.create_index("signal_key_raised_at", "signal", ["key", "raised_at"])
    op.create_index("signal_raised_at", "signal", ["raised_at"])
