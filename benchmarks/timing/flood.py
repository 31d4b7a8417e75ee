"""A flood of signals: at the rate of 100,000 in a minute, how long a permit takes meanwhile, beside permits in quiet.

Every signal is delivered under a name of its own and answered after it is durable. At the end one incident has them all, counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from typing import Final

import httpx

from benchmarks.timing.figures import Figure, Round, percentile
from benchmarks.timing.permits import Work
from benchmarks.timing.server import Address
from benchmarks.timing.wire import Connection, connected, request
from benchmarks.timing.workflow import WORKFLOW
from benchmarks.timing.yardsticks import BareDatabase

SIGNALS: Final = 20_000
SIGNALS_PER_S: Final = 100_000 / 60
SENDERS: Final = 64
#: A permit is asked for so often, in quiet and in the flood.
EVERY_S: Final = 0.01
QUIET_S: Final = 4.0


async def measure(server: Address, bare: BareDatabase) -> list[Figure]:
    """Answer the rate at which signals were taken, and the permits' p99 in the flood beside that in quiet."""
    async with connected(server.port, SENDERS + 1) as connections:
        asking, senders = connections[0], connections[1:]
        work = Work(server, "run_in_a_flood")
        await asking.ask(work.begin)
        permits = work.permits()
        quiet_ms = await _permitted(asking, permits, until=time.perf_counter() + QUIET_S)
        sending = asyncio.gather(*_senders(server, senders))
        flooded_ms: list[float] = []
        started = time.perf_counter()
        while not sending.done():
            flooded_ms += await _permitted(asking, permits, until=time.perf_counter() + 0.1)
        await sending
        elapsed_s = time.perf_counter() - started
    _require_one_incident(server)
    return [
        Figure(
            name=f"signals of one cause taken, {SENDERS} senders at 100,000 a minute",
            unit="/s",
            yardstick="durable commits, one after the other",
            rounds=(Round(SIGNALS / elapsed_s, 1e3 / bare.commit_ms()),),
            aim="≥ 1500 /s",
        ),
        Figure(
            name="a permit in that flood, p99",
            unit="ms",
            yardstick="in quiet, p99",
            rounds=(Round(percentile(flooded_ms, 0.99), percentile(quiet_ms, 0.99)),),
        ),
        Figure(
            name="a permit in that flood, median",
            unit="ms",
            yardstick="in quiet, median",
            rounds=(Round(percentile(flooded_ms, 0.5), percentile(quiet_ms, 0.5)),),
        ),
    ]


async def _permitted(connection: Connection, permits: Iterator[bytes], *, until: float) -> list[float]:
    each_ms = []
    while time.perf_counter() < until:
        started = time.perf_counter()
        await connection.ask(next(permits))
        each_ms.append((time.perf_counter() - started) * 1e3)
        await asyncio.sleep(EVERY_S)
    return each_ms


def _senders(server: Address, connections: list[Connection]) -> list[asyncio.Task[None]]:
    numbers = count()
    started = time.perf_counter()

    async def send(connection: Connection) -> None:
        while (number := next(numbers)) < SIGNALS:
            await asyncio.sleep(max(0.0, started + number / SIGNALS_PER_S - time.perf_counter()))
            body = {
                "kind": "alert",
                "summary": "the queue is full",
                "workflow": WORKFLOW,
                "key": "queue",
                "severity": "sev2",
                "delivery": str(number),
            }
            await connection.ask(request("/v1/signals", server.lee, body))

    return [asyncio.ensure_future(send(each)) for each in connections]


def _require_one_incident(server: Address) -> None:
    headers = {"authorization": f"Bearer {server.lee}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=headers, trust_env=False) as lee:
        [incident] = lee.get("/v1/incidents").json()
        kept = lee.get("/v1/signals", params={"incident": incident["id"], "limit": 500}).json()
    counted = sum(1 + each["repeats"] for each in kept)
    if counted != SIGNALS:
        raise RuntimeError(f"{counted} of {SIGNALS} signals are counted")
