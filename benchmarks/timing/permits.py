"""Permits over HTTP: how long one takes, alone and in company, and how many there are in a second.

The figure is that of agents with a run each. On PostgreSQL it is told beside it how it is when all are of one run.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count, islice
from typing import Any, Final

import msgspec

from benchmarks.timing.figures import Figure, Round, paired, percentile
from benchmarks.timing.server import ECHO, PERMITS, SPENT, Address
from benchmarks.timing.wire import Answers, Connection, ask_all, connected, request
from benchmarks.timing.workflow import WORKFLOW, WRITE, arguments
from benchmarks.timing.yardsticks import COMMIT, BareDatabase
from stopwork.control.protocol import PermitAnswer
from stopwork.ledger.words import Verdict

ROUNDS: Final = 5
#: How many requests one round makes, by how many at once.
REQUESTS: Final = {1: 100, 16: 320, 64: 640}
RUNS: Final = max(REQUESTS)
ECHOED: Final = "the same body echoed"


async def measure(server: Address, bare: BareDatabase) -> list[Figure]:
    """Answer round trips at 1 and 16 at once beside a commit and an echo, and the rate at 64 beside an echo's."""
    return await _measured(server, bare, REQUESTS, runs=RUNS, where="SQLite", aim="≥ 0.55")


async def measure_rate(server: Address, bare: BareDatabase) -> list[Figure]:
    """Answer the rate at 64 beside an echo's, of a server on PostgreSQL, for as many runs and for one."""
    most = max(REQUESTS)
    counts = {most: REQUESTS[most]}
    several = await _measured(server, bare, counts, runs=RUNS, where="PostgreSQL", aim="≥ 0.35")
    return several + await _measured(server, bare, counts, runs=1, where="all of one run, PostgreSQL", aim="")


async def _measured(
    server: Address, bare: BareDatabase, counts: dict[int, int], *, runs: int, where: str, aim: str
) -> list[Figure]:
    permits: dict[int, list[Answers]] = {at_once: [] for at_once in counts}
    echoes: dict[int, list[Answers]] = {at_once: [] for at_once in counts}
    commits_ms: list[float] = []
    spent_us: list[Round] = []
    async with connected(server.port, max(counts)) as connections:
        works = [Work(server, f"run_{number}_of_{runs}") for number in range(runs)]
        await ask_all(connections, [work.begin for work in works])
        permits_asked = chain.from_iterable(zip(*(work.permits() for work in works), strict=True))
        await ask_all(connections, islice(permits_asked, 100))
        work = works[0]
        for _ in range(ROUNDS):
            commits_ms.append(bare.commit_ms())
            for at_once, requests in counts.items():
                used = connections[:at_once]
                asked = list(islice(permits_asked, requests))
                echoed = [each.replace(PERMITS.encode(), ECHO.encode(), 1) for each in asked]
                spent = [await work.spent_s(connections[0])]
                echoes[at_once].append(await ask_all(used, echoed))
                spent.append(await work.spent_s(connections[0]))
                answers = await ask_all(used, asked)
                permits[at_once].append(answers)
                spent.append(await work.spent_s(connections[0]))
                if at_once == max(counts):
                    before, between, after = spent
                    spent_us.append(
                        Round((after - between) / requests * 1e6, (between - before) / requests * 1e6)
                    )
                # Not counted: a call that was permitted and never ends would stay in flight for the rest of the rounds.
                await ask_all(connections[:16], work.endings(answers))
    processor = Figure(
        name=f"processor time of the server for one permit, 64 at once, {where}",
        unit="µs",
        yardstick=ECHOED,
        rounds=tuple(spent_us),
    )
    rate = Figure(
        name=f"permits over HTTP, 64 at once, {where}",
        unit="/s",
        yardstick=ECHOED,
        rounds=paired([each.per_s for each in permits[64]], [each.per_s for each in echoes[64]]),
        aim=aim,
    )
    return [*_round_trips(permits, echoes, commits_ms), rate, processor]


class Work:
    """An agent's requests: one run, and calls that never repeat each other."""

    def __init__(self, server: Address, run: str = "run_permits") -> None:
        self._token = server.agent
        self._run = run
        self._numbers = count()
        started = {"run": run, "workflow": WORKFLOW, "trigger": "manual", "trigger_id": run}
        self.begin = request("/v1/runs", self._token, started)

    def permits(self) -> Iterator[bytes]:
        """Answer requests for permits, without end."""
        for number in self._numbers:
            call = f"call_{self._run}_{number}"
            yield self.permit(call, WRITE, arguments(number))

    def permit(self, call: str, tool: str, args: dict[str, Any], *, nth: int = 1) -> bytes:
        """Answer a request for one permit; equal calls of one run are counted by ``nth``."""
        asked = {"run": self._run, "tool": tool, "args": args, "call": call, "nth": nth}
        return request(PERMITS, self._token, asked)

    def endings(self, answers: Answers) -> Iterator[bytes]:
        """Answer what ends each permitted call, which was never begun."""
        for body in answers.bodies:
            answer = msgspec.json.decode(body, type=PermitAnswer)
            if answer.verdict is not Verdict.ALLOW:
                raise ValueError(f"a call was not permitted: {answer.reasons}")
            yield request(f"/v1/calls/{answer.call}/outcome", self._token, {"outcome": "failed"})

    async def spent_s(self, connection: Connection) -> float:
        """Ask how much processor time the server has spent so far."""
        return msgspec.json.decode(await connection.ask(request(SPENT, self._token, {})), type=float)

    def carried_through(self, call: str) -> tuple[bytes, bytes]:
        """Answer what says that a permitted call begins, and that it has succeeded."""
        return (
            request(f"/v1/calls/{call}/attempt", self._token, {"before": []}),
            request(f"/v1/calls/{call}/outcome", self._token, {"outcome": "succeeded"}),
        )


def _round_trips(
    permits: dict[int, list[Answers]], echoes: dict[int, list[Answers]], commits_ms: list[float]
) -> Iterator[Figure]:
    aims = {(16, 0.5): "≤ 6", (16, 0.99): "≤ 18"}
    for at_once in sorted(permits.keys() - {64}):
        for share in (0.5, 0.99):
            name = f"permit over HTTP, {at_once} at once, p{share * 100:.0f}"
            own = [percentile(each.each_ms, share) for each in permits[at_once]]
            beside = [percentile(each.each_ms, share) for each in echoes[at_once]]
            yield Figure(
                name=name,
                unit="ms",
                yardstick=COMMIT,
                rounds=paired(own, commits_ms),
                aim=aims.get((at_once, share), ""),
            )
            yield Figure(name=name, unit="ms", yardstick=ECHOED, rounds=paired(own, beside))
