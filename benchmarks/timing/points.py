"""How long it takes until all of 1,000 connected enforcement points have confirmed a pause.

``python -m benchmarks.timing.points ADDRESS COUNT`` is the points: connections of one process, each a heartbeat as a guard's is. It says for
each epoch when the last of them had its confirmation answered, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

import httpx
import msgspec

from benchmarks.timing.figures import Figure, Round, percentile
from benchmarks.timing.server import Address
from benchmarks.timing.wire import Connection, connected, ends_with_input, request
from benchmarks.timing.workflow import OTHER, WORKFLOW
from stopwork.control.protocol import MAX_WAIT_S
from stopwork.sdk.heartbeat import INTERVAL_S
from stopwork.server.main import with_many_files

COUNT: Final = 1_000
PAUSES: Final = 20


def measure(server: Address) -> list[Figure]:
    """Answer how long after the request for a pause the last point had confirmed it, and what the server then says of it."""
    taken = []
    with _points(server, COUNT) as confirmed, httpx.Client(trust_env=False, timeout=30) as client:

        def ask(method: str, path: str, token: str, **body: object) -> dict[str, object]:
            answer = client.request(
                method,
                f"http://127.0.0.1:{server.port}{path}",
                headers={"authorization": f"Bearer {token}"},
                json=body or None,
            )
            return dict(answer.raise_for_status().json())

        for _ in range(PAUSES):
            scope = {"kind": "tool", "name": OTHER, "workflow": WORKFLOW}
            asked = time.monotonic()
            paused = msgspec.convert(
                ask("POST", "/v1/holds", server.dana, scope=scope, reason="to be confirmed"), Paused
            )
            taken.append(_wait_for(confirmed, paused.hold.epoch) - asked)
            now = msgspec.convert(ask("GET", f"/v1/holds/{paused.hold.id}", server.dana), Paused)
            if now.state == "pausing":
                raise ValueError("the server does not know that all points have confirmed")
            ask("POST", f"/v1/holds/{paused.hold.id}/lift", server.lee, reason="confirmed")
            _wait_for(confirmed, paused.hold.epoch + 1)
    return [
        Figure(
            name=f"pause asked → all of {COUNT:,} connected points confirmed, {label}",
            unit="s",
            rounds=(Round(percentile(taken, share)),),
            aim=aim,
        )
        for label, share, aim in (("p50", 0.5, ""), (f"slowest of {PAUSES}", 1.0, "≤ 0.5"))
    ]


class Hold(msgspec.Struct):
    """What is needed to know of a hold."""

    id: str
    epoch: int


class Paused(msgspec.Struct):
    """What is needed to know of a pause."""

    hold: Hold
    state: str


def _wait_for(confirmed: IO[bytes], epoch: int) -> float:
    """Answer when the last point had confirmed this epoch."""
    for line in confirmed:
        known, _, at = line.decode().partition(" ")
        if int(known) >= epoch:
            return float(at)
    raise RuntimeError("the points have gone away")


@contextmanager
def _points(server: Address, count: int) -> Iterator[IO[bytes]]:
    command = [
        sys.executable, "-m", "benchmarks.timing.points", msgspec.json.encode(server).decode(), str(count),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise RuntimeError("the points did not connect")
            yield process.stdout
        finally:
            process.stdin.close()
            process.wait(timeout=20)


async def _main(server: Address, count: int) -> None:
    confirmed: Counter[int] = Counter()
    async with connected(server.port, count) as connections:
        registered = []
        for number, connection in enumerate(connections):
            asked = request("/v1/points", server.agent, {"workflow": WORKFLOW, "name": f"point {number}"})
            registered.append(msgspec.json.decode(await connection.ask(asked)))
        print("ready", flush=True)
        beats: list[asyncio.Future[None]] = [
            asyncio.create_task(_beat(server, connection, known["point"], known["epoch"], confirmed, count))
            for connection, known in zip(connections, registered, strict=True)
        ]
        done, _ = await asyncio.wait([ends_with_input(), *beats], return_when=asyncio.FIRST_COMPLETED)
        for each in beats:
            each.cancel()
        for each in done:
            each.result()


async def _beat(
    server: Address, connection: Connection, point: str, epoch: int, confirmed: Counter[int], count: int
) -> None:
    path = f"/v1/points/{point}/heartbeat"
    while True:
        asked = time.monotonic()
        said = {"epoch": epoch, "wait_s": MAX_WAIT_S, "lease": True}
        newest = msgspec.json.decode(await connection.ask(request(path, server.agent, said)))["epoch"]
        if newest == epoch:
            await asyncio.sleep(max(0.0, INTERVAL_S - (time.monotonic() - asked)))
            continue
        epoch = newest
        await connection.ask(request(path, server.agent, {"epoch": epoch, "lease": True}))
        confirmed[epoch] += 1
        if confirmed[epoch] == count:
            print(epoch, time.monotonic(), flush=True)


if __name__ == "__main__":
    with_many_files()
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Address), int(sys.argv[2])))
