"""A small office for stories at the command line: a task database, an agent that repeats itself, a server, and people."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from stopwork import Stopwork
from stopwork.cli.main import main
from stopwork.sdk import CallRefused, CallWaiting
from stopwork.systems.load import read_systems_file

WORKFLOW = "follow-ups"
OWNER, TECHNICAL = "dana@acme.test", "lee@acme.test"
START_WITHIN_S = 30

MANIFEST = f"""\
workflow: {WORKFLOW}
title: Follow-up tasks
mode: enforce
owners: {{business: {OWNER}, technical: {TECHNICAL}, backup: kim@acme.test, security: sec@acme.test}}
triggers: [inbox]
tools:
  tasks.create:
    effect: create
    risk: medium
    permission: tasks.write
    object: {{system: office, type: task, id: args.id}}
    undo: {{system: office}}
  mail.send:
    effect: send
    risk: high
    permission: mail.send
    recipients: args.to
    idempotency: [run.trigger_id, args.to]
    undo: {{none: A mail that was sent cannot be called back.}}
    gate: {{when: "true", approvers: [business], expires: 4h}}
alerts:
  duplicate_action: {{key: [tool, args.account, args.title], window: 7d, hold: tool}}
recovery: {{duplicate_records: delete, approver: business}}
"""
PATCHED = MANIFEST.replace(
    "    undo:", "    idempotency: [run.trigger_id, args.account, args.title]\n    undo:", 1
).replace("tasks.write", "tasks.write.own")

SYSTEMS = """\
office:
  kind: sql
  url: env:OFFICE_DB
  tables: {task: {table: task, key: [id]}}
"""


class Office:
    """The files of one office. A command runs as the person whose login was kept in ``homes``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "tasks.db"
        self.manifest = folder / "stopwork.yaml"
        self.systems = folder / "systems.yaml"
        self.data = folder / "data"
        self.manifest.write_text(MANIFEST, encoding="utf-8")
        self.systems.write_text(SYSTEMS, encoding="utf-8")
        with contextlib.closing(sqlite3.connect(self.database)) as tasks, tasks:
            tasks.execute("CREATE TABLE task (id TEXT PRIMARY KEY, account TEXT, title TEXT)")
            tasks.execute("INSERT INTO task VALUES ('t-0', 'acme', 'A person made this one')")

    def environment(self, person: str = OWNER) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("STOPWORK_", "XDG_"))
        }
        own = {
            "OFFICE_DB": str(self.database),
            "XDG_CONFIG_HOME": str(self.folder / person),
            "TZ": "Europe/Paris",
        }
        return kept | own

    def command(
        self, *arguments: str, person: str = OWNER, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, with nobody at a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "stopwork.cli.main", *arguments],
            env=self.environment(person),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ask(self, *arguments: str, person: str = OWNER, code: int = 0) -> Any:
        """Run one command with ``--json``; answer the value on stdout, or the problem on stderr when there is none."""
        out, err = self._run([*arguments, "--json"], person, code)
        return json.loads(out or err)

    def read(self, *arguments: str, person: str = OWNER) -> str:
        """Run one command and answer what a person reads."""
        return self._run([*arguments], person, 0)[0]

    def _run(self, arguments: list[str], person: str, code: int) -> tuple[str, str]:
        """Run one command in this process, because that is quicker, and check its exit code."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ)
        try:
            os.environ.clear()
            os.environ.update(self.environment(person))
            with contextlib.chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
                ended = main(arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)
        assert ended == code, f"{arguments}: {ended}\n{out.getvalue()}{err.getvalue()}"
        return out.getvalue(), err.getvalue()

    @contextlib.contextmanager
    def server(self, *more: str) -> Iterator[dict[str, Any]]:
        """A running ``stopwork up`` on a free port; answers what it said when it was ready."""
        command = [sys.executable, "-m", "stopwork.cli.main", "up", "--json", "--port", "0"]
        command += ["--data", str(self.data), "--systems", str(self.systems), *more]
        with subprocess.Popen(
            command, env=self.environment(), cwd=self.folder, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                said = ""
                while not said.endswith("}\n"):
                    line = process.stdout.readline()
                    assert line, f"the server ended with {process.wait(START_WITHIN_S)}"
                    said += line
                yield json.loads(said)
            finally:
                process.terminate()
                assert process.wait(START_WITHIN_S) == 0

    def run_agent(self, url: str, token: str, occasion: str, *, repeats: int) -> list[str]:
        """Let the agent make one task, ``repeats`` times over; answer the ids it was let to make."""
        made: list[str] = []
        systems = read_systems_file(self.systems, env={"OFFICE_DB": str(self.database)})
        with Stopwork(url, token, systems=systems) as sw:

            @sw.tool("tasks.create")
            def create(id: str, account: str, title: str) -> dict[str, str]:  # noqa: A002 - the column's name
                with contextlib.closing(sqlite3.connect(self.database)) as tasks, tasks:
                    tasks.execute("INSERT INTO task VALUES (?, ?, ?)", (id, account, title))
                made.append(id)
                return {"id": id}

            with sw.run(WORKFLOW, trigger="inbox", trigger_id=occasion):
                for number in range(repeats):
                    with contextlib.suppress(CallRefused):
                        create(id=f"{occasion}-{number}", account="acme", title="Call about the renewal")
        return made

    def ask_to_send(self, url: str, token: str, occasion: str) -> str:
        """Let the agent try to send a mail that needs approval; answer the approval that it waits for."""
        with Stopwork(url, token) as sw, sw.run(WORKFLOW, trigger="inbox", trigger_id=occasion):
            with pytest.raises(CallWaiting) as waiting:
                sw.call("mail.send", lambda to: to, {"to": "customer@acme.test"})
            return str(waiting.value.approval)

    def tasks(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as tasks:
            return [row[0] for row in tasks.execute("SELECT id FROM task ORDER BY id")]
