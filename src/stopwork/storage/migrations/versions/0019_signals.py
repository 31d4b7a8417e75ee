"""Signals are looked up by their kind and by what became of them, and searched for what they say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stopwork.ledger.records import Signal
from stopwork.storage.view import decode

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_ROWS = 1_000


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    for name in ("kind", "state", "words"):
        op.add_column("signal", sa.Column(name, text, nullable=True))
    _fill()
    for columns in (("kind", "raised_at"), ("state", "raised_at"), ("workflow", "state", "raised_at")):
        op.create_index(f"signal_{'_'.join(columns)}", "signal", list(columns))


def _fill() -> None:
    """Write for each signal what its record says: records of every version are read by the later ones."""
    names = ("id", "kind", "state", "words", "record")
    table = sa.table("signal", *(sa.column(name) for name in names))
    changed = (
        sa.update(table)
        .where(table.c.id == sa.bindparam("of"))
        .values({name: sa.bindparam(f"its_{name}") for name in ("kind", "state", "words")})
    )
    connection, after = op.get_bind(), ""
    while True:
        page = sa.select(table.c.id, table.c.record).where(table.c.id > after).order_by(table.c.id)
        rows = connection.execute(page.limit(_ROWS)).all()
        if not rows:
            return
        known = [decode(Signal, bytes(row.record)) for row in rows]
        connection.execute(
            changed,
            [
                {
                    "of": each.id,
                    "its_kind": each.kind.value,
                    "its_state": each.state.value,
                    "its_words": each.words,
                }
                for each in known
            ],
        )
        after = rows[-1].id
