"""The CRM's database: every change is made under the version that the caller has seen, and is logged."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from stopwork.demo.crm.records import Account, Activity, Seed, Task

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE IF NOT EXISTS activity (
    number INTEGER PRIMARY KEY, entry TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, next INTEGER NOT NULL);
INSERT OR IGNORE INTO numbers VALUES ('version', 1), ('task', 1001);
"""

KINDS: Mapping[str, type[Account | Task]] = {"accounts": Account, "tasks": Task}

Content = dict[str, Any]


class Refused(Exception):
    """The CRM refuses a request; ``status`` is the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Store:
    """Accounts and tasks in one SQLite file. Each method is one transaction; safe to use from threads.

    ``expected`` is the version that must still be there (``0``: nothing may be there; ``None``: any).
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def seed(self, seeds: Iterable[Seed], today: date) -> None:
        """Put in the first accounts, unless there are some."""
        with self._lock, self._db as db:
            if db.execute("SELECT 1 FROM objects LIMIT 1").fetchone():
                return
            for seed in seeds:
                content = msgspec.to_builtins(seed.account(today))
                self._put("accounts", seed.id, content)

    def all(self, kind: str) -> dict[str, Content]:
        with self._lock:
            rows = self._db.execute("SELECT id, content FROM objects WHERE kind = ? ORDER BY id", (kind,))
            return {row_id: msgspec.json.decode(content) for row_id, content in rows}

    def get(self, kind: str, object_id: str) -> tuple[int, Content]:
        with self._lock:
            return self._need(kind, object_id)

    def create_task(self, fields: Content, actor: str) -> tuple[str, int, Content]:
        """Add a task under a number that was never used before."""
        with self._lock, self._db:
            content = self._checked("tasks", fields | {"created_by": actor})
            object_id = f"T-{self._next('task')}"
            return object_id, self._change("tasks", object_id, 0, None, content, actor), content

    def change(
        self, kind: str, object_id: str, fields: Content, actor: str, expected: int | None
    ) -> tuple[int, Content]:
        """Change some fields of what is there."""
        with self._lock, self._db:
            version, before = self._need(kind, object_id)
            self._expect(expected, version)
            content = self._checked(kind, before | fields)
            return self._change(kind, object_id, version, before, content, actor), content

    def put(
        self, kind: str, object_id: str, fields: Content, actor: str, expected: int | None
    ) -> tuple[int, Content]:
        """Make the object hold exactly these fields, whether it is there or not."""
        with self._lock, self._db:
            version, before = self._find(kind, object_id) or (0, None)
            self._expect(expected, version)
            content = self._checked(kind, fields)
            return self._change(kind, object_id, version, before, content, actor), content

    def delete(self, kind: str, object_id: str, actor: str, expected: int | None) -> None:
        with self._lock, self._db as db:
            version, before = self._need(kind, object_id)
            self._expect(expected, version)
            db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, object_id))
            self._log(actor, "deleted", object_id, {name: [value, None] for name, value in before.items()})

    def activity(self, limit: int) -> list[Activity]:
        """Answer the newest changes, newest first."""
        with self._lock:
            rows = self._db.execute("SELECT entry FROM activity ORDER BY number DESC LIMIT ?", (limit,))
            return [msgspec.json.decode(entry, type=Activity) for (entry,) in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _find(self, kind: str, object_id: str) -> tuple[int, Content] | None:
        row = self._db.execute(
            "SELECT version, content FROM objects WHERE kind = ? AND id = ?", (kind, object_id)
        ).fetchone()
        return None if row is None else (row[0], msgspec.json.decode(row[1]))

    def _need(self, kind: str, object_id: str) -> tuple[int, Content]:
        found = self._find(kind, object_id)
        if found is None:
            raise Refused(404, f"There is no {object_id} in {kind}.")
        return found

    def _expect(self, expected: int | None, version: int) -> None:
        if expected is not None and expected != version:
            raise Refused(412, f"Somebody changed this: it is at version {version}, not {expected}.")

    def _checked(self, kind: str, fields: Content) -> Content:
        try:
            content: Content = msgspec.to_builtins(msgspec.convert(fields, KINDS[kind]))
        except msgspec.ValidationError as error:
            raise Refused(422, str(error)) from error
        if kind == "tasks" and self._find("accounts", content["account_id"]) is None:
            raise Refused(422, f"There is no account {content['account_id']}.")
        return content

    def _change(
        self, kind: str, object_id: str, version: int, before: Content | None, after: Content, actor: str
    ) -> int:
        was = before or {}
        changes = {name: [was.get(name), value] for name, value in after.items() if was.get(name) != value}
        if before is not None and not changes:
            return version
        self._log(actor, "created" if before is None else "changed", object_id, changes)
        return self._put(kind, object_id, after)

    def _put(self, kind: str, object_id: str, content: Content) -> int:
        # One count for all objects: an object deleted and made again never gets a version it had before.
        version = self._next("version")
        self._db.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
            (kind, object_id, version, msgspec.json.encode(content).decode()),
        )
        return version

    def _next(self, number: str) -> int:
        row = self._db.execute(
            "UPDATE numbers SET next = next + 1 WHERE name = ? RETURNING next - 1", (number,)
        )
        return int(row.fetchone()[0])

    def _log(self, actor: str, action: str, object_id: str, changes: dict[str, list[object]]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"at": at, "actor": actor, "action": action, "object": object_id, "changes": changes}
        self._db.execute("INSERT INTO activity (entry) VALUES (?)", (msgspec.json.encode(entry).decode(),))
