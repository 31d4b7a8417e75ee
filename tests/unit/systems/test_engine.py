"""Through SQLAlchemy, values that JSON has no word for are text in an image and their own type again in the row."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from stopwork.kernel.errors import Invalid, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.engine import EngineDatabase, EngineSession
from stopwork.systems.sql import SqlSystem, Table

METADATA = sa.MetaData()
PAYMENT = sa.Table(
    "payment",
    METADATA,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("due", sa.Date()),
    sa.Column("made_at", sa.DateTime()),
    sa.Column("window_from", sa.Time()),
    sa.Column("amount", sa.Numeric(12, 2)),
    sa.Column("grace", sa.Interval()),
    sa.Column("details", sa.JSON()),
)
ROW: dict[str, Any] = {
    "id": UUID("12345678-1234-5678-1234-567812345678"),
    "due": date(2026, 12, 1),
    "made_at": datetime(2026, 12, 1, 8, 0, 0, 5, tzinfo=UTC).replace(tzinfo=None),
    "window_from": time(8, 30),
    "amount": Decimal("12.50"),
    "grace": timedelta(days=2, microseconds=1),
    "details": {"$bytes": "not really", "lines": [1, None, True]},
}
TABLE = Table(table="payment", key=("id",))


def test_typed_values_are_text_in_an_image_and_typed_again_on_the_way_back() -> None:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        # The declared types stand in for those that another database would report.
        session = EngineSession(connection, lambda *_: PAYMENT, writing=True)
        shown = {column: session.to_plain(value) for column, value in ROW.items()}
        assert shown == {
            **ROW,
            "id": "12345678-1234-5678-1234-567812345678",
            "due": "2026-12-01",
            "made_at": "2026-12-01T08:00:00.000005",
            "window_from": "08:30:00",
            "amount": "12.50",
            "grace": 172_800_000_001,
        }
        session.insert(
            TABLE, {column: session.from_plain(TABLE, column, value) for column, value in shown.items()}
        )
        assert session.select(TABLE, {"id": session.keys(TABLE, "id", shown["id"])}, limit=2) == [ROW]
        changes = {"due": session.from_plain(TABLE, "due", "2026-12-02")}
        assert session.update(TABLE, ROW, changes) == 1
        assert session.update(TABLE, ROW, changes) == 0
        assert session.delete(TABLE, ROW | {"due": date(2026, 12, 2)}) == 1


def test_null_is_null_also_in_a_json_column() -> None:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as connection:
        session = EngineSession(connection, lambda *_: PAYMENT, writing=True)
        row = {"id": ROW["id"], "details": session.from_plain(TABLE, "details", None)}
        session.insert(TABLE, row)
        assert connection.scalar(sa.text("SELECT details IS NULL FROM payment")) == 1


@pytest.mark.parametrize(("column", "value"), [("due", "tomorrow"), ("amount", "much"), ("id", "7")])
def test_text_that_is_no_such_value_is_refused(column: str, value: str) -> None:
    with sa.create_engine("sqlite://").begin() as connection:
        session = EngineSession(connection, lambda *_: PAYMENT, writing=True)
        with pytest.raises(Invalid, match=f"payment.{column} cannot hold"):
            session.from_plain(TABLE, column, value)


def test_an_id_that_is_no_such_key_is_absent() -> None:
    with sa.create_engine("sqlite://").begin() as connection:
        session = EngineSession(connection, lambda *_: PAYMENT, writing=False)
        assert session.keys(TABLE, "id", "not a uuid") == []


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    system = SqlSystem("crm", f"sqlite+pysqlite:///{tmp_path}/no/such.db", {"payment": TABLE})
    with pytest.raises(Unavailable):
        system.read(ObjectRef(system="crm", type="payment", id="7"))


def test_a_statement_that_cannot_be_bound_is_invalid(tmp_path: Path) -> None:
    database = EngineDatabase(f"sqlite+pysqlite:///{tmp_path}/crm.db")
    METADATA.create_all(sa.create_engine(f"sqlite:///{tmp_path}/crm.db"))
    with pytest.raises(Invalid, match="cannot hold the value"), database.transaction(writing=True) as session:
        session.insert(TABLE, {"id": ROW["id"].hex, "due": "tomorrow"})
    system = SqlSystem("crm", f"sqlite+pysqlite:///{tmp_path}/crm.db", {"payment": TABLE})
    assert system.read(ObjectRef(system="crm", type="payment", id=str(ROW["id"]))) == Image.absent()
