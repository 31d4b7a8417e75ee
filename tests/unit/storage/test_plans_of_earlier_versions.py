"""A database of an earlier version is brought to this one with its plans: each is found by its state, and names all of its systems."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from stopwork.ledger.records import Plan
from stopwork.ledger.words import PlanState
from stopwork.operations import lanes
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from tests.support import earlier


def test_a_running_plan_goes_on_in_the_systems_it_did_not_name(tmp_path: Path) -> None:
    older = tmp_path / "older.db"
    earlier.make(older, version="0011")
    fill(older, like=earlier.write(tmp_path / "earlier.db"))
    with Store.open(older) as store:
        [found] = store.read(lambda view: list(view.each(Plan, state=PlanState.RUNNING)))
        assert found.systems == ("crm",)
        assert store.read(lambda view: [each.id for each in lanes.running_plans(view)]) == [found.id]
        assert fsck(store).clean


def fill(path: Path, *, like: Path) -> None:
    """Put in what the other database holds, as far as there is a place for it; no plan names a system."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ATTACH ? AS newer", (str(like),))
        tables = database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            if table != "alembic_version":
                known = database.execute("SELECT name FROM pragma_table_info(?, 'main')", (table,))
                columns = ", ".join(f'"{name}"' for (name,) in known)
                database.execute(f'DELETE FROM main."{table}"')
                database.execute(
                    f'INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM newer."{table}"'
                )
        for known, record in database.execute("SELECT id, record FROM plan").fetchall():
            unnamed = msgspec.json.encode(msgspec.json.decode(record) | {"systems": []})
            database.execute("UPDATE plan SET record = ? WHERE id = ?", (unnamed, known))
