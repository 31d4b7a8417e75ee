"""``python -m benchmarks.timing.load ADDRESS AT_ONCE``: agents that carry one call through after the other.

A process of its own, so that whoever is measured beside it does not wait for it. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from benchmarks.timing.permits import Work
from benchmarks.timing.server import Address
from benchmarks.timing.wire import Connection, connected, ends_with_input

READY: Final = b"ready\n"


@contextmanager
def busy(server: Address, at_once: int) -> Iterator[None]:
    """So many agents at work, for as long as the block."""
    command = [
        sys.executable, "-m", "benchmarks.timing.load", msgspec.json.encode(server).decode(), str(at_once),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != READY:
                raise RuntimeError("the load did not begin")
            yield
        finally:
            process.stdin.close()
            process.wait(timeout=20)


async def _main(server: Address, at_once: int) -> None:
    over = ends_with_input()
    async with connected(server.port, at_once) as connections:
        agents = [
            asyncio.create_task(_agent(server, f"run_{os.getpid()}_{number}", each, over))
            for number, each in enumerate(connections)
        ]
        await asyncio.sleep(0.3)
        print(READY.decode(), end="", flush=True)
        await asyncio.gather(*agents)


async def _agent(server: Address, run: str, connection: Connection, over: asyncio.Future[None]) -> None:
    work = Work(server, run)
    await connection.ask(work.begin)
    for asked in work.permits():
        if over.done():
            return
        call = msgspec.json.decode(await connection.ask(asked))["call"]
        for said in work.carried_through(call):
            await connection.ask(said)


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Address), int(sys.argv[2])))
