"""Starts and stops the demo world: the CRM, its files, and the agent's runs."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from stopwork.demo.crm.app import renewals_csv
from stopwork.demo.crm.records import SEEDS, SLOW_ACCOUNT
from stopwork.demo.crm_system import Crm
from stopwork.demo.processes import GRACE_S, Child
from stopwork.kernel.errors import Conflict
from stopwork.systems.python import PythonSystem

SLOW_ANSWER_S = 2.5
LAST_QUARTER = timedelta(days=91)
MARKER = ".stopwork-demo"

MANIFEST = Path(__file__).parent / "manifest.yaml"
MANIFEST_FIXED = Path(__file__).parent / "manifest_fixed.yaml"


class AgentMode(StrEnum):
    """How the agent behaves: as it was deployed, or repaired and running under a stage."""

    FLAWED = "flawed"
    STAGE_RUN = "stage_run"


class World:
    """A running CRM, the files around it, and as many runs of the agent as asked for.

    Nothing of it outlives :meth:`stop`, or the process that started it. Files stay in the directory that was given;
    a directory of its own is removed.
    """

    def __init__(self, directory: Path | None, today: date | None, slow_answer_s: float) -> None:
        self._stack = ExitStack()
        self.today = today or datetime.now(UTC).date()
        self.directory = (
            directory.absolute() if directory else Path(tempfile.mkdtemp(prefix="stopwork-demo-"))
        )
        if directory is None:
            self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.outbox = self.directory / "outbox"
        self.exports = self.directory / "exports"
        self.agent_key = secrets.token_urlsafe(24)
        self.operator_key = secrets.token_urlsafe(24)
        self.person_key = secrets.token_urlsafe(24)
        self.systems_file = self.directory / "systems.json"
        self.crm_url = ""
        self._slow_answer_s = slow_answer_s
        self._runs = 0

    @classmethod
    def start(
        cls,
        directory: Path | None = None,
        *,
        today: date | None = None,
        slow_answer_s: float = SLOW_ANSWER_S,
    ) -> Self:
        """Answer a world whose CRM answers. What an earlier world left in the directory is made anew.

        ``Conflict`` when the directory holds anything else.
        """
        world = cls(directory, today, slow_answer_s)
        try:
            world._lay_out()
            world._start_crm()
        except BaseException:
            world.stop()
            raise
        return world

    def run_agent(
        self,
        server_url: str,
        token: str,
        mode: AgentMode,
        *,
        accounts: int | None = None,
        pace_s: float = 0.1,
        approval_wait_s: float = 0.0,
    ) -> Child:
        """Start one run of the agent; its log lies beside the CRM's. Each run is of the week after the one before.

        ``accounts`` bounds how many accounts the repaired agent works on, ``pace_s`` is the pause before each request, and
        ``approval_wait_s`` how long it waits for each approval.
        """
        monday = self.today - timedelta(days=self.today.weekday()) + timedelta(weeks=self._runs)
        self._runs += 1
        command = ["-m", "stopwork.demo.agent", "--server", server_url, "--crm", self.crm_url]
        command += ["--exports", str(self.exports), "--outbox", str(self.outbox)]
        command += ["--occasion", monday.strftime("%G-W%V"), "--today", self.today.isoformat()]
        command += ["--pace-s", str(pace_s), "--approval-wait-s", str(approval_wait_s)]
        if mode is AgentMode.STAGE_RUN:
            command.append("--stage-run")
        if accounts is not None:
            command += ["--accounts", str(accounts)]
        return self.child(
            f"agent-{self._runs}",
            command,
            self.operator_environment | {"STOPWORK_TOKEN": token, "CRM_KEY": self.agent_key},
        )

    def child(
        self, name: str, arguments: list[str], environment: Mapping[str, str], *, grace_s: float = GRACE_S
    ) -> Child:
        """Start any other Python process that must end with this world."""
        log = self.directory / f"{name}.log"
        return self._stack.enter_context(
            Child(name, arguments, log=log, environment=environment, grace_s=grace_s)
        )

    @property
    def operator_environment(self) -> dict[str, str]:
        """The environment that a server needs to use :attr:`systems_file`."""
        return {"CRM_OPERATOR_KEY": self.operator_key}

    def crm_system(self) -> PythonSystem:
        """Answer the CRM as a system, with the operator's key."""
        return Crm(self.crm_url, self.operator_key).system()

    def stop(self) -> None:
        """Stop everything, newest first. May be called again."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _lay_out(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        marker = self.directory / MARKER
        if any(self.directory.iterdir()) and not marker.exists():
            # What is made anew below must not be somebody's own.
            raise Conflict(
                f"{self.directory} is not empty and holds no demo of before.",
                hint="Give an empty or a new folder.",
            )
        marker.touch()
        for folder in (self.outbox, self.exports):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        for pattern in ("crm.db*", "crm.url", "crm.log", "agent-*.log"):
            for left in self.directory.glob(pattern):
                left.unlink()
        as_of = datetime.combine(self.today - LAST_QUARTER, time(6), UTC)
        accounts: dict[str, dict[str, Any]] = {
            seed.id: msgspec.to_builtins(seed.last_quarter(self.today)) for seed in SEEDS
        }
        (self.exports / "renewals.csv").write_text(renewals_csv(accounts, as_of), encoding="utf-8")

    def _start_crm(self) -> None:
        ready = self.directory / "crm.url"
        keys = {
            self.agent_key: "renewal agent",
            self.operator_key: "Stopwork recovery",
            self.person_key: "dana@acme.test",
        }
        command = ["-m", "stopwork.demo.crm", "--database", str(self.directory / "crm.db")]
        command += ["--ready-file", str(ready), "--today", self.today.isoformat()]
        command += ["--slow-account", SLOW_ACCOUNT, "--slow-answer-s", str(self._slow_answer_s)]
        crm = self.child("crm", command, {"CRM_KEYS": msgspec.json.encode(keys).decode()})
        self.crm_url = crm.wait_file(ready)
        options = {"url": self.crm_url, "key": "env:CRM_OPERATOR_KEY"}
        systems = {
            "crm": {"kind": "python", "source": f"{Crm.__module__}:{Crm.__name__}", "options": options}
        }
        self.systems_file.write_bytes(msgspec.json.encode(systems))
