"""Rows as objects: one row is one object under one spelling, every value comes back exactly, and nothing else moves.

Each case runs on SQLite through the standard library and through SQLAlchemy.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.canonical import plain
from stopwork.kernel.errors import Conflict, Invalid, TooLarge, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Unsupported
from stopwork.systems.sql import SqlSystem, Table

Make = Callable[..., SqlSystem]

SCHEMA = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, cents INTEGER, logo BLOB, ratio REAL,
    euros REAL GENERATED ALWAYS AS (cents / 100.0) STORED, updated_at TEXT DEFAULT 'never'
);
CREATE TABLE member (team TEXT, person TEXT, role TEXT, PRIMARY KEY (team, person));
CREATE TABLE note (
    id TEXT PRIMARY KEY COLLATE NOCASE, account INTEGER, text,
    FOREIGN KEY (account) REFERENCES account (id) ON DELETE CASCADE
);
CREATE TABLE invoice (id TEXT PRIMARY KEY, account INTEGER REFERENCES account);
CREATE TABLE "odd ""table"" name" ("the key" TEXT PRIMARY KEY, "select" TEXT);
CREATE TABLE loose (k, v);
"""
TABLES = {
    "account": Table(table="account", key=("id",), ignore=("updated_at",)),
    "member": Table(table="member", key=("team", "person")),
    "note": Table(table="note", key=("id",)),
    "odd": Table(table='odd "table" name', key=("the key",)),
    "loose": Table(table="loose", key=("k",)),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "odd name?#%.db"
    _execute(path, SCHEMA)
    return path


@pytest.fixture(params=["sqlite:///", "sqlite+pysqlite:///"])
def make(request: pytest.FixtureRequest, path: Path, tmp_path: Path) -> Make:
    if request.param != "sqlite:///":
        path = path.rename(tmp_path / "plain.db")

    def make(tables: dict[str, Table] = TABLES, **settings: Any) -> SqlSystem:
        url: str | Path = path if request.param == "sqlite:///" else f"{request.param}{path}"
        return SqlSystem("crm", url, tables, **settings)

    return make


@pytest.fixture
def execute(make: Make, tmp_path: Path) -> Callable[[str], list[Any]]:
    [path] = tmp_path.glob("*.db")
    return lambda script: _execute(path, script)


def test_an_image_leaves_out_what_is_computed_or_immaterial(
    make: Make, execute: Callable[[str], list[Any]]
) -> None:
    execute("INSERT INTO account (id, name, cents) VALUES (7, 'Acme', 250)")
    assert make().read(_ref("account", "7")).content == {
        "id": 7,
        "name": "Acme",
        "cents": 250,
        "logo": None,
        "ratio": None,
    }


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("logo", b"\x00\xff"),
        ("cents", 2**63 - 1),
        ("cents", -(2**53)),
        ("ratio", math.inf),
        ("ratio", 5e-324),
        ("name", ""),
        ("name", '{"$bytes": "AA=="}'),
    ],
    ids=repr,
)
def test_every_value_comes_back_exactly(
    make: Make, execute: Callable[[str], list[Any]], column: str, value: Any
) -> None:
    execute("INSERT INTO account (id, name) VALUES (7, 'Acme')")
    system, ref = make(), _ref("account", "7")
    before = system.read(ref)
    wanted = Image.present({**before.content, column: plain(value)})
    system.replace(ref, before, wanted)
    assert execute(f"SELECT {column} FROM account") == [(value,)]
    system.replace(ref, wanted, Image.absent())
    system.replace(ref, Image.absent(), wanted)
    assert execute(f"SELECT {column} FROM account") == [(value,)]


