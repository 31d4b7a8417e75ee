"""A server that is cut off from the database says so within bounds and permits nothing that is not committed; a pause set on another server
holds there too; and it comes back by itself. A process that is suspended changes nothing of this when it goes on.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from stopwork.control import protocol as p
from stopwork.kernel.errors import StopworkError, Unavailable
from stopwork.ledger.records import Scope
from stopwork.ledger.words import HoldMode, ScopeKind, Verdict
from stopwork.storage.fsck import fsck
from stopwork.storage.postgres import ANSWERED_WITHIN_S
from stopwork.storage.postgres_connections import IDLE_WITHIN_S
from tests.support.history import Asked, history_faults
from tests.support.office import DANA, LEE, WORKFLOW
from tests.support.postgres import PostgresServer
from tests.support.proxy import Proxy
from tests.support.servers import ANSWER_WITHIN_S, House, Server, Visitor
from tests.support.workload import CREATE, SESSION, Lift, Pause, Scene, play

EVERYTHING = Pause(Scope(kind=ScopeKind.EVERYTHING), HoldMode.BLOCK, LEE.id)
AGENTS = 4
SOON_S = 10.0


class Pair:
    """Two servers that share a database: ``near`` reaches it directly, ``far`` by way of the proxy."""

    def __init__(self, house: House, near: Server, far: Server, proxy: Proxy) -> None:
        self.house, self.proxy = house, proxy
        self.near_server, self.far_server = near, far
        self.near, self.far = Visitor(near.url, house.tokens), Visitor(far.url, house.tokens)
        self._count = 0

    def begin(self) -> None:
        self.near.do(p.StartRun(workflow=WORKFLOW, trigger="schedule", trigger_id="monday", run="run-1"))

    def ask(self, visitor: Visitor) -> Verdict:
        self._count += 1
        call = f"call-{self._count}"
        ask = p.AskPermit(call=call, run="run-1", tool=CREATE, args={"title": call}, session=SESSION)
        verdict: Verdict = visitor.do(ask).verdict
        return verdict


@contextmanager
def pair(folder: Path, postgres: PostgresServer) -> Iterator[Pair]:
    location = postgres.database()
    house = House(folder / "data", location)
    with (
        Proxy(postgres.socket) as proxy,
        Server(house) as near,
        Server(house, database=through(proxy, location)) as far,
    ):
        near.wait()
        far.wait()
        both = Pair(house, near, far, proxy)
        both.begin()
        with both.near, both.far:
            yield both
        proxy.go_on()


def through(proxy: Proxy, location: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{sa.make_url(location).database}"


def refused_within_s(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(StopworkError):
        ask()
    return time.monotonic() - began


def comes_back(ask: Callable[[], Verdict], expected: Verdict, *, within_s: float = SOON_S) -> None:
    end = time.monotonic() + within_s
    while True:
        try:
            found = ask()
        except Unavailable:
            assert time.monotonic() < end, "it does not come back by itself"
            time.sleep(0.05)
        else:
            assert found is expected
            return


def check_history(house: House, scene: Scene | None = None) -> None:
    with house.opened() as installation:
        witness = scene.witness if scene else None
        assert installation.store.read(partial(history_faults, witness=witness)) == []
        assert fsck(installation.store, vkeys=[installation.signer.vkey]).clean


@pytest.mark.slow
def test_a_server_that_is_cut_off_refuses_and_a_pause_of_the_other_holds_when_it_is_back(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    with pair(tmp_path, postgres) as both:
        assert both.ask(both.far) is Verdict.ALLOW
        both.proxy.stall()
        waiting: list[float] = []
        asked = threading.Thread(target=lambda: waiting.append(refused_within_s(partial(both.ask, both.far))))
        asked.start()
        time.sleep(0.3)
        began = time.monotonic()
        hold = both.near.do(EVERYTHING)
        assert time.monotonic() - began < IDLE_WITHIN_S + 2, (
            "whoever is cut off does not keep a pause waiting"
        )
        assert both.ask(both.near) is Verdict.DENY
        asked.join(60)
        assert waiting
        assert waiting[0] < min(ANSWERED_WITHIN_S + 3, ANSWER_WITHIN_S)
        both.proxy.go_on()
        comes_back(partial(both.ask, both.far), Verdict.DENY)
        both.near.do(Lift(hold, DANA.id))
        assert both.ask(both.far) is Verdict.ALLOW
        check_history(both.house)


@pytest.mark.parametrize("how", ["drop", "reset"])
def test_a_server_whose_connections_break_again_and_again_permits_what_is_committed_and_comes_back(
    tmp_path: Path, postgres: PostgresServer, how: str
) -> None:
    scene = Scene.of(int(os.environ.get("STOPWORK_TEST_SEED", "20260302")))
    with pair(tmp_path, postgres) as both:
        every = [
            threading.Thread(
                target=work_at, args=(scene, f"agent-{how}-{n}", both.far_server, both.house), daemon=True
            )
            for n in range(AGENTS)
        ]
        for thread in every:
            thread.start()
        for _ in range(5):
            time.sleep(0.2)
            getattr(both.proxy, how)()
        scene.enough.set()
        for thread in every:
            thread.join(60)
        comes_back(partial(both.ask, both.far), Verdict.ALLOW)
        assert any(asked.allowed for asked in scene.witness.asked)
        check_history(both.house, scene)


def work_at(scene: Scene, name: str, server: Server, house: House) -> None:
    with Visitor(server.url, house.tokens) as visitor:
        play(scene.agent(name), visitor.do)


def test_a_server_with_a_slow_way_to_the_database_keeps_the_order_of_permits_and_pauses(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scene = Scene.of(1)
    with pair(tmp_path, postgres) as both:
        both.proxy.delay(0.01)
        every = [
            threading.Thread(
                target=work_at, args=(scene, f"agent-{n}", both.far_server, both.house), daemon=True
            )
            for n in range(AGENTS)
        ]
        for thread in every:
            thread.start()
        for _ in range(2):
            time.sleep(0.2)
            began = time.monotonic()
            hold = both.near.do(EVERYTHING)
            assert time.monotonic() - began < SOON_S
            after = time.monotonic()
            verdict = both.ask(both.far)
            scene.witness.asked.append(
                Asked(call=f"call-{both._count}", asked_s=after, answered_s=time.monotonic(), allowed=False)
            )
            assert verdict is Verdict.DENY
            both.near.do(Lift(hold, DANA.id))
        scene.enough.set()
        for thread in every:
            thread.join(60)
        assert any(asked.allowed for asked in scene.witness.asked)
        check_history(both.house, scene)


def test_a_server_that_is_suspended_keeps_nobody_waiting_and_permits_nothing_when_it_goes_on(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    scene = Scene.of(2)
    with pair(tmp_path, postgres) as both:
        every = [
            threading.Thread(
                target=work_at, args=(scene, f"agent-{n}", both.far_server, both.house), daemon=True
            )
            for n in range(AGENTS)
        ]
        for thread in every:
            thread.start()
        time.sleep(0.5)
        both.far_server.suspend()
        began = time.monotonic()
        both.near.do(EVERYTHING)
        assert time.monotonic() - began < IDLE_WITHIN_S + 2
        returned = both.near.do(EVERYTHING)
        assert returned, "the same hold is answered again"
        time.sleep(0.2)
        resumed_s = time.monotonic()
        both.far_server.resume()
        time.sleep(1)
        scene.enough.set()
        for thread in every:
            thread.join(60)
        comes_back(partial(both.ask, both.far), Verdict.DENY)
        late = [asked.call for asked in scene.witness.asked if asked.allowed and asked.asked_s > resumed_s]
        assert late == []
        check_history(both.house, scene)
