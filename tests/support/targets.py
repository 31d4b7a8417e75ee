"""Places that count how often each of their accounts was changed: rows of a database, and a server over HTTP."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import psycopg

from stopwork.systems.base import System
from stopwork.systems.http import Call, HttpSystem, Resource
from stopwork.systems.sql import SqlSystem, Table
from tests.support.damage import DAMAGE, content

_ACCOUNT = "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, owner TEXT, renewal TEXT, amount REAL, note TEXT)"
_COUNTED = "CREATE TABLE counted (id INTEGER)"


class Target(Protocol):
    """``address`` is what a process needs to reach it as a system."""

    address: str

    def counted(self) -> Counter[int]:
        """Answer how often each account was changed so far."""

    def dates(self) -> set[str]:
        """Answer the dates that its accounts have."""


def system_at(address: str) -> System:
    """Answer the system at such an address."""
    if address.startswith("http://"):
        way = Resource(
            read="accounts/{id}", update=Call(method="PUT", path="accounts/{id}", body="{content}")
        )
        return HttpSystem("crm", address, {"account": way})
    return SqlSystem("crm", address, {"account": Table(table="account", key=("id",))})


class Rows:
    """Rows of SQLite, counted by a trigger."""

    def __init__(self, path: Path, numbers: Sequence[int]) -> None:
        self.address = str(path)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_ACCOUNT)
            database.execute(_COUNTED)
            for number in numbers:
                database.execute(
                    "INSERT INTO account VALUES (:id, :name, :owner, :renewal, :amount, :note)",
                    content(number, DAMAGE),
                )
            database.execute(
                "CREATE TRIGGER counting AFTER UPDATE ON account BEGIN INSERT INTO counted VALUES (new.id); END"
            )

    def counted(self) -> Counter[int]:
        return Counter(number for (number,) in self._asked("SELECT id FROM counted"))

    def dates(self) -> set[str]:
        return {date for (date,) in self._asked("SELECT DISTINCT renewal FROM account")}

    def _asked(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.address)) as database:
            return database.execute(query).fetchall()


class PostgresRows:
    """Rows of PostgreSQL, counted by a trigger."""

    def __init__(self, url: str, numbers: Sequence[int]) -> None:
        self._url = url
        self.address = url.replace("postgresql://", "postgresql+psycopg://")
        with psycopg.connect(url) as database:
            database.execute(_ACCOUNT)
            database.execute(_COUNTED)
            for number in numbers:
                database.execute(
                    "INSERT INTO account VALUES (%(id)s, %(name)s, %(owner)s, %(renewal)s, %(amount)s, %(note)s)",
                    content(number, DAMAGE),
                )
            database.execute(
                "CREATE FUNCTION counting() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN INSERT INTO counted VALUES (new.id); RETURN new; END'"
            )
            database.execute(
                "CREATE TRIGGER counting AFTER UPDATE ON account FOR EACH ROW EXECUTE FUNCTION counting()"
            )

    def counted(self) -> Counter[int]:
        return Counter(number for (number,) in self._asked("SELECT id FROM counted"))

    def dates(self) -> set[str]:
        return {date for (date,) in self._asked("SELECT DISTINCT renewal FROM account")}

    def _asked(self, query: str) -> list[Any]:
        with psycopg.connect(self._url) as database:
            return database.execute(query.encode()).fetchall()


class Served:
    """Accounts behind HTTP, in the memory of the process that serves them; a change is sent with the ETag of what was read."""

    def __init__(self, address: str, numbers: Sequence[int]) -> None:
        self.address = address
        self.accounts = {number: content(number, DAMAGE) for number in numbers}
        self.changes: Counter[int] = Counter()
        self.lock = threading.Lock()

    def counted(self) -> Counter[int]:
        with self.lock:
            return Counter(self.changes)

    def dates(self) -> set[str]:
        with self.lock:
            return {account["renewal"] for account in self.accounts.values()}


@contextmanager
def served(numbers: Sequence[int]) -> Iterator[Served]:
    """Serve accounts on this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one piece: in two, the second would wait for the first to be confirmed

        def do_GET(self) -> None:
            with place.lock:
                self._answer(200, place.accounts[self._number], place.changes[self._number])

        def do_PUT(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with place.lock:
                number = self._number
                if self.headers["If-Match"] != f'"{place.changes[number]}"':
                    self._answer(412, {"why": "somebody was faster"}, place.changes[number])
                    return
                place.accounts[number] = sent
                place.changes[number] += 1
                self._answer(200, sent, place.changes[number])

        @property
        def _number(self) -> int:
            return int(self.path.rpartition("/")[2])

        def _answer(self, status: int, body: Any, version: int) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{version}"')
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        place = Served(f"http://127.0.0.1:{server.server_port}/", numbers)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()