@pytest.mark.parametrize(
    ("object_id", "team", "person"),
    [
        ("sales/dana", "sales", "dana"),
        ("a%2Fb/c%25d", "a/b", "c%d"),
        ("/", "", ""),
        ("%252F/x", "%2F", "x"),
    ],
)
def test_a_composite_key_is_joined_by_slashes(
    make: Make, execute: Callable[[str], list[Any]], object_id: str, team: str, person: str
) -> None:
    system, ref = make({"member": TABLES["member"]}), _ref("member", object_id)
    row = Image.present({"team": team, "person": person, "role": "owner"})
    system.replace(ref, Image.absent(), row)
    assert execute("SELECT team, person FROM member") == [(team, person)]
    assert system.read(ref) == row
    assert system.scan().keys() == {ref}


@pytest.mark.parametrize("object_id", ["sales", "a/b/c"])
def test_a_composite_id_has_as_many_parts_as_the_key(make: Make, object_id: str) -> None:
    with pytest.raises(Invalid, match="has a key of 2"):
        make().read(_ref("member", object_id))


@pytest.mark.parametrize(
    ("kind", "object_id", "right"), [("account", "07", "7"), ("account", " 7", "7"), ("note", "N1", "n1")]
)
def test_another_spelling_of_an_id_is_refused_with_the_right_one(
    make: Make, execute: Callable[[str], list[Any]], kind: str, object_id: str, right: str
) -> None:
    execute("INSERT INTO account (id, name) VALUES (7, 'Acme'); INSERT INTO note VALUES ('n1', 7, '')")
    with pytest.raises(Invalid) as caught:
        make().read(_ref(kind, object_id))
    assert caught.value.fields["expected"] == right


def test_an_id_that_the_column_cannot_hold_is_absent(make: Make) -> None:
    assert make().read(_ref("account", "acme")) == Image.absent()


def test_a_key_without_a_type_may_hold_text_or_numbers(
    make: Make, execute: Callable[[str], list[Any]]
) -> None:
    execute("INSERT INTO loose VALUES ('x', 1)")
    assert make().read(_ref("loose", "x")).content == {"k": "x", "v": 1}


def test_odd_names_of_tables_and_columns_are_quoted(make: Make) -> None:
    system, ref = make(), _ref("odd", "a")
    system.replace(ref, Image.absent(), Image.present({"the key": "a", "select": "'"}))
    assert system.read(ref) == Image.present({"the key": "a", "select": "'"})


@pytest.mark.parametrize("kind", ["", "nothing", "account; DROP TABLE account", "sqlite_master"])
def test_only_configured_types_are_tables(make: Make, kind: str) -> None:
    with pytest.raises(Invalid, match="is not an object of crm"):
        make().read(_ref(kind, "7"))


def test_a_row_is_changed_only_where_it_differs(make: Make, execute: Callable[[str], list[Any]]) -> None:
    execute(
        "INSERT INTO account (id, name, cents, updated_at) VALUES (7, 'Acme', 1, 'then');"
        "CREATE TRIGGER frozen BEFORE UPDATE OF name ON account BEGIN SELECT RAISE(ABORT, 'name is frozen'); END"
    )
    system, ref = make(), _ref("account", "7")
    before = system.read(ref)
    system.replace(ref, before, Image.present({**before.content, "cents": 2}))
    assert execute("SELECT cents, updated_at FROM account") == [(2, "then")]


def test_a_delete_that_would_cascade_is_refused(make: Make, execute: Callable[[str], list[Any]]) -> None:
    execute(
        "INSERT INTO account (id, name) VALUES (7, 'Acme'); INSERT INTO note VALUES ('n1', 7, 'by a person')"
    )
    system, ref = make(), _ref("account", "7")
    with pytest.raises(Conflict, match="rows of note"):
        system.replace(ref, system.read(ref), Image.absent())
    execute("DELETE FROM note")
    system.replace(ref, system.read(ref), Image.absent())
    assert execute("SELECT * FROM account") == []


