"""The systems file: a mistake is named by its field with what would be right, and a secret is never in it or in an error."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import invoking, restoring
from stopwork.systems.load import load_systems, read_systems_file

SECRET = "s3cret-and-quiet"
TICKETS = {"ticket": {"table": "ticket", "key": ["id"]}}
TICKET = {"read": "/tickets/{id}"}
TICKET_MAP = {"ticket": TICKET}
CODE = f"""
class Desk:
    def __init__(self, key="", colour=""):
        assert key in ("", {SECRET!r}), f"wrong key {{key}}"
        self.colour = colour

    def read(self, kind, object_id):
        return {{"colour": self.colour}}

class Whole(Desk):
    def write(self, kind, object_id, content): ...
    def scan(self): return []
    def invoke(self, tool, args): return tool

class Ready:
    name, scans = "desk", False
    def read(self, ref): ...
    def replace(self, ref, expected, target): ...

desk = Desk()
broken = 7
def invoke(tool, args): return {{"tool": tool, **args}}
def connect(key): return invoke
def nothing(): return None
"""


def mapped(t: Any, **settings: Any) -> Any:
    """A map of an HTTP interface with one type, called t."""
    return {"desk": {"kind": "http", "url": "https://acme.test", "types": {"t": t}} | settings}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "desk.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "desk.db")) as database:
        database.executescript("CREATE TABLE ticket (id TEXT PRIMARY KEY); INSERT INTO ticket VALUES ('7')")
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "scans", "restores", "invokes"),
    [
        ({"kind": "sql", "url": "desk.db", "tables": TICKETS}, False, True, False),
        ({"kind": "sql", "url": "env:DESK_URL", "tables": TICKETS, "scan": True}, True, True, False),
        ({"kind": "python", "source": "desk.py:desk"}, False, False, False),
        ({"kind": "python", "source": "desk.py:Desk", "options": {"key": "env:KEY"}}, False, False, False),
        ({"kind": "python", "source": "desk.py:Whole", "options": {"key": "file:key"}}, True, True, True),
        (
            {"kind": "tool", "invoke": "desk.py:invoke", "types": {"ticket": {"snapshot": {"tool": "get"}}}},
            False,
            False,
            True,
        ),
        (
            {
                "kind": "tool",
                "invoke": "desk.py:connect",
                "options": {"key": "env:KEY"},
                "types": {"ticket": {"snapshot": {"tool": "get"}, "delete": {"tool": "drop"}}},
            },
            False,
            True,
            True,
        ),
    ],
)
def test_each_kind_is_loaded(
    folder: Path, settings: dict[str, Any], scans: bool, restores: bool, invokes: bool
) -> None:
    env = {"KEY": SECRET, "DESK_URL": f"sqlite:///{folder}/desk.db"}
    systems = load_systems({"desk": settings}, env=env, folder=folder)
    assert systems["desk"].name == "desk"
    assert systems["desk"].scans is scans
    assert ("desk" in restoring(systems)) is restores
    assert ("desk" in invoking(systems)) is invokes
    assert systems["desk"].read(ObjectRef(system="desk", type="ticket", id="7")).state == "present"


@pytest.mark.parametrize(
    ("config", "field", "says"),
    [
        ([], "", "not a mapping"),
        ({"My Desk": {}}, "My Desk", "the name is not one"),
        ({"desk": {"kind": "ftp"}}, "desk.kind", "ftp"),
        ({"desk": {}}, "desk.kind", "missing"),
        ({"desk": None}, "desk", "nothing is no mapping"),
        ({"desk": {"kind": "sql", "tables": TICKETS}}, "desk.url", "missing"),
        ({"desk": {"kind": "sql", "url": "desk.db", "tables": TICKETS, "port": 1}}, "desk.port", "no such"),
        (
            {"desk": {"kind": "sql", "url": "desk.db", "tables": TICKETS, "captre": 1}},
            "desk.captre",
            "no such",
        ),
        ({"desk": {"kind": "sql", "url": "desk.db", "tables": TICKETS, "scan": "yes"}}, "desk.scan", "'yes'"),
        ({"desk": {"kind": "sql", "url": SECRET * 9, "tables": 7}}, "desk.tables", "7 does not fit"),
        (
            {"desk": {"kind": "sql", "url": "mysql+x://db/x", "tables": TICKETS, "capture": True}},
            "desk.capture",
            "which rows changed",
        ),
        (
            {"desk": {"kind": "sql", "url": "desk.db", "tables": {"t": {"table": "t", "key": "id"}}}},
            "desk.tables.t.key",
            "'id' does not fit",
        ),
        (
            {"desk": {"kind": "sql", "url": "desk.db", "tables": {"t": {"table": "t", "key": []}}}},
            "desk.tables.t.key",
            "empty",
        ),
        (
            {"desk": {"kind": "sql", "url": f"postgresql://u:{SECRET}@db/x", "tables": TICKETS}},
            "desk.url",
            "password",
        ),
        (
            {"desk": {"kind": "sql", "url": "desk.db", "tables": {"a": TICKETS["ticket"], "t": {"kye": []}}}},
            "desk.tables.t.kye",
            "no such",
        ),
        ({"desk": {"kind": "files"}}, "desk.root", "missing"),
        ({"desk": {"kind": "files", "root": "desk.py"}}, "desk.root", "is a file"),
        (
            {"desk": {"kind": "files", "root": "here", "inline_bytes_max": 0}},
            "desk.inline_bytes_max",
            "0 does",
        ),
        ({"desk": {"kind": "http", "url": "acme.test", "types": TICKET_MAP}}, "desk.url", "no address"),
        ({"desk": {"kind": "http", "url": "https://acme.test", "types": {}}}, "desk.types", "empty"),
        (mapped(t={}), "desk.types.t.read", "missing"),
        (mapped(t={"read": "/t"}), "desk.types.t.read", "the same for every object"),
        (mapped(t={"read": "/t/{ID}"}), "desk.types.t.read", "{ID} stands for nothing"),
        (
            mapped(t=TICKET | {"delete": {"method": "drop", "path": "/t"}}),
            "desk.types.t.delete.method",
            "'drop'",
        ),
        (mapped(t=TICKET | {"list": {"path": "/t", "paging": {}}}), "desk.types.t.list.paging", "next page"),
        (mapped(t=TICKET, scan=True), "desk.scan", "no type can be listed"),
        (mapped(t=TICKET, timeout_s=0), "desk.timeout_s", "0 does not fit"),
        (mapped(t=TICKET, headers={"Authorization": SECRET}), "desk.headers.Authorization", "a credential"),
        (mapped(t=TICKET, headers=SECRET), "desk.headers", "what stands there does not fit"),
        (
            {
                "desk": {
                    "kind": "http",
                    "url": "https://acme.test",
                    "types": TICKET_MAP,
                    "headers": {"A": "env:NO_KEY"},
                }
            },
            "desk.headers.A",
            "NO_KEY is not set",
        ),
        ({"desk": {"kind": "files", "root": "here", "keep": "here/kept"}}, "desk.keep", "lies in the root"),
        ({"desk": {"kind": "sql", "url": "env:NO_URL", "tables": TICKETS}}, "desk.url", "NO_URL is not set"),
        ({"desk": {"kind": "sql", "url": "file:none", "tables": TICKETS}}, "desk.url", "none cannot be read"),
        (
            {"desk": {"kind": "sql", "url": "no-such+x://db/x", "tables": TICKETS}},
            "desk.url",
            "the form of one",
        ),
        ({"desk": {"kind": "sql", "url": "nosuch://db/x", "tables": TICKETS}}, "desk.url", "no such kind"),
        ({"desk": {"kind": "sql", "url": "mssql://db/x", "tables": TICKETS}}, "desk.url", "not installed"),
        ({"desk": {"kind": "python", "source": "desk"}}, "desk.source", "names nothing"),
        ({"desk": {"kind": "python", "source": "none.py:desk"}}, "desk.source", "cannot be loaded"),
        ({"desk": {"kind": "python", "source": "desk.py:none"}}, "desk.source", "cannot be loaded"),
        ({"desk": {"kind": "python", "source": "desk.py:broken"}}, "desk.source", "no `read`"),
        ({"desk": {"kind": "python", "source": "desk.py:nothing"}}, "desk.source", "no `read`"),
        (
            {"desk": {"kind": "python", "source": "desk.py:desk", "options": {"a": 1}}},
            "desk.source",
            "takes no options",
        ),
        (
            {"desk": {"kind": "python", "source": "desk.py:Desk", "options": {"key": "env:NO_KEY"}}},
            "desk.options.key",
            "NO_KEY is not set",
        ),
        (
            {"desk": {"kind": "python", "source": "desk.py:Desk", "options": {"size": 1}}},
            "desk.source",
            "size",
        ),
        (
            {"desk": {"kind": "python", "source": "desk.py:Desk", "options": {"key": "env:OTHER"}}},
            "desk.source",
            "wrong key",
        ),
        (
            {
                "desk": {
                    "kind": "tool",
                    "invoke": "desk.py:broken",
                    "types": {"t": {"snapshot": {"tool": "get"}}},
                }
            },
            "desk.invoke",
            "not a function",
        ),
        ({"desk": {"kind": "tool", "invoke": "desk.py:invoke", "types": {}}}, "desk.types", "empty"),
    ],
)
def test_a_mistake_is_named_by_its_field(folder: Path, config: Any, field: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        load_systems(config, env={"KEY": SECRET, "OTHER": f"un{SECRET}"}, folder=folder)
    assert caught.value.fields["field"] == field
    assert says in str(caught.value)
    assert caught.value.hint
    assert SECRET not in str(caught.value)


def test_an_object_that_is_a_system_is_used_as_it_is(folder: Path) -> None:
    settings = {"kind": "python", "source": "desk.py:Ready"}
    system = load_systems({"desk": settings}, env={}, folder=folder)["desk"]
    assert type(system).__name__ == "Ready"
    with pytest.raises(Invalid, match="a system of another name"):
        load_systems({"crm": settings}, env={}, folder=folder)


@pytest.mark.parametrize("name", ["systems.yaml", "systems.json"])
def test_the_file_is_yaml_or_json(folder: Path, name: str) -> None:
    text = '{"desk": {"kind": "python", "source": "desk.py:desk"}}'
    (folder / name).write_text(text, encoding="utf-8")
    [system] = read_systems_file(folder / name, env={}).values()
    assert system.read(ObjectRef(system="desk", type="ticket", id="7")) == Image.present({"colour": ""})


def test_an_empty_file_has_no_systems(folder: Path) -> None:
    (folder / "systems.yaml").write_text("# none yet\n", encoding="utf-8")
    assert read_systems_file(folder / "systems.yaml", env={}) == {}


def test_a_folder_is_loaded_by_its_place_beside_the_file(folder: Path) -> None:
    (folder / "reports").mkdir()
    (folder / "reports" / "may.txt").write_text("fine", encoding="utf-8")
    systems = load_systems(
        {"desk": {"kind": "files", "root": "reports", "keep": "kept"}}, env={}, folder=folder
    )
    assert systems["desk"].scans
    assert systems["desk"].read(ObjectRef(system="desk", type="file", id="may.txt")).content["text"] == "fine"
