"""Who was told of an incident and has taken it, and what people marked in its timeline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    for name in ("mark", "response"):
        op.create_table(
            name,
            sa.Column("id", text, nullable=False),
            sa.Column("incident", text, nullable=True),
            sa.Column("record", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("id"),
        )
        op.create_index(f"{name}_incident", name, ["incident"])
    op.create_table(
        "telling",
        sa.Column("id", text, nullable=False),
        sa.Column("incident", text, nullable=True),
        sa.Column("planned_at", sa.BigInteger(), nullable=True),
        sa.Column("state", text, nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("telling_incident_planned_at", "telling", ["incident", "planned_at"])
    op.create_index("telling_state_next_at", "telling", ["state", "next_at"])
