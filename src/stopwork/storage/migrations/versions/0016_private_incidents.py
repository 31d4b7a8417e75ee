"""Which incidents are private or for practice is looked up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("private", "practice"):
        op.add_column("incident", sa.Column(name, sa.Boolean(), nullable=True))
        op.create_index(f"incident_{name}", "incident", [name])
    op.execute("UPDATE incident SET private = false, practice = false")
