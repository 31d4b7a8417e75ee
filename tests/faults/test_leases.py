"""Contract of read leases between real processes: a guard that is suspended reads nothing more when it goes on after its lease, a guard that
is cut off refuses, and one that is there confirms at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from stopwork import Stopwork
from stopwork.kernel.clock import boottime
from stopwork.ledger.records import Call, Scope
from stopwork.ledger.words import Outcome, ScopeKind, Verdict
from stopwork.operations import holds, leasing, manifests
from stopwork.operations.holds import PauseState
from stopwork.operations.points import PointState
from stopwork.storage.store import Store
from tests.contract.desk.benches import LEE, served
from tests.contract.desk.fake import MANIFEST
from tests.unit.sdk.test_heartbeat import until

LEASE_S = 2.0

AGENT = """
import sys, time
from stopwork import Stopwork
from stopwork.kernel.clock import boottime

sw = Stopwork(sys.argv[1], sys.argv[2], timeout_s=2.0)
read = sw.tool("crm.read")(lambda n: print(boottime(), flush=True))
with sw.run("renewals"):
    n = 0
    while True:
        try:
            read(n)
        except Exception as error:
            print(type(error).__name__, flush=True)
            break
        n += 1
        time.sleep(0.002)
"""


@contextmanager
def reading(url: str, token: str) -> Iterator[subprocess.Popen[str]]:
    """An agent in a process of its own that reads without pause; it says when it reads, and ends with the name of what refused it."""
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, url, token],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield agent
    finally:
        agent.kill()
        agent.wait()
        if agent.stdout is not None:
            agent.stdout.close()


@contextmanager
def place_in(folder: Path) -> Iterator[tuple[str, str, Store]]:
    with served(folder) as (url, token, store):
        lease = f"{MANIFEST}read_lease: {LEASE_S:.0f}s\n"
        store.write(lambda tx: manifests.apply(tx, lease, reason="a short lease"), actor=LEE)
        yield url, token, store


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, str, Store]]:
    with place_in(tmp_path) as found:
        yield found


def leased(store: Store) -> int:
    return sum(call.began_at is not None for call in store.read(lambda view: tuple(view.each(Call))))


def status(store: Store, hold: holds.Pause) -> holds.Pause:
    return store.read(lambda view: holds.status(view, hold.hold, now=store.clock.now()))


def pause(store: Store) -> holds.Pause:
    scope = Scope(kind=ScopeKind.WORKFLOW, name="renewals")
    return store.write(lambda tx: holds.pause(tx, scope=scope, reason="it reads"), actor=LEE, urgent=True)


def within_s(holds_now: Callable[[], bool], limit_s: float) -> float:
    began = time.monotonic()
    while not holds_now():
        assert time.monotonic() < began + limit_s, f"not within {limit_s} s"
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_guard_that_is_there_confirms_at_once_and_reads_no_more(place: tuple[str, str, Store]) -> None:
    url, token, store = place
    with reading(url, token) as agent:
        within_s(lambda: leased(store) > 20, 20)
        paused = pause(store)
        assert paused.state is PauseState.PAUSING
        within_s(lambda: status(store, paused).state is PauseState.DRAINED, 5)
        known = leased(store)
        assert agent.stdout is not None
        *_, refused = agent.stdout.read().split()
        assert refused == "CallDenied"
        assert leased(store) == known, "a read was told of after the hold was confirmed"
    reads = [call for call in store.read(lambda view: tuple(view.each(Call))) if call.began_at]
    assert {(call.verdict, call.outcome) for call in reads} == {(Verdict.ALLOW, Outcome.SUCCEEDED)}


def test_a_guard_that_was_suspended_beyond_its_lease_reads_nothing_when_it_goes_on(
    place: tuple[str, str, Store],
) -> None:
    url, token, store = place
    with reading(url, token) as agent:
        within_s(lambda: leased(store) > 20, 20)
        os.kill(agent.pid, signal.SIGSTOP)
        stopped_at = boottime()
        try:
            paused = pause(store)
            [point] = status(store, paused).unconfirmed
            assert point.state is PointState.REQUESTED
            assert status(store, paused).state is PauseState.PAUSING
            within_s(
                lambda: status(store, paused).state is PauseState.ENFORCED, LEASE_S * leasing.CLOCKS_DRIFT + 1
            )
            [point] = status(store, paused).unconfirmed
            assert point.state is PointState.EXPIRED
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        assert agent.stdout is not None
        *read_at, refused = agent.stdout.read().split()
        assert refused == "CallDenied"
        until(lambda: status(store, paused).state is PauseState.DRAINED)
    late = [at for at in map(float, read_at) if at > stopped_at]
    # It may have been stopped between the look at its lease and the first instruction of its tool.
    assert len(late) <= 1, "it read after its lease"
    known = store.read(lambda view: view.count(Call, verdict=Verdict.ALLOW))
    assert known == len(read_at), "and nothing that it read is missing"


def test_a_read_that_cannot_be_spelled_makes_no_pause_look_drained(place: tuple[str, str, Store]) -> None:
    url, token, store = place
    begun, go_on = threading.Event(), threading.Event()

    def look(key: object) -> str:
        if key == "slow":
            begun.set()
            assert go_on.wait(60)
        return "found"

    guard = Stopwork(url, token, timeout_s=2.0)
    read = guard.tool("crm.read")(look)
    run = guard.run("renewals").begin()

    def reader() -> None:
        with run.here():
            read("slow")

    def read_on_a_lease() -> bool:
        with run.here():
            read("plain")
        return leased(store) > 0

    thread = threading.Thread(target=reader)
    try:
        within_s(read_on_a_lease, 20)
        with run.here():
            read({1: 2})
        thread.start()
        assert begun.wait(5)
        paused = pause(store)
        within_s(lambda: status(store, paused).state is PauseState.ENFORCED, 10)
        now = status(store, paused)
        assert now.unconfirmed == (), "it has confirmed"
        [slow] = now.in_flight
        assert slow.args == {"key": "slow"}
        go_on.set()
        within_s(lambda: status(store, paused).state is PauseState.DRAINED, 10)
    finally:
        go_on.set()
        if thread.is_alive():
            thread.join()
        guard.close()
    calls = store.read(lambda view: tuple(view.each(Call)))
    assert {"unrecorded": "Invalid"} in [call.args for call in calls]


def test_a_guard_whose_server_is_gone_reads_on_for_its_lease_and_then_refuses(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(ExitStack())
        url, token, store = server.enter_context(place_in(tmp_path))
        agent = stack.enter_context(reading(url, token))
        within_s(lambda: leased(store) > 20, 20)
        server.close()
        gone_at = time.monotonic()
        assert agent.stdout is not None
        *_, refused = agent.stdout.read().split()
    assert refused == "Unavailable"
    assert time.monotonic() - gone_at < LEASE_S + 5, "its lease, and three tries to ask"
