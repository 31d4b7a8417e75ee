"""Contract: a recovery is over when everything that it put back has been read once more; what does not hold any more is a conflict that
names the recovery, and is not called repaired.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stopwork import Stopwork
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.events import ItemsReadAgain
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import ItemState, PlanState
from stopwork.operations import drifting
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.fsck import fsck
from stopwork.systems.capture import watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.undoing import CLEANUP, LEE, undone

SCHEMA = """
CREATE TABLE task (id INTEGER PRIMARY KEY, title TEXT, place INTEGER);
INSERT INTO task VALUES (1, 'a', 5), (2, 'b', 5), (3, 'c', 5), (4, 'd', 5), (5, 'e', 5), (6, 'f', 5), (7, 'g', 5), (8, 'h', 5), (9, 'i', 5);
CREATE TRIGGER moved AFTER INSERT ON task WHEN (SELECT count(*) FROM task) = 9 BEGIN
    UPDATE task SET place = place + 1 WHERE id <> NEW.id; END;
"""
TABLES = {"task": Table(table="task", key=("id",))}


class OneByOne(SqlSystem):
    """A database that is changed row by row, each in a transaction of its own."""

    replace_many = None  # type: ignore[assignment]


class Leaving(OneByOne):
    """A database that is out of reach once the last of the nine rows has been put back and read."""

    put_back = 0
    reads_since = 0

    def read(self, ref: ObjectRef) -> Image:
        self.reads_since += self.put_back == 9
        if self.reads_since > 1:
            raise Unavailable("crm is out of reach", hint="Wait.")
        return super().read(ref)

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        super().replace(ref, expected, target)
        self.put_back += 1


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "crm.db", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        yield connection


def guarded(tmp_path: Path, system: SqlSystem) -> Stopwork:
    system.install_capture()
    manifest = tmp_path / "stopwork.yaml"
    manifest.write_text(CLEANUP)
    guard = Stopwork.embedded(tmp_path / "data", manifest=manifest, systems={"crm": system})

    def tidy() -> str:
        with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
            watch(connection)
            with connection:
                connection.execute("DELETE FROM task")
        return "done"

    with guard.run("cleanup"):
        guard.tool("crm.tidy")(tidy)()
    return guard


def test_what_a_later_item_of_the_recovery_set_off_is_a_conflict_that_says_so(
    tmp_path: Path, crm: sqlite3.Connection
) -> None:
    with guarded(tmp_path, OneByOne("crm", tmp_path / "crm.db", TABLES, capture=True)) as guard:
        assert isinstance(guard.desk, LocalDesk)
        installation = guard.desk.installation
        plan, items = undone(installation, "cleanup")
        assert plan.state is PlanState.FINISHED
        # The last of nine sets the trigger off; those begun together with it are seen to be spoilt at once, the others at the end.
        spoilt = [item for item in items if item.state is ItemState.CONFLICT]
        assert spoilt
        assert [item.order for item in items if item.state is ItemState.VERIFIED] == [9]
        assert sorted(place for (place,) in crm.execute("SELECT place FROM task")) == [5] + 8 * [6]
        assert all(item.changed_again for item in spoilt)
        assert "by the recovery itself" in spoilt[0].note
        assert 'now {"id"' in spoilt[0].note
        looks = [
            entry.event
            for entry in installation.store.read(lambda view: view.entries(limit=1000))
            if isinstance(entry.event, ItemsReadAgain)
        ]
        assert looks[-1].done
        assert [each for look in looks for each in look.changed] == [item.id for item in spoilt]
        drift = drifting.look_at_objects(installation, LEE, incident=plan.incident)
        (by,) = (each.by for each in drift.objects if each.object == spoilt[0].object)
        assert by == f"the recovery ({spoilt[0].id}) set it off, or somebody wrote while it ran"
        assert fsck(installation.store).clean


@pytest.mark.usefixtures("crm")
def test_what_cannot_be_read_at_the_end_stays_verified_and_says_so(tmp_path: Path) -> None:
    with guarded(tmp_path, Leaving("crm", tmp_path / "crm.db", TABLES, capture=True)) as guard:
        assert isinstance(guard.desk, LocalDesk)
        plan, items = undone(guard.desk.installation, "cleanup")
        assert plan.state is PlanState.FINISHED
        assert {item.state for item in items} == {ItemState.VERIFIED}
        assert all("could not be read once more: crm is out of reach" in item.note for item in items)
