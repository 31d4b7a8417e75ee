"""Rows that refer to each other by a foreign key are put right in turn, and none while the one before it is not; in a later plan too.

What merely looks like a reference, such as a number of stars that is some row's number, holds nothing back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stopwork import Stopwork
from stopwork.incidents.references import Reference
from stopwork.ledger.records import Item, Plan
from stopwork.ledger.words import ItemState, PlanState
from stopwork.operations import planning, plans, recovering
from stopwork.operations.installation import Installation
from stopwork.sdk.embedded import LocalDesk
from stopwork.systems.capture import watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.undoing import CLEANUP, DANA, LEE, undone

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE task (id INTEGER PRIMARY KEY, account INTEGER REFERENCES Account ON DELETE CASCADE, title TEXT);
CREATE TABLE step (task INTEGER REFERENCES task (ID) ON DELETE CASCADE, number INTEGER, PRIMARY KEY (task, number));
CREATE TABLE review (id INTEGER PRIMARY KEY, stars INTEGER);
INSERT INTO account VALUES (1, 'Acme'), (2, 'Beta');
INSERT INTO task VALUES (10, 1, 'Call'), (11, 1, 'Mail');
INSERT INTO step VALUES (10, 1), (11, 1);
INSERT INTO review VALUES (70, 5);
"""


class Desk:
    """A database that the agent has worked on, and the installation that knows of it."""

    def __init__(self, path: Path, crm: sqlite3.Connection, guard: Stopwork, system: SqlSystem) -> None:
        assert isinstance(guard.desk, LocalDesk)
        self.path, self.crm, self.guard, self.system = path, crm, guard, system
        self.installation: Installation = guard.desk.installation

    def tidy(self, *statements: str) -> None:
        def work() -> None:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                watch(connection)
                with connection:
                    for statement in statements:
                        connection.execute(statement)

        with self.guard.run("cleanup"):
            self.guard.tool("crm.tidy")(work)()

    def plan(self, incident: str) -> tuple[Plan, dict[str, Item]]:
        found = planning.plan(self.installation, LEE, incident=incident)
        return found, self.items(found)

    def items(self, plan: Plan) -> dict[str, Item]:
        return self.installation.store.read(lambda view: by_object(plans.items_of(view, plan.id)))

    def run(self, plan: Plan) -> dict[str, Item]:
        """Have every item of it run."""
        every = tuple(item.id for item in self.items(plan).values())
        approve: Callable[..., Plan] = planning.approve
        self.installation.store.write(
            lambda tx: approve(tx, plan=plan.id, digest=plan.digest, items=every), actor=DANA
        )
        assert recovering.run(self.installation, LEE, plan=plan.id).state is PlanState.FINISHED
        return self.items(plan)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    path = tmp_path / "crm.db"
    manifest = tmp_path / "stopwork.yaml"
    manifest.write_text(CLEANUP)
    with closing(sqlite3.connect(path, isolation_level=None)) as crm:
        crm.execute("PRAGMA foreign_keys = ON")
        crm.executescript(SCHEMA)
        system = SqlSystem("crm", path, {"customer": Table(table="account", key=("id",))}, capture=True)
        system.install_capture()
        with Stopwork.embedded(tmp_path / "data", manifest=manifest, systems={"crm": system}) as guard:
            yield Desk(path, crm, guard, system)


def by_object(items: list[Item]) -> dict[str, Item]:
    return {f"{item.object.type}/{item.object.id}": item for item in items}


def states(items: dict[str, Item]) -> dict[str, ItemState]:
    return {name: item.state for name, item in items.items()}


def test_foreign_keys_are_what_a_database_declares(desk: Desk) -> None:
    assert desk.system.references() == (
        Reference(type="step", fields=("task",), to="task", named=("id",)),
        Reference(type="task", fields=("account",), to="customer", named=("id",)),
    )


def test_a_number_that_is_some_row_s_number_holds_nothing_back(desk: Desk) -> None:
    desk.tidy("INSERT INTO account VALUES (3, 'made up')", "UPDATE review SET stars = 3 WHERE id = 70")
    desk.crm.execute("UPDATE review SET stars = 4 WHERE id = 70")
    _, items = undone(desk.installation, "cleanup")
    assert states(by_object(list(items))) == {
        "review/70": ItemState.CONFLICT,
        "customer/3": ItemState.VERIFIED,
    }


def test_a_later_plan_goes_by_what_an_earlier_one_has_put_right(desk: Desk) -> None:
    desk.tidy("DELETE FROM account WHERE id = 1")
    desk.crm.execute("INSERT INTO task VALUES (10, 2, 'another')")
    done, items = undone(desk.installation, "cleanup")
    first = by_object(list(items))
    assert states(first) == {
        "customer/1": ItemState.VERIFIED,
        "task/10": ItemState.CONFLICT,
        "task/11": ItemState.VERIFIED,
        "step/10/1": ItemState.CONFLICT,
        "step/11/1": ItemState.VERIFIED,
    }
    desk.crm.execute("DELETE FROM task WHERE id = 10")
    again, waiting = desk.plan(done.incident)
    assert waiting["task/10"].after == (first["customer/1"].id,)
    assert waiting["step/10/1"].after == (waiting["task/10"].id,)
    assert set(states(desk.run(again)).values()) == {ItemState.VERIFIED}
    assert desk.crm.execute("SELECT * FROM step ORDER BY task").fetchall() == [(10, 1), (11, 1)]


def test_what_stays_as_it_is_by_signature_holds_back_what_has_to_come_after_it(desk: Desk) -> None:
    desk.tidy("DELETE FROM account WHERE id = 1")
    desk.crm.execute("INSERT INTO task VALUES (10, 2, 'another')")
    done, _ = undone(desk.installation, "cleanup")
    second, items = desk.plan(done.incident)
    kept = items["task/10"].id
    desk.installation.store.write(
        lambda tx: planning.approve(
            tx,
            plan=second.id,
            digest=second.digest,
            accept=[kept],
            items=[items["step/10/1"].id],
            note="ours",
        ),
        actor=DANA,
    )
    recovering.run(desk.installation, LEE, plan=second.id)
    third, left = desk.plan(done.incident)
    assert left["step/10/1"].after == (kept,)
    ended = desk.run(third)["step/10/1"]
    assert (ended.state, ended.note) == (
        ItemState.CONFLICT,
        "crm/task/10 has to be put right first, and it is accepted",
    )
