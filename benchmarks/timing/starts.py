"""What starts after a pause has returned: guarded calls of several processes, beside a flag that they all look at before each call.

A guarded call starts when its permit commits. So a call counts as late when its tool began to run after the pause had returned and the
answer did not name it as in flight. Of the calls that it did name, each has to come to its own end: a pause cuts nothing.

Reads that guards decide by themselves, on a lease, are another matter: a pause says of them that it is still *pausing*, until every guard
has confirmed. From then on none may start.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Final

import httpx
import msgspec
from msgspec import Struct

from benchmarks.timing.figures import Figure, Round
from benchmarks.timing.server import Address
from benchmarks.timing.workflow import OTHER, READ, WORKFLOW
from stopwork import Stopwork
from stopwork.kernel.errors import Unavailable
from stopwork.sdk import CallRefused

PROCESSES: Final = 8
TRIALS: Final = 1_000
TRIALS_OF_READS: Final = 100
#: Long enough for every process to be in the middle of something again, and for a late start to be seen.
RUNNING_S: Final = 0.015
WATCHED_S: Final = 0.01
READY_WITHIN_S: Final = 60
SLOW_S: Final = 0.002
#: Who is refused waits for this long, so that the pauses are not measured against a storm of refusals.
REFUSED_S: Final = 0.005
READ_EVERY_S: Final = 0.005
POLL_S: Final = 0.002
_FRESH: Final = multiprocessing.get_context("spawn")


class Start(Struct, frozen=True, array_like=True):
    """One time that a tool ran, to its own end."""

    call: str
    began: float


class Told(Struct, frozen=True):
    """What one worker has to tell: what ran, and what went wrong."""

    starts: list[Start]
    errors: list[str]


class Trial(Struct, frozen=True):
    """One pause: from when to when nothing new may start, the calls that its answer named, and those of them that had begun."""

    returned: float
    until: float
    in_flight: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()


def measure(server: Address, *, trials: int = TRIALS) -> list[Figure]:
    """Answer how many of the calls started late, were named as in flight, and were cut, in so many pauses."""
    with _workers(_guarded_worker, server) as workers:
        paused = [_paused(server, OTHER) for _ in range(trials)]
        told = [_told(each) for each in workers]
    flag = _FRESH.Value("b", 0)
    with _workers(_flagged_worker, flag) as workers:
        flagged = [_flagged(flag) for _ in range(trials)]
        beside = [_told(each) for each in workers]
    if errors := [error for each in told for error in each.errors]:
        raise ValueError(f"{len(errors)} calls failed: {errors[0]}")
    ended = {start.call for each in told for start in each.starts}
    begun = frozenset().union(*(trial.begun for trial in paused))
    unit = f"in {trials:,} pauses"
    who = f"{PROCESSES} processes, tight loop and {SLOW_S * 1e3:.0f} ms tools"
    return [
        Figure(
            name=f"calls started after pause had returned, {who}: of {len(ended):,} that ran",
            unit=unit,
            yardstick="a shared flag",
            rounds=(Round(late_starts(paused, told), late_starts(flagged, beside)),),
            aim="0",
        ),
        Figure(
            name=f"calls cut by a pause: of {len(begun):,} that were at work when it returned",
            unit=unit,
            rounds=(Round(len(begun - ended)),),
            aim="0",
        ),
    ]


def measure_reads(server: Address, *, trials: int = TRIALS_OF_READS) -> list[Figure]:
    """Answer how many leased reads started after every guard had confirmed, in so many pauses."""
    with _workers(_reading_worker, server) as workers:
        paused = [_paused(server, READ, enforced=True) for _ in range(trials)]
        told = [_told(each) for each in workers]
    if errors := [error for each in told for error in each.errors]:
        raise ValueError(f"{len(errors)} reads failed: {errors[0]}")
    # Reads have no names here that both sides know: of those that ran late, as many as were named may have been them.
    late = sum(max(0, late_starts([each], told) - len(each.in_flight)) for each in paused)
    ran = sum(len(each.starts) for each in told)
    return [
        Figure(
            name=f"reads started on a lease after the pause was enforced, {PROCESSES} processes: of {ran:,} that ran",
            unit=f"in {trials:,} pauses",
            rounds=(Round(late),),
            aim="0",
        )
    ]


def late_starts(trials: Sequence[Trial], told: Sequence[Told]) -> int:
    """Answer how many tools began to run where nothing might, and were not named."""
    starts = sorted((start for each in told for start in each.starts), key=lambda each: each.began)
    began = [each.began for each in starts]
    return sum(
        start.call not in trial.in_flight
        for trial in trials
        for start in starts[bisect_right(began, trial.returned) : bisect_right(began, trial.until)]
    )


def _paused(server: Address, tool: str, *, enforced: bool = False) -> Trial:
    """Pause the tool while everybody works, where asked for wait until every guard has confirmed, watch, and let go again."""
    time.sleep(RUNNING_S)
    holds = f"http://127.0.0.1:{server.port}/v1/holds"
    scope = {"kind": "tool", "name": tool, "workflow": WORKFLOW}
    answer = _client(server.dana).post(holds, json={"scope": scope, "reason": "to see what still starts"})
    returned = time.monotonic()
    paused = answer.raise_for_status().json()
    hold = f"{holds}/{paused['hold']['id']}"
    while enforced and paused["state"] == "pausing":
        time.sleep(POLL_S)
        answer = _client(server.dana).get(hold)
        returned = time.monotonic()
        paused = answer.raise_for_status().json()
    time.sleep(WATCHED_S)
    until = time.monotonic()
    _client(server.lee).post(f"{hold}/lift", json={"reason": "seen"}).raise_for_status()
    in_flight = paused["in_flight"]
    return Trial(
        returned,
        until,
        frozenset(call["id"] for call in in_flight),
        frozenset(call["id"] for call in in_flight if call["attempted_at"]),
    )


def _flagged(flag: Synchronized[int]) -> Trial:
    time.sleep(RUNNING_S)
    flag.value = 1
    returned = time.monotonic()
    time.sleep(WATCHED_S)
    until = time.monotonic()
    flag.value = 0
    return Trial(returned, until)


_CLIENTS: Final[dict[str, httpx.Client]] = {}


def _client(token: str) -> httpx.Client:
    if token not in _CLIENTS:
        _CLIENTS[token] = httpx.Client(
            headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=30
        )
    return _CLIENTS[token]


# --- the workers: processes of their own ------------------------------------------------------------


@contextlib.contextmanager
def _workers(work: Any, *args: Any) -> Iterator[list[Connection]]:
    """So many processes at work, for as long as the block; each tells at its end what it has done."""
    pipes = []
    processes = []
    for number in range(PROCESSES):
        mine, its = _FRESH.Pipe()
        process = _FRESH.Process(target=work, args=(number, its, *args), daemon=True)
        process.start()
        pipes.append(mine)
        processes.append(process)
    try:
        for pipe in pipes:
            if not pipe.poll(READY_WITHIN_S):
                raise RuntimeError("a worker did not begin")
            pipe.recv_bytes()
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(timeout=20)


def _told(pipe: Connection) -> Told:
    with contextlib.suppress(BrokenPipeError):  # it has told already, and why
        pipe.send_bytes(b"end")
    return msgspec.msgpack.decode(pipe.recv_bytes(), type=Told)


def _guarded_worker(number: int, pipe: Connection, server: Address) -> None:
    told = Told([], [])
    tool = _Tool(told.starts, slow=number % 2 == 1)
    with Stopwork(f"http://127.0.0.1:{server.port}", server.agent) as guard, guard.run(WORKFLOW) as run:
        pipe.send_bytes(b"ready")
        calls = 0
        while not pipe.poll():
            calls += 1
            call = f"{run.id}_{number}_{calls}"
            try:
                guard.call(OTHER, tool.bound(call), {"id": call}, call=call)
            except (
                CallRefused,
                Unavailable,
            ):  # the latter where one pause after the other overtook its permits
                time.sleep(REFUSED_S)
            except Exception as error:  # noqa: BLE001 - told at the end, where it fails the measurement
                told.errors.append(repr(error))
                break
    pipe.send_bytes(msgspec.msgpack.encode(told))


def _reading_worker(number: int, pipe: Connection, server: Address) -> None:
    told = Told([], [])
    with Stopwork(f"http://127.0.0.1:{server.port}", server.agent) as guard, guard.run(WORKFLOW) as run:
        read = guard.tool(READ)(_Tool(told.starts, slow=False).bound(f"{run.id}_{number}"))
        pipe.send_bytes(b"ready")
        while not pipe.poll(READ_EVERY_S):
            try:
                read("account")
            except CallRefused:
                time.sleep(REFUSED_S)
            except Exception as error:  # noqa: BLE001 - told at the end, where it fails the measurement
                told.errors.append(repr(error))
                break
    pipe.send_bytes(msgspec.msgpack.encode(told))


def _flagged_worker(number: int, pipe: Connection, flag: Synchronized[int]) -> None:
    told = Told([], [])
    tool = _Tool(told.starts, slow=number % 2 == 1)
    pipe.send_bytes(b"ready")
    calls = 0
    while calls % 256 or not pipe.poll():
        calls += 1
        if not flag.value:
            tool.bound("")(id="")
        else:
            time.sleep(REFUSED_S)
    pipe.send_bytes(msgspec.msgpack.encode(told))


class _Tool:
    """A tool that notes when it ran."""

    def __init__(self, starts: list[Start], *, slow: bool) -> None:
        self._starts = starts
        self._slow = slow

    def bound(self, call: str) -> Any:
        def run(id: str) -> str:  # noqa: A002 - the tool's own word
            began = time.monotonic()
            if self._slow:
                time.sleep(SLOW_S)
            self._starts.append(Start(call, began))
            return id

        return run
