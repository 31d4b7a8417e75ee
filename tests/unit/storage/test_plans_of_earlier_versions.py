"""A database of an earlier version is brought to this one with its plans: each is found by its state, and names all of its systems."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config

from stopwork.ledger.records import Plan
from stopwork.ledger.words import PlanState
from stopwork.operations import lanes, recovering
from stopwork.operations.installation import DATABASE
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store, engine_of
from tests.support.office import LEE, Office
from tests.support.trouble import Trouble


def test_a_running_plan_goes_on_in_the_systems_it_did_not_name(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        trouble = Trouble(office)
        plan = trouble.approved_plan_as_proposed()
        office.write(partial(recovering.start, plan=plan.id), actor=LEE)
    earlier = tmp_path / "earlier.db"
    make(earlier, version="0011")
    fill(earlier, like=tmp_path / DATABASE)
    with Store.open(earlier) as store:
        [found] = store.read(lambda view: list(view.each(Plan, state=PlanState.RUNNING)))
        assert (found.id, found.systems) == (plan.id, ("crm",))
        assert store.read(lambda view: [each.id for each in lanes.running_plans(view)]) == [plan.id]
        assert fsck(store).clean


def make(path: Path, *, version: str) -> None:
    """Make an empty database as that version had it."""
    config = Config()
    config.set_main_option("script_location", "stopwork:storage/migrations")
    engine = engine_of(path)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
    engine.dispose()


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
