"""``python -m benchmarks.timing.load ADDRESS AT_ONCE``: agents that carry one call through after the other.

A process of its own, so that whoever is measured beside it does not wait for it. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from benchmarks.timing.permits import Work
from benchmarks.timing.server import Address
from benchmarks.timing.wire import Connection, connected, ends_with_input

READY: Final = b"ready\n"


@contextmanager
def busy(server: Address, at_once: int) -> Iterator[list[float]]:
    """So many agents at work, for as long as the block; afterwards the list holds how many requests a second they made."""
    command = [
        sys.executable, "-m", "benchmarks.timing.load", msgspec.json.encode(server).decode(), str(at_once),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != READY:
                raise RuntimeError("the load did not begin")
            started = time.perf_counter()
            yield (rates := [])
            elapsed_s = time.perf_counter() - started
        finally:
            process.stdin.close()
            answered = process.stdout.read()
            failed = process.wait(timeout=20)
        if failed:
            raise RuntimeError("the load ended before it was told to")
        rates.append(int(answered) / elapsed_s)


async def _main(server: Address, at_once: int) -> None:
    over = ends_with_input()
    async with connected(server.port, at_once) as connections:
        agents = [
            asyncio.create_task(_agent(server, f"run_{os.getpid()}_{number}", each, over))
            for number, each in enumerate(connections)
        ]
        await asyncio.sleep(0.3)
        print(READY.decode(), end="", flush=True)
        print(sum(await asyncio.gather(*agents)), flush=True)


async def _agent(server: Address, run: str, connection: Connection, over: asyncio.Future[None]) -> int:
    """Work until it is over; answer how many requests were answered."""
    work = Work(server, run)
    await connection.ask(work.begin)
    answered = 0
    for asked in work.permits():
        if over.done():
            break
        answered += 3
        call = msgspec.json.decode(await connection.ask(asked))["call"]
        for said in work.carried_through(call):
            await connection.ask(said)
    return answered


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Address), int(sys.argv[2])))
