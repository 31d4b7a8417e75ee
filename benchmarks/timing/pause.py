"""How long a pause takes to return while agents keep the server busy."""

from __future__ import annotations

from typing import Final

import msgspec

from benchmarks.timing.figures import Figure, paired, percentile
from benchmarks.timing.load import busy
from benchmarks.timing.server import Address
from benchmarks.timing.wire import ask_all, connected, request
from benchmarks.timing.workflow import OTHER, WORKFLOW
from benchmarks.timing.yardsticks import COMMIT, BareDatabase

ROUNDS: Final = 5
PAUSES: Final = 30
AT_ONCE: Final = 64


async def measure(server: Address, bare: BareDatabase) -> list[Figure]:
    """Answer how long a pause takes alone and beside 64 busy agents, beside a commit."""
    # Measured while nobody else is at work, as the figure's aim is stated.
    commits_ms = [bare.commit_ms() for _ in range(ROUNDS)]
    alone = [await _pauses_ms(server) for _ in range(ROUNDS)]
    with busy(server, AT_ONCE) as rates:
        beside = [await _pauses_ms(server) for _ in range(ROUNDS)]
    agents = f"{AT_ONCE} busy agents ({rates[0]:,.0f} requests a second)"
    return [
        Figure(
            name=f"pause returns, {whom}, p{share * 100:.0f}",
            unit="ms",
            yardstick=COMMIT,
            rounds=paired([percentile(each, share) for each in taken], commits_ms),
            aim=aim,
        )
        for whom, taken, share, aim in (
            ("nobody at work", alone, 0.5, ""),
            (agents, beside, 0.5, ""),
            (agents, beside, 0.99, "≤ 10"),
        )
    ]


async def _pauses_ms(server: Address) -> tuple[float, ...]:
    scope = {"kind": "tool", "name": OTHER, "workflow": WORKFLOW}
    taken: list[float] = []
    async with connected(server.port, 1) as [connection]:
        for _ in range(PAUSES):
            pause = request("/v1/holds", server.dana, {"scope": scope, "reason": "to be measured"})
            answers = await ask_all([connection], [pause])
            taken += answers.each_ms
            hold = msgspec.json.decode(answers.bodies[0])["hold"]["id"]
            await connection.ask(request(f"/v1/holds/{hold}/lift", server.lee, {"reason": "measured"}))
    return tuple(taken)
