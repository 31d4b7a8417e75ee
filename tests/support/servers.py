"""Real servers, each a ``stopwork up`` in a process of its own that can be killed, suspended and started again, and those who ask them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec

from stopwork.control import protocol as p
from stopwork.kernel.clock import ManualClock, SystemClock
from stopwork.kernel.errors import Conflict, StopworkError, Unavailable
from stopwork.ledger.records import Principal
from stopwork.operations import credentials, manifests
from stopwork.operations.installation import Installation
from stopwork.sdk.http import AsyncHttpDesk, HttpDesk
from stopwork.worker.crew import Crew
from tests.support.history import Asked, Witness
from tests.support.office import AGENT, DANA, KIM, LEE
from tests.support.workload import (
    BUSY_MANIFEST,
    Decide,
    Deed,
    Lift,
    Newest,
    Pause,
    Pending,
    Rest,
    Scene,
    Script,
    play,
)

#: Real servers look for what goes wrong. Here nothing does, however often a random agent repeats itself.
QUIET_MANIFEST = BUSY_MANIFEST.partition("alerts:")[0] + BUSY_MANIFEST[BUSY_MANIFEST.index("budget:") :]
START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 20.0


class House:
    """One installation, its servers, and the tokens of those who ask them. ``database`` is a PostgreSQL address, or none for a file."""

    def __init__(self, folder: Path, database: str | None = None, *, manifest: str = QUIET_MANIFEST) -> None:
        self.folder = folder
        self.database = database
        with self.opened() as installation:
            apply = partial(manifests.apply, text=manifest, reason="the first version")
            installation.store.write(apply, actor=LEE)
            self.tokens = {
                person.id: installation.store.write(partial(_issued, principal=person))
                for person in (AGENT, DANA, KIM, LEE)
            }

    def opened(self, *, later: timedelta = timedelta(0)) -> Installation:
        """Open the installation in this process, where it may be so much later."""
        clock = ManualClock(SystemClock().now() + later) if later else SystemClock()
        return Installation.open(self.folder, database=self.database, clock=clock)

    def catch_up(self, *, later: timedelta) -> Installation:
        """Open the installation so much later, when the background duties have done what was due."""
        installation = self.opened(later=later)
        for _ in range(2):
            Crew(installation).catch_up()
        return installation

    @contextlib.contextmanager
    def servers(self, count: int, **options: Any) -> Iterator[list[Server]]:
        """Start so many servers at once, and end them afterwards, however they are."""
        with contextlib.ExitStack() as stack:
            found = [stack.enter_context(Server(self, **options)) for _ in range(count)]
            for server in found:
                server.wait()
            yield found


def _issued(tx: Any, *, principal: Principal) -> str:
    return credentials.issue(tx, principal=principal).secret


class Server:
    """One ``stopwork up``. It comes back at the same address."""

    def __init__(self, house: House, *, database: str | None = None) -> None:
        self.house = house
        self._database = database or house.database
        self._port = 0
        self._process = self._started()

    def wait(self) -> None:
        """Wait until it answers."""
        assert self._process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = self._process.stdout.readline()
            assert line, f"the server ended with {self._process.wait(START_WITHIN_S)}"
            said += line
        self._port = int(json.loads(said)["url"].rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """Kill it with no warning."""
        self._process.kill()
        self._process.wait(10)
        self._close()

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        self._process = self._started()
        self.wait()

    def suspend(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is None:
            self.kill()

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "stopwork.cli.main", "up", "--json", "--port", str(self._port)]
        command += ["--data", str(self.house.folder)]
        if self._database is not None:
            command += ["--database", self._database]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()


# --- those who ask -----------------------------------------------------------------------------------


def _letter(deed: Deed) -> dict[str, Any]:
    """Answer a person's deed as a request."""
    match deed:
        case Pause(scope=scope, mode=mode):
            body = {"scope": msgspec.to_builtins(scope), "mode": mode.value, "reason": "it floods"}
            return {"method": "POST", "url": "/v1/holds", "json": body}
        case Lift(hold=hold):
            return {"method": "POST", "url": f"/v1/holds/{hold}/lift", "json": {"reason": "looked"}}
        case Pending():
            return {"method": "GET", "url": "/v1/approvals?state=pending&limit=20"}
        case Decide(approval=approval, digest=digest, approve=approve):
            body = {"approve": approve, "digest": digest}
            return {"method": "POST", "url": f"/v1/approvals/{approval}/decide", "json": body}
        case _:
            raise AssertionError(deed)


