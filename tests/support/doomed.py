"""Processes that are killed with no warning, and what they do until then.

They come from a fork server that has imported everything once, so that one costs a few milliseconds to start.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import StopworkError
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import PlanState
from stopwork.operations import recovering
from stopwork.operations.installation import Installation
from stopwork.sdk import Stopwork
from stopwork.storage.store import Store
from stopwork.systems.python import PythonSystem
from tests.support.office import LEE, MANIFEST, WORKFLOW, Crm, Office
from tests.support.targets import system_at

ACKNOWLEDGED = "acknowledged.txt"
READY_WITHIN_S = 30.0
#: After so long somebody else goes on with what a runner here has begun.
SHORT_LEASE_S = 0.5
SHORTEST_LEASE_S = 0.2


@contextmanager
def doomed(work: Callable[..., None], *args: Any, **more: Any) -> Iterator[BaseProcess]:
    """Run ``work`` in a process of its own, which is killed at the end of the block at the latest."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.doomed"])
    process = context.Process(target=work, args=args, kwargs=more, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(10)
        process.close()


def wait_for(condition: Callable[[], bool], process: BaseProcess) -> None:
    """Wait until the condition holds; the process must be alive meanwhile."""
    end = time.monotonic() + READY_WITHIN_S
    while not condition():
        assert process.is_alive(), "the process died by itself"
        assert time.monotonic() < end, "the process takes too long"
        time.sleep(0.002)


def acknowledged(folder: Path) -> list[str]:
    """Answer the calls of which the doomed process was told that they are durable."""
    path = folder / ACKNOWLEDGED
    return path.read_text().splitlines() if path.exists() else []


def hammer(folder: Path, threads: int) -> None:
    """Write from several threads while all background duties run, and note each write that was acknowledged."""
    log = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    clock = SystemClock()
    office = Office(folder / "data", clock=clock, ids=TimeOrderedIds(clock))
    office.crew.start()

    def work(n: int) -> None:
        occasion = f"{os.getpid()}-{n}"
        run = office.begin(occasion)
        for count in range(1_000_000):
            permit = office.do(run, "crm.create_task", account_id=f"{occasion}-{count}", title="call")
            os.write(log, f"{permit.call}\n".encode())

    every = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
    for thread in every:
        thread.start()
    for thread in every:
        thread.join()


def write_until_refused(folder: Path, room_bytes: int) -> None:
    """Write with so much room in every file and no more, and note what was acknowledged and how it was refused."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, room_bytes))
    log = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    clock = SystemClock()
    with Office(folder / "data", clock=clock, ids=TimeOrderedIds(clock)) as office:
        try:
            run = office.begin()
            for count in range(100_000):
                permit = office.do(run, "crm.create_task", account_id=str(count), title="call")
                os.write(log, f"{permit.call}\n".encode())
        except StopworkError as error:
            (folder / "refused.txt").write_text(f"{error.code}: {error}")


def own(folder: Path) -> None:
    """Own an installation until killed."""
    with Office(folder / "data"):
        (folder / "running").touch()
        time.sleep(READY_WITHIN_S)


def open_where_nothing_may_be_written(folder: Path) -> None:
    """Try to open an installation, as an ordinary user, in a folder that may only be read."""
    answer = os.open(folder / "refused.txt", os.O_WRONLY | os.O_CREAT)
    if os.geteuid() == 0:
        nobody = 65534
        os.setegid(nobody)
        os.seteuid(nobody)
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o500)
        for opening in (partial(Installation.open, place), partial(Store.open, place / "test.db")):
            try:
                opening().close()
            except StopworkError as error:
                os.write(answer, f"{error.code}: {error}\n".encode())
    finally:
        place.chmod(0o700)
        place.rmdir()


class Ledger:
    """Accounts in a JSON file, so that they outlive the process that changes them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.system = PythonSystem("crm", self._read, self._write)

    @property
    def accounts(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._path.read_text())
        return content

    def put(self, account: str, content: Any) -> None:
        self._path.write_text(json.dumps(self.accounts | {account: content}))

    def _read(self, _kind: str, account: str) -> Any:
        return self.accounts.get(account)

    def _write(self, _kind: str, account: str, content: Any) -> None:
        self.put(account, content)


def start_ledger(folder: Path) -> Ledger:
    path = folder / "accounts.json"
    path.write_text(json.dumps(Crm().accounts))
    return Ledger(path)


def agent_that_hangs(folder: Path, *, after_the_change: bool) -> None:
    """Change an account through the guard and never return from the tool."""
    ledger = Ledger(folder / "accounts.json")
    manifest = folder / "stopwork.yaml"
    manifest.write_text(MANIFEST)
    guard = Stopwork.embedded(folder / "data", manifest=manifest, systems={"crm": ledger.system})

    @guard.tool("crm.update_account")
    def update_account(account_id: str, renewal: str) -> None:
        if after_the_change:
            ledger.put(account_id, {"renewal": renewal, "owner": "lee"})
        (folder / "running").touch()
        time.sleep(READY_WITHIN_S)

    with guard.run(WORKFLOW, trigger="schedule", trigger_id="monday"):
        update_account("acme", "2025-01-01")


def die_in_the_middle_of_recovery(folder: Path, plan: str, *, after_the_change: bool) -> None:
    """Run a recovery plan and never come back from its first change."""
    ledger = Ledger(folder / "accounts.json")
    inner = ledger.system

    class Hanging:
        name = "crm"
        scans = False

        def read(self, ref: ObjectRef) -> Image:
            return inner.read(ref)

        def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
            if after_the_change:
                inner.replace(ref, expected, target)
            (folder / "running").touch()
            time.sleep(READY_WITHIN_S)

        scan = partial(inner.scan)

    inst = Installation.open(folder / "data", systems={"crm": Hanging()})
    recovering.run(inst, LEE, plan=plan, lease_s=SHORT_LEASE_S)


def carry_out_until_killed(folder: Path, database: str | None, target: str, plan: str, mark: Path) -> None:
    """Go on with a recovery until it is finished; leave a mark when nobody dead has any of it still and the work begins."""
    with Installation.open(folder / "data", database=database, systems={"crm": system_at(target)}) as inst:
        time.sleep(SHORTEST_LEASE_S)
        mark.touch()
        while recovering.run(inst, LEE, plan=plan, lease_s=SHORTEST_LEASE_S).state is not PlanState.FINISHED:
            time.sleep(0.01)
