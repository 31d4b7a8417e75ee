"""What a database captured for a call is what the audit lists and what recovery puts back: cascades, triggers and bulk changes included.

The tools name nothing of it. Afterwards the tables hold what they held before, and what a person changed since is still there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stopwork import Stopwork
from stopwork.ledger.records import Call, Effect
from stopwork.ledger.words import ItemState, PlanState
from stopwork.sdk.embedded import LocalDesk
from stopwork.systems.capture import watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.undoing import CLEANUP, undone

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, tasks INTEGER DEFAULT 0);
CREATE TABLE task (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, title TEXT);
CREATE TABLE step (task INTEGER REFERENCES task ON DELETE CASCADE, number INTEGER, note TEXT, PRIMARY KEY (task, number));
CREATE TRIGGER counted AFTER DELETE ON task BEGIN
    UPDATE account SET tasks = tasks - 1 WHERE id = OLD.account; END;
INSERT INTO account VALUES (1, 'Acme', 2), (2, 'Beta', 1), (3, 'Gone', 0);
INSERT INTO task VALUES (10, 1, 'Call'), (11, 1, 'Mail'), (20, 2, 'Visit');
INSERT INTO step VALUES (10, 1, 'dial'), (10, 2, 'talk'), (20, 1, NULL);
"""


NAMED = """
workflow: cleanup
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  crm.rename: {effect: update, object: {system: crm, type: account, id: "string(args.id)"}, undo: {system: crm}}
"""


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "crm.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(SCHEMA)
        yield connection


def world(crm: sqlite3.Connection) -> dict[str, list[Any]]:
    return {
        table: crm.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
        for table in ("account", "task", "step")
    }


def test_a_call_that_named_nothing_is_undone_row_by_row(tmp_path: Path, crm: sqlite3.Connection) -> None:
    system = SqlSystem(
        "crm", tmp_path / "crm.db", {"account": Table(table="account", key=("id",))}, capture=True
    )
    system.install_capture()
    manifest = tmp_path / "stopwork.yaml"
    manifest.write_text(CLEANUP)
    before = world(crm)

    def tidy() -> str:
        with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            watch(connection)
            with connection:
                connection.execute("DELETE FROM account WHERE id IN (1, 3)")
                connection.execute("UPDATE task SET title = title || '!'")
                connection.execute("INSERT INTO account (name) VALUES ('Made up')")
        return "done"

    with Stopwork.embedded(tmp_path / "data", manifest=manifest, systems={"crm": system}) as guard:
        with guard.run("cleanup"):
            assert guard.tool("crm.tidy")(tidy)() == "done"
        assert len(world(crm)["account"]) == 2
        crm.execute("UPDATE account SET name = 'Beta Ltd' WHERE id = 2")
        assert isinstance(guard.desk, LocalDesk)
        installation = guard.desk.installation
        effects = installation.store.read(lambda view: list(view.each(Effect)))
        assert {(each.object.type, each.source) for each in effects} == {
            ("account", "capture"),
            ("task", "capture"),
            ("step", "capture"),
        }
        # One account went; the number of the other was given to the one made up. Two tasks and two steps went, a title changed.
        assert len(effects) == 2 + 2 + 2 + 1
        assert installation.store.read(lambda view: len(system.captured(effects[0].call))) == 0
        done, items = undone(installation, "cleanup")
    assert {item.state for item in items} == {ItemState.VERIFIED}, [
        (item.object, item.note) for item in items
    ]
    assert done.state is PlanState.FINISHED
    after = world(crm)
    assert after["account"].pop(1) == (2, "Beta Ltd", 1)
    assert before["account"].pop(1) == (2, "Beta", 1)
    assert after == before


def test_what_a_person_wrote_beside_a_call_that_changed_nothing_stays(
    tmp_path: Path, crm: sqlite3.Connection
) -> None:
    """The tool takes its own change back; the object that the call names is another afterwards all the same."""
    system = SqlSystem(
        "crm", tmp_path / "crm.db", {"account": Table(table="account", key=("id",))}, capture=True
    )
    system.install_capture()
    manifest = tmp_path / "stopwork.yaml"
    manifest.write_text(NAMED)

    def rename(id: int) -> None:  # noqa: A002
        with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
            watch(connection)
            connection.execute("UPDATE account SET name = 'bad' WHERE id = ?", (id,))
            connection.rollback()
        crm.execute("UPDATE account SET name = 'a person wrote this' WHERE id = 1")

    with Stopwork.embedded(tmp_path / "data", manifest=manifest, systems={"crm": system}) as guard:
        with guard.run("cleanup"):
            guard.tool("crm.rename")(rename)(id=1)
        assert isinstance(guard.desk, LocalDesk)
        installation = guard.desk.installation
        assert installation.store.read(lambda view: list(view.each(Effect))) == []
        [call] = installation.store.read(lambda view: list(view.each(Call)))
        assert "crm/account/1 is not as it was" in call.unseen["crm"]
    assert world(crm)["account"][0] == (1, "a person wrote this", 2)