def _read(deed: Deed, response: httpx.Response) -> Any:
    if response.status_code >= 300:
        raise Conflict(f"{response.status_code}: {response.text[:200]}")
    content = response.json()
    match deed:
        case Pause():
            return content["hold"]["id"]
        case Pending():
            return [(each["id"], each["digest"]) for each in content]
        case _:
            return None


class Visitor:
    """Asks one server, as an agent and as people, one thing after another."""

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._desk = HttpDesk(url, tokens[AGENT.id], timeout_s=ANSWER_WITHIN_S)
        self._client = httpx.Client(base_url=url, timeout=ANSWER_WITHIN_S, trust_env=False)

    def do(self, deed: Deed) -> Any:
        """Do one deed; ``Unavailable`` when it was not answered, ``Conflict`` when a person was refused."""
        match deed:
            case p.Request():
                return self._desk.send(deed)
            case Rest(for_s=for_s):
                return time.sleep(for_s)
            case Newest():
                return None
        headers = {"authorization": f"Bearer {self._tokens[getattr(deed, 'by', DANA.id)]}"}
        try:
            return _read(deed, self._client.request(**_letter(deed), headers=headers))
        except httpx.HTTPError as error:
            raise Unavailable(f"no answer: {type(error).__name__}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._desk.close()
        self._client.close()


class Crowd:
    """Asks servers from one event loop, everybody at once."""

    def __init__(self, servers: Sequence[Server], tokens: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._urls = [server.url for server in servers]

    def play(self, scene: Scene, *, agents: int, for_s: float) -> int:
        """Play the scene for so long; answer how many deeds that were."""
        return asyncio.run(self._play(scene, agents, for_s))

    async def _play(self, scene: Scene, agents: int, for_s: float) -> int:
        chance = random.Random(scene.seed)
        async with contextlib.AsyncExitStack() as stack:
            ways = []
            for url in self._urls:
                desk = AsyncHttpDesk(url, self._tokens[AGENT.id], timeout_s=ANSWER_WITHIN_S)
                stack.push_async_callback(desk.aclose)
                client = httpx.AsyncClient(base_url=url, timeout=ANSWER_WITHIN_S, trust_env=False)
                ways.append(partial(self._do, desk, await stack.enter_async_context(client)))
            tasks = [
                asyncio.create_task(_perform(script, chance.choice(ways))) for script in scene.cast(agents)
            ]
            await asyncio.sleep(for_s)
            scene.enough.set()
            return sum(await asyncio.gather(*tasks))

    async def _do(self, desk: AsyncHttpDesk, client: httpx.AsyncClient, deed: Deed) -> Any:
        match deed:
            case p.Request():
                return await desk.send(deed)
            case Rest(for_s=for_s):
                return await asyncio.sleep(for_s)
            case Newest():
                return None
        headers = {"authorization": f"Bearer {self._tokens[getattr(deed, 'by', DANA.id)]}"}
        return _read(deed, await client.request(**_letter(deed), headers=headers))


async def _perform(script: Script, do: Callable[[Deed], Awaitable[Any]]) -> int:
    told: Any = None
    count = 0
    while True:
        try:
            deed = script.send(told)
        except StopIteration:
            return count
        count += 1
        try:
            told = await do(deed)
        except StopworkError as error:
            told = error


# --- agents that die ---------------------------------------------------------------------------------


def work_until_killed(
    log: Path, urls: Sequence[str], tokens: Mapping[str, str], seed: int, threads: int
) -> None:
    """Be agents of these servers until killed, and note each permit that was answered."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def saw(asked: Asked) -> None:
        if asked.allowed:
            os.write(handle, msgspec.json.encode(asked) + b"\n")

    scene = Scene.of(seed, saw=saw)

    def work(number: int) -> None:
        with Visitor(urls[number % len(urls)], tokens) as visitor:
            play(scene.agent(f"agent-{seed}-{number}"), visitor.do)

    every = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
    for thread in every:
        thread.start()
    for thread in every:
        thread.join()


def noted(log: Path) -> Witness:
    """Answer what agents noted before they were killed."""
    lines = log.read_bytes().splitlines() if log.exists() else []
    return Witness(asked=[msgspec.json.decode(line, type=Asked) for line in lines])
