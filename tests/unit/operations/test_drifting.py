"""A look at an incident's objects is recorded with its time and changes nothing else; who changed one is asked of the journal and of its system.

A system that does not answer keeps nobody waiting for long, and hides no other object.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.errors import Denied, Invalid
from stopwork.ledger.records import Drift, Image, ObjectRef
from stopwork.ledger.words import DriftState, ImageState
from stopwork.operations import drifting
from stopwork.operations.looking import MAX_SILENCES, look, stamps
from stopwork.systems.python import PythonSystem
from stopwork.systems.sql import SqlSystem, Table
from tests.support.office import AGENT, LEE
from tests.support.trouble import Trouble


def looked(trouble: Trouble) -> dict[str, tuple[DriftState, str]]:
    found = drifting.look_at_objects(trouble.office.inst, LEE, incident=trouble.incident)
    return {each.object.id: (each.state, each.by) for each in found.objects}


def test_a_look_is_of_its_moment_and_the_newest_counts(trouble: Trouble) -> None:
    assert {state for state, _ in looked(trouble).values()} == {DriftState.UNCHANGED}
    trouble.office.crm.accounts["acme"]["owner"] = "kim"
    del trouble.office.crm.tasks["task-2"]
    known = trouble.office.read(lambda view: view.need(Drift, trouble.incident))
    assert {each.state for each in known.objects} == {DriftState.UNCHANGED}, "nobody has looked again"
    found = looked(trouble)
    assert (found["acme"], found["task-2"]) == ((DriftState.CHANGED, ""), (DriftState.GONE, ""))


def test_a_later_call_and_the_recovery_are_named(trouble: Trouble) -> None:
    office = trouble.office
    run = office.begin()
    fixed = office.do(run, "crm.update_account", account_id="acme", renewal="2026-07-01")
    assert looked(trouble)["acme"][1].startswith(f"crm.update_account in {fixed.call}")
    office.crm.accounts["acme"]["renewal"] = "2025-01-01"
    trouble.recover(trouble.approved_plan())
    assert "the recovery" in looked(trouble)["acme"][1]


def test_an_agent_does_not_look(trouble: Trouble) -> None:
    with pytest.raises(Denied):
        drifting.look_at_objects(trouble.office.inst, AGENT, incident=trouble.incident)


# --- looking ---------------------------------------------------------------------------------------


def refs(system: str, number: int) -> list[ObjectRef]:
    return [ObjectRef(system=system, type="row", id=str(each)) for each in range(number)]


def test_a_system_that_hangs_is_given_up_and_hides_no_other() -> None:
    forever = threading.Event()

    def hang(_kind: str, _id: str) -> Any:
        forever.wait(60)

    systems = {"slow": PythonSystem("slow", hang), "fast": PythonSystem("fast", lambda _kind, _id: {"v": 1})}
    found = look(systems, [*refs("slow", 20), *refs("fast", 20)], within_s=0.05)
    assert {found[ref].state for ref in refs("fast", 20)} == {ImageState.PRESENT}
    assert all("was not answered within 0.05 s" in found[ref].note for ref in refs("slow", 20))
    assert sum(thread.name == "look at slow" for thread in threading.enumerate()) <= MAX_SILENCES + 8
    forever.set()


def test_only_so_many_are_looked_at_and_the_others_are_said_not_to_be() -> None:
    systems = {"fast": PythonSystem("fast", lambda _kind, _id: {"v": 1})}
    found = look(systems, refs("fast", 3), most=2)
    assert [found[ref].state for ref in refs("fast", 3)] == [
        ImageState.PRESENT,
        ImageState.PRESENT,
        ImageState.UNKNOWN,
    ]


def test_many_are_read_together_where_a_system_can_and_one_by_one_where_that_fails() -> None:
    class Together(PythonSystem):
        def read_many(self, each: Sequence[ObjectRef]) -> Sequence[Image]:
            asked.append(len(each))
            if any(ref.id == "7" for ref in each):
                raise OSError("one of them cannot be read")
            return [Image.present({"together": True}) for _ in each]

    asked: list[int] = []
    systems = {"db": Together("db", lambda _kind, _id: {"together": False})}
    assert {image.content["together"] for image in look(systems, refs("db", 5)).values()} == {True}
    assert {image.content["together"] for image in look(systems, refs("db", 9)).values()} == {False}
    assert asked == [5, 9]


# --- sql -------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> SqlSystem:
    path = tmp_path / "crm.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, by TEXT, at TEXT)")
        db.execute(
            "INSERT INTO account VALUES (1, 'Acme', 'kim@acme.test', '2026-11-23T09:00Z'), (2, 'B', NULL, NULL)"
        )
    table = Table(table="account", key=("id",), ignore=("by", "at"), changed_by="by", changed_at="at")
    return SqlSystem("crm", path, {"account": table})


def account(number: int) -> ObjectRef:
    return ObjectRef(system="crm", type="account", id=str(number))


def test_a_row_says_who_changed_it_where_a_column_does(database: SqlSystem) -> None:
    found = stamps({"crm": database}, [account(1), account(2), account(3)])
    assert found == {
        account(1): ("kim@acme.test", "2026-11-23T09:00Z"),
        account(2): ("", ""),
        account(3): ("", ""),
    }
    assert database.read(account(1)) == Image.present({"id": 1, "name": "Acme"})


def test_a_stamp_that_is_no_column_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as db:
        db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY)")
    system = SqlSystem(
        "crm", tmp_path / "crm.db", {"account": Table(table="account", key=("id",), changed_by="who")}
    )
    with pytest.raises(Invalid, match="no column who"):
        system.read(account(1))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"id": 1, "name": "Globex", "color": "red"}, "color"),
        ({"id": 2, "name": "Globex"}, "another id"),
        ({"id": 1, "name": "Globex", "by": "me"}, "by"),
    ],
)
def test_a_row_refuses_what_could_never_be_put_there(database: SqlSystem, content: Any, why: str) -> None:
    database.check(account(1), Image.present({"id": 1, "name": "Globex"}))
    with pytest.raises(Invalid, match=why):
        database.check(account(1), Image.present(content))
