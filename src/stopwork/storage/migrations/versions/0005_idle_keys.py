"""Since when an idempotency key has not been used, so that it can expire. Keys from before are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("key", sa.Column("workflow", text))
    op.add_column("key", sa.Column("idle_since", sa.BigInteger()))
    before_slash = (
        "split_part(id, '/', 1)"
        if op.get_bind().dialect.name == "postgresql"
        else "substr(id, 1, instr(id, '/') - 1)"
    )
    op.execute(f"UPDATE key SET workflow = {before_slash}")  # noqa: S608 - one of two constants
    op.create_index("key_workflow_idle_since", "key", ["workflow", "idle_since"])
