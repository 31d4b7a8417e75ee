"""How long a duplicate goes unnoticed: from the second permit for the same action to the hold that it leads to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from benchmarks.timing.figures import Figure, paired, percentile
from benchmarks.timing.load import busy
from benchmarks.timing.permits import Work
from benchmarks.timing.server import Address
from benchmarks.timing.wire import connected
from benchmarks.timing.workflow import DUPLICATED
from benchmarks.timing.yardsticks import COMMIT, BareDatabase
from stopwork.ledger.events import CallDecided, HoldSet
from stopwork.operations.installation import DATABASE
from stopwork.storage.store import Store

AT_ONCE: Final = 16
BETWEEN_S: Final = 0.15


async def provoke(server: Address) -> None:
    """Do one thing twice with each of the tools, while agents keep the server busy."""
    work = Work(server, "run_twice")
    with busy(server, AT_ONCE):
        async with connected(server.port, 1) as [connection]:
            await connection.ask(work.begin)
            for number, tool in enumerate(DUPLICATED):
                first, again = f"twice_{number}_1", f"twice_{number}_2"
                args = {"title": "call the customer"}
                for asked in (work.permit(first, tool, args), *work.carried_through(first)):
                    await connection.ask(asked)
                # What would follow the second permit is refused, should the hold be there first.
                await connection.ask(work.permit(again, tool, args, nth=2))
                await asyncio.sleep(BETWEEN_S)


def measure(folder: Path, bare: BareDatabase) -> list[Figure]:
    """Answer what the journal of a stopped server tells: each entry is dated by the start of its transaction."""
    with Store.open(folder / DATABASE) as store:
        entries = store.read(lambda view: view.entries(kinds=("call.decided", "hold.set"), limit=100_000))
    permitted = {
        entry.event.tool: entry.at
        for entry in entries
        if isinstance(entry.event, CallDecided) and entry.event.tool in DUPLICATED
    }
    lags_ms = [
        (entry.at - permitted[entry.event.scope.name]).total_seconds() * 1e3
        for entry in entries
        if isinstance(entry.event, HoldSet) and entry.event.scope.name in DUPLICATED
    ]
    if len(lags_ms) != len(DUPLICATED):
        raise ValueError(f"{len(lags_ms)} of {len(DUPLICATED)} duplicates were held")
    commits_ms = [bare.commit_ms() for _ in range(3)]
    return [
        Figure(
            name=f"duplicate permitted → tool held, {AT_ONCE} busy agents, {label}",
            unit="ms",
            yardstick=COMMIT,
            rounds=paired([percentile(lags_ms, share)] * len(commits_ms), commits_ms),
        )
        for label, share in (("p50", 0.5), ("slowest", 1.0))
    ]
