"""One small world per kind of system: tickets with a title, a state and a nested part, and a hand that changes them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from stopwork.kernel.errors import Conflict
from stopwork.ledger.records import ObjectRef
from stopwork.systems.base import System
from stopwork.systems.python import PythonSystem
from stopwork.systems.sql import SqlSystem, Table
from stopwork.systems.tool import Handling, ToolCall, ToolSystem
from tests.contract.systems.tracker import TrackerWorld, by_a_map, by_the_how_to

Content = dict[str, Any]


class World(Protocol):
    """A system, and the same place seen without it."""

    system: System

    def look(self, object_id: str) -> Content | None: ...
    def change(self, object_id: str, content: Content | None) -> None: ...
    def close(self) -> None: ...


def ticket(object_id: str) -> ObjectRef:
    return ObjectRef(system="desk", type="ticket", id=object_id)


class SqlWorld:
    def __init__(self, folder: Path, prefix: str) -> None:
        self._path = folder / "desk.db"
        with closing(sqlite3.connect(self._path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE ticket (id TEXT PRIMARY KEY, title TEXT, state TEXT, points REAL)")
        self.system: System = SqlSystem(
            "desk", f"{prefix}{self._path}", {"ticket": Table(table="ticket", key=("id",))}, scan=True
        )

    def look(self, object_id: str) -> Content | None:
        with closing(sqlite3.connect(self._path)) as database:
            database.row_factory = sqlite3.Row
            row = database.execute("SELECT * FROM ticket WHERE id = ?", (object_id,)).fetchone()
            return dict(row) if row else None

    def change(self, object_id: str, content: Content | None) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute("DELETE FROM ticket WHERE id = ?", (object_id,))
            if content is not None:
                database.execute("INSERT INTO ticket VALUES (:id, :title, :state, :points)", content)

    def close(self) -> None:
        """Leave the file to the test's folder."""


class Shelf:
    """A place in memory that keeps its content as text, so that nobody holds on to its insides."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lock = Lock()

    def look(self, object_id: str) -> Content | None:
        text = self._texts.get(object_id)
        return json.loads(text) if text else None

    def change(self, object_id: str, content: Content | None) -> None:
        if content is None:
            self._texts.pop(object_id, None)
        else:
            self._texts[object_id] = json.dumps(content)

    def read(self, _kind: str, object_id: str) -> Content | None:
        return self.look(object_id)

    def write(self, _kind: str, object_id: str, content: Content | None) -> None:
        self.change(object_id, content)

    def write_if(self, _kind: str, object_id: str, content: Content | None, expected: Content | None) -> None:
        with self._lock:
            if self.look(object_id) != expected:
                raise Conflict("the shelf holds something else")
            self.change(object_id, content)

    def scan(self) -> Iterator[tuple[str, str, Content]]:
        for object_id, text in self._texts.items():
            yield "ticket", object_id, json.loads(text)

    def invoke(self, tool: str, args: Mapping[str, Any]) -> Any:
        """The agent's own tools, with the manners of such tools: an error in words, a result in an envelope."""
        match tool:
            case "get_ticket":
                found = self.look(args["ticket_id"])
                if found is None:
                    raise ValueError(f"Ticket {args['ticket_id']} not found.")
                return {"ticket": {**found, "seen": 1}}
            case "new_ticket" | "edit_ticket":
                fields = dict(args)
                object_id = fields.pop("ticket_id")
                self.change(object_id, (self.look(object_id) or {}) | fields)
            case "drop_ticket":
                self.change(args["ticket_id"], None)
        return "ok"


class ShelfWorld:
    def __init__(self, make: Callable[[Shelf], System]) -> None:
        self._shelf = Shelf()
        self.system = make(self._shelf)
        self.look = self._shelf.look
        self.change = self._shelf.change

    def close(self) -> None:
        """There is nothing to close."""


TICKET_TOOLS = Handling(
    snapshot=ToolCall(tool="get_ticket", args={"ticket_id": "{id}"}),
    create=ToolCall(tool="new_ticket", args={"ticket_id": "{id}", "**": "{content}"}),
    update=ToolCall(tool="edit_ticket", args={"ticket_id": "{id}", "**": "{changes}"}),
    delete=ToolCall(tool="drop_ticket", args={"ticket_id": "{id}"}),
    at="ticket",
    ignore=("seen",),
    absent_when="not found",
)

WORLDS: dict[str, Callable[[Path], World]] = {
    "sqlite": lambda folder: SqlWorld(folder, "sqlite:///"),
    "sqlalchemy": lambda folder: SqlWorld(folder, "sqlite+pysqlite:///"),
    "python": lambda folder: ShelfWorld(
        lambda shelf: PythonSystem("desk", shelf.read, shelf.write, shelf.scan)
    ),
    "python that compares": lambda folder: ShelfWorld(
        lambda shelf: PythonSystem("desk", shelf.read, shelf.write_if, shelf.scan)
    ),
    "the how-to's tracker": lambda folder: TrackerWorld(by_the_how_to),
    "http": lambda folder: TrackerWorld(by_a_map),
    "tool": lambda folder: ShelfWorld(
        lambda shelf: ToolSystem("desk", shelf.invoke, {"ticket": TICKET_TOOLS})
    ),
}