def test_what_the_database_refuses_is_a_conflict(make: Make, execute: Callable[[str], list[Any]]) -> None:
    execute("INSERT INTO account (id, name) VALUES (7, 'Acme')")
    system, ref = make(), _ref("account", "7")
    before = system.read(ref)
    with pytest.raises(Conflict, match="refuses"):
        system.replace(ref, before, Image.present({**before.content, "name": None}))
    assert system.read(ref) == before


def test_a_row_of_which_part_is_unseen_is_changed_but_not_removed(
    make: Make, execute: Callable[[str], list[Any]]
) -> None:
    execute("INSERT INTO account (id, name, cents, logo) VALUES (7, 'Acme', 1, x'00')")
    system = make({"account": Table(table="account", key=("id",), columns=("cents",))})
    ref, before = _ref("account", "7"), Image.present({"id": 7, "cents": 1})
    assert system.read(ref) == before
    with pytest.raises(Unsupported, match="name is not seen"):
        system.replace(ref, before, Image.absent())
    with pytest.raises(Unsupported):
        system.replace(_ref("account", "8"), Image.absent(), Image.present({"id": 8, "cents": 1}))
    system.replace(ref, before, Image.present({"id": 7, "cents": 2}))
    assert execute("SELECT name, cents FROM account") == [("Acme", 2)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"id": 8, "name": "Acme", "cents": None, "logo": None, "ratio": None}, "another id"),
        ({"id": 7, "name": "Acme"}, "lacks"),
        ({"id": 7, "name": "Acme", "colour": "red"}, "colour"),
        ("text", "str"),
    ],
    ids=["other key", "too little", "too much", "no row"],
)
def test_what_is_not_this_row_is_refused(
    make: Make, execute: Callable[[str], list[Any]], content: Any, message: str
) -> None:
    execute("INSERT INTO account (id, name) VALUES (7, 'Acme')")
    system, ref = make(), _ref("account", "7")
    with pytest.raises(Invalid, match=message):
        system.replace(ref, system.read(ref), Image.present(content))


def test_a_scan_is_bounded(make: Make, execute: Callable[[str], list[Any]]) -> None:
    execute("INSERT INTO account (id, name) VALUES (1, 'a'), (2, 'b'); INSERT INTO note VALUES ('n1', 1, '')")
    tables = {"account": TABLES["account"], "note": TABLES["note"]}
    assert len(make(tables, scan_rows_max=3).scan()) == 3
    with pytest.raises(TooLarge, match="more than 2 rows"):
        make(tables, scan_rows_max=2).scan()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (Table(table="absent", key=("id",)), "no column id"),
        (Table(table="account", key=("nr",)), "no column nr"),
        (Table(table="account", key=("id",), ignore=("nr",)), "no column nr"),
        (Table(table="account", key=("ratio",)), "makes no id"),
    ],
    ids=["no table", "no key", "no ignored column", "key of floats"],
)
def test_a_wrong_table_is_named(
    make: Make, execute: Callable[[str], list[Any]], table: Table, message: str
) -> None:
    execute("INSERT INTO account (id, name, ratio) VALUES (7, 'Acme', 0.5)")
    with pytest.raises(Invalid, match=message):
        make({"t": table}).scan()


def test_a_database_that_is_not_there_is_unavailable_and_not_made(tmp_path: Path) -> None:
    system = SqlSystem("crm", tmp_path / "none.db", TABLES)
    with pytest.raises(Unavailable):
        system.read(_ref("account", "7"))
    assert not list(tmp_path.iterdir())


def test_an_unusable_address_is_refused_without_showing_it() -> None:
    with pytest.raises(Invalid) as caught:
        SqlSystem("crm", "nosuch+driver://user:secret@host/db", TABLES)
    assert "secret" not in str(caught.value)


def _ref(kind: str, object_id: str) -> ObjectRef:
    return ObjectRef(system="crm", type=kind, id=object_id)


def _execute(path: Path, script: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        if script.startswith("SELECT"):
            return database.execute(script).fetchall()
        database.executescript(script)
        return []
