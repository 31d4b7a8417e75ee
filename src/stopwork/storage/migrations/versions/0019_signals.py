"""Signals are looked up by their kind and by what became of them, and searched for what they say."""

# Annotations are evaluated here: Alembic loads a migration under no name at which msgspec could look them up.
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from stopwork.kernel.errors import Tampered

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_ROWS = 1_000
_MAX_WORDS = 4_000


class _Signal(msgspec.Struct, frozen=True, kw_only=True):
    """What a signal of this version says of itself, as far as it is looked up."""

    id: str
    kind: str
    detector: str
    key: str
    workflow: str
    summary: str
    facts: dict[str, Any] = {}
    run: str | None = None
    call: str | None = None
    incident: str | None = None

    @property
    def state(self) -> str:
        if self.incident:
            return "incident"
        if self.workflow:
            return "logged"
        return "server" if self.key.startswith("duty ") else "unplaced"

    @property
    def words(self) -> str:
        said = (self.id, self.detector, self.run or "", self.call or "", self.summary, *_texts(self.facts))
        return " ".join(" ".join(said).replace("\0", " ").casefold().split())[:_MAX_WORDS]


def upgrade() -> None:
    text = sa.String(256).with_variant(sa.Text(collation="C"), "postgresql")
    for name in ("kind", "state", "words"):
        op.add_column("signal", sa.Column(name, text, nullable=True))
    _fill()
    for columns in (("kind", "raised_at"), ("state", "raised_at"), ("workflow", "state", "raised_at")):
        op.create_index(f"signal_{'_'.join(columns)}", "signal", list(columns))


def _fill() -> None:
    """Write for each signal what its record says."""
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
        known = [_decoded(row.id, bytes(row.record)) for row in rows]
        connection.execute(
            changed,
            [
                {
                    "of": each.id,
                    "its_kind": each.kind,
                    "its_state": each.state,
                    "its_words": each.words,
                }
                for each in known
            ],
        )
        after = rows[-1].id


def _decoded(of: str, record: bytes) -> _Signal:
    try:
        return msgspec.json.decode(record, type=_Signal)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Tampered(
            f"the record of signal {of} cannot be read: {error}",
            hint="Keep a copy of the database, and restore the newest backup whose records can be read.",
        ) from error


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, dict):
        for value in said.values():
            yield from _texts(value)
    elif isinstance(said, list):
        for value in said:
            yield from _texts(value)
    elif isinstance(said, int | float) and not isinstance(said, bool):
        yield str(said)
