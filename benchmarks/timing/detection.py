"""How long a duplicate goes unnoticed: from the second permit for the same action to the hold that it leads to.

Once beside agents that keep a server busy, and once while the journal grows by a thousand calls a second. No two cores serve so many over
HTTP: what they tell is then recorded straight into the store, and the duties of the same process follow it. And how soon a burst of findings
is through, one after the other, when there is much that the detectors remember.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from benchmarks.timing.figures import Figure, Round, paired, percentile, timed_ms
from benchmarks.timing.judging import call_told
from benchmarks.timing.load import busy
from benchmarks.timing.permits import Work
from benchmarks.timing.server import Address
from benchmarks.timing.wire import connected
from benchmarks.timing.workflow import AGENT, DUPLICATED, WORKFLOW, WRITE, open_installation
from benchmarks.timing.yardsticks import COMMIT, BareDatabase
from stopwork.detect.registry import DETECTORS
from stopwork.ledger.events import CallDecided, Event, HoldSet, RunStarted
from stopwork.ledger.records import Signal
from stopwork.ledger.words import EffectKind, Mode
from stopwork.operations.installation import DATABASE
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.worker.crew import Crew
from stopwork.worker.detection import Detection

AT_ONCE: Final = 16
BETWEEN_S: Final = 0.15
#: Over HTTP so many tools do; recorded straight into the store all of them are used, so that a hundredth is a duplicate at all.
ASKED_FOR: Final = DUPLICATED[:24]

CALLS_PER_S: Final = 1_000
#: So many calls are recorded by one transaction, as a group commit would.
CALLS_AT_ONCE: Final = 25
#: So many transactions are made for each duplicate; it is asked for in the first of them and again in the middle.
TRANSACTIONS: Final = 10
#: So many transactions may be waited for at a time: what is more only waits in line, and that is no lag of detection.
MOST_UNDER_WAY: Final = 8
AT_A_TIME: Final = 100
RUNS_AT_ONCE: Final = 16
SETTLES_S: Final = 2.0
LAG_AIM: Final = "≤ 1000 ms"
#: A run makes so many calls and is followed by another one.
CALLS_OF_A_RUN: Final = 50
#: A burst comes upon detectors that remember so many calls, and an incident of about as many.
REMEMBERED: Final = 6_000
BURST: Final = 200
COUNTED: Final = (
    f"The {CALLS_PER_S:,} calls a second are recorded straight into the store by the server's own process, {CALLS_AT_ONCE} to a transaction and {MOST_UNDER_WAY} transactions under way at most; "
    f"runs of {CALLS_OF_A_RUN} calls, {RUNS_AT_ONCE} at a time; {len(DUPLICATED)} calls are duplicates, each with an incident and a hold of its own. How many there really were a second stands "
    "beside. The burst is of one cause: each finding joins the same incident."
)


async def provoke(server: Address) -> None:
    """Do one thing twice with each of the tools, while agents keep the server busy."""
    work = Work(server, "run_twice")
    with busy(server, AT_ONCE):
        async with connected(server.port, 1) as [connection]:
            await connection.ask(work.begin)
            for number, tool in enumerate(ASKED_FOR):
                first, again = f"twice_{number}_1", f"twice_{number}_2"
                args = {"title": "call the customer"}
                for asked in (work.permit(first, tool, args), *work.carried_through(first)):
                    await connection.ask(asked)
                # What would follow the second permit is refused, should the hold be there first.
                await connection.ask(work.permit(again, tool, args, nth=2))
                await asyncio.sleep(BETWEEN_S)


def measure(folder: Path, bare: BareDatabase) -> list[Figure]:
    """Answer what the journal of a stopped server tells."""
    lags_ms = _lags_ms(folder, ASKED_FOR)
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


def measure_at_rate(folder: Path, bare: BareDatabase) -> list[Figure]:
    """Answer the same while so many calls a second are recorded, and how many there were."""
    commit_ms = bare.commit_ms()
    with open_installation(folder) as installation:
        crew = Crew(installation)
        crew.start()
        try:
            recorded_per_s = _record_calls(installation.store)
        finally:
            crew.stop()
    lags_ms = _lags_ms(folder, DUPLICATED)
    lags = [
        Figure(
            name=f"duplicate permitted → tool held, {CALLS_PER_S:,} calls/s asked for, {label}",
            unit="ms",
            yardstick=COMMIT,
            rounds=(Round(percentile(lags_ms, share), commit_ms),),
            aim=aim,
        )
        for label, share, aim in (("p50", 0.5, ""), ("p99", 0.99, LAG_AIM))
    ]
    rate = Figure(
        name="calls recorded meanwhile",
        unit="/s",
        yardstick="asked for",
        rounds=(Round(recorded_per_s, CALLS_PER_S),),
    )
    return [*lags, rate]


def measure_burst(folder: Path, bare: BareDatabase) -> list[Figure]:
    """Answer how long each of many findings takes that come one after the other: found, recorded, joined to its incident and held."""
    chance, commit_ms = random.Random(7), bare.commit_ms()
    with open_installation(folder) as installation:
        store, detection = installation.store, Detection(installation, DETECTORS)
        runs = [f"run_{number:08d}" for number in range(RUNS_AT_ONCE)]
        store.write(partial(_record, [_begun(run) for run in runs]), actor=AGENT)
        for begin in range(0, REMEMBERED, AT_A_TIME):
            told: list[Event] = []
            for number in range(begin, begin + AT_A_TIME):
                run, tool = runs[number % RUNS_AT_ONCE], DUPLICATED[1 + number % (len(DUPLICATED) - 1)]
                told += call_told(WORKFLOW, run, number, tool, EffectKind.CREATE, chance)
            store.write(partial(_record, told), actor=AGENT)
        detection.follow()
        found_ms: list[float] = []
        for number in range(BURST):
            run = runs[number % RUNS_AT_ONCE]
            first = next(call_told(WORKFLOW, run, -number - 1, DUPLICATED[0], EffectKind.CREATE, chance))
            store.write(partial(_record, _twice(first)), actor=AGENT)
            found_ms.append(timed_ms(detection.follow))
        if (found := store.read(lambda view: view.count(Signal))) != BURST:
            raise ValueError(f"{found} of {BURST} were found")
    return [
        Figure(
            name=f"a finding of a burst of {BURST}, {REMEMBERED:,} calls remembered, {label}",
            unit="ms",
            yardstick=COMMIT,
            rounds=(Round(percentile(found_ms, share), commit_ms),),
        )
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]


def _record_calls(store: Store) -> float:
    """Record calls at an even rate, and a duplicate now and then; answer how many a second there were.

    As of agents who do not wait for each other, the next ones are on their way while earlier ones are made durable.
    """
    chance, calls = random.Random(7), 0
    under_way: deque[Future[None]] = deque()
    began = time.perf_counter()
    for number, tool in enumerate(DUPLICATED):
        twice = next(call_told(WORKFLOW, _run_of(calls), -number - 1, tool, EffectKind.CREATE, chance))
        first, again = _twice(twice)
        for transaction in range(TRANSACTIONS):
            told: list[Event] = []
            for each in range(calls, calls + CALLS_AT_ONCE):
                if _run_of(each) != _run_of(each - RUNS_AT_ONCE):
                    told.append(_begun(_run_of(each)))
                told += call_told(WORKFLOW, _run_of(each), each, WRITE, EffectKind.UPDATE, chance)
            if transaction in (0, TRANSACTIONS // 2):
                told.append(again if transaction else first)
            calls += CALLS_AT_ONCE
            under_way.append(store.submit(partial(_record, told), actor=AGENT))
            if len(under_way) > MOST_UNDER_WAY:
                under_way.popleft().result()
            time.sleep(max(0.0, began + calls / CALLS_PER_S - time.perf_counter()))
    for last in under_way:
        last.result()
    elapsed_s = time.perf_counter() - began
    time.sleep(SETTLES_S)
    return calls / elapsed_s


def _run_of(call: int) -> str:
    """Answer the run that makes this call: some go on at the same time, and each ends after a while."""
    return f"run_{call // (RUNS_AT_ONCE * CALLS_OF_A_RUN):04d}_{call % RUNS_AT_ONCE:02d}"


def _twice(decided: Event) -> tuple[CallDecided, CallDecided]:
    """Answer two permits for the same action."""
    assert isinstance(decided, CallDecided)
    first, again = (
        replace(decided, call=f"{decided.call}_{nth}", key=f"{decided.key}_{nth}") for nth in (1, 2)
    )
    return first, again


def _record(events: Sequence[Event], tx: Tx) -> None:
    for event in events:
        tx.record(event)


def _begun(run: str) -> RunStarted:
    return RunStarted(
        run=run,
        workflow=WORKFLOW,
        version=1,
        trigger="manual",
        trigger_id=run,
        attempt=1,
        mode=Mode.ENFORCE,
    )


def _lags_ms(folder: Path, tools: Sequence[str]) -> list[float]:
    """Answer the lag of each duplicate; an entry is dated by the start of its transaction."""
    with Store.open(folder / DATABASE) as store:
        entries = store.read(lambda view: view.entries(kinds=("call.decided", "hold.set"), limit=100_000))
    permitted = {
        entry.event.tool: entry.at
        for entry in entries
        if isinstance(entry.event, CallDecided) and entry.event.tool in tools
    }
    lags_ms = [
        (entry.at - permitted[entry.event.scope.name]).total_seconds() * 1e3
        for entry in entries
        if isinstance(entry.event, HoldSet) and entry.event.scope.name in tools
    ]
    if len(lags_ms) != len(tools):
        raise ValueError(f"{len(lags_ms)} of {len(tools)} duplicates were held")
    return lags_ms
