"""Whoever is killed with no warning, a server, the agents or the database, at whatever moment and how often: what was answered is there,
every rule of the history holds, the servers go on by themselves, and of calls that nobody ended it is known that nobody knows.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from stopwork.ledger import events as e
from stopwork.ledger.records import Call
from stopwork.ledger.words import Outcome
from stopwork.storage.fsck import fsck
from stopwork.storage.view import View
from tests.support.databases import DATABASES, POSTGRESQL
from tests.support.doomed import doomed
from tests.support.history import entries_of, history_faults
from tests.support.office import DANA, LEE
from tests.support.postgres import PostgresServer
from tests.support.servers import House, Server, Visitor, noted, work_until_killed
from tests.support.workload import LEES, Scene, play

SEED = int(os.environ.get("STOPWORK_TEST_SEED", "20260302"))
THREADS = 4
LONGEST_LIFE_S = 0.6
LATER = timedelta(hours=1)


class Agents:
    """Agents in a process of their own, in one life after another."""

    def __init__(self, log: Path, servers: list[Server], house: House) -> None:
        self._log, self._house = log, house
        self._urls = [server.url for server in servers]
        self._lives = 0
        self._stack = ExitStack()
        self._process: BaseProcess | None = None

    def begin(self) -> None:
        self._lives += 1
        seed = SEED * 1_000 + self._lives
        work = doomed(work_until_killed, self._log, self._urls, self._house.tokens, seed, THREADS)
        self._process = self._stack.enter_context(work)

    def kill(self) -> None:
        self._stack.close()

    def restart(self) -> None:
        self.kill()
        self.begin()


@contextmanager
def somebody_pauses(scene: Scene, house: House, server: Server) -> Iterator[None]:
    """Let a person pause and another lift meanwhile, who ask again until they are answered."""

    def work() -> None:
        with Visitor(server.url, house.tokens) as visitor:
            play(scene.pauser("lee", LEE.id, DANA.id, LEES), visitor.do)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        scene.enough.set()
        thread.join(60)
    assert not thread.is_alive(), "the last hold is not lifted"


def restart(victim: PostgresServer | Server) -> None:
    victim.kill()
    victim.start()


def lives_and_deaths(tmp_path: Path, mortal: PostgresServer | None, *, rounds: int, seed: int) -> None:
    """Kill one of them after the other, and hold what is left to the rules."""
    chance = random.Random(seed)
    where = f"STOPWORK_TEST_SEED={seed}"
    house = House(tmp_path / "data", mortal.database() if mortal else None)
    scene, log = Scene.of(seed), tmp_path / "answered"
    with house.servers(2 if mortal else 1) as servers:
        agents = Agents(log, servers, house)
        victims = [partial(restart, server) for server in servers] + [agents.restart]
        victims += [partial(restart, mortal)] if mortal else []
        try:
            agents.begin()
            with somebody_pauses(scene, house, servers[0]):
                for number in range(rounds):
                    known = size_of(log)
                    wait_until_larger(log, known, f"{where}, round {number}")
                    time.sleep(chance.uniform(0, LONGEST_LIFE_S))
                    chance.choice(victims)()
        finally:
            agents.kill()

    witness = noted(log)
    witness.paused = scene.witness.paused
    with house.opened() as installation:
        begun = installation.store.read(begun_and_not_ended)
    with house.catch_up(later=LATER) as installation:
        store = installation.store
        assert store.read(partial(history_faults, witness=witness)) == [], where
        report = fsck(store, vkeys=[installation.signer.vkey])
        assert report.faults == (), where
        assert store.read(lambda view: view.count(Call, in_flight=True)) == 0, where
        ends = store.read(lambda view: {call: view.need(Call, call).outcome for call in begun})
    assert set(ends.values()) <= {Outcome.UNKNOWN}, where
    assert len(witness.asked) > rounds, where


def wait_until_larger(log: Path, known: int, where: str) -> None:
    end = time.monotonic() + 60
    while size_of(log) <= known:
        assert time.monotonic() < end, f"nothing is answered any more: {where}"
        time.sleep(0.01)


def size_of(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def begun_and_not_ended(view: View) -> set[str]:
    begun: set[str] = set()
    for entry in entries_of(view):
        match entry.event:
            case e.CallAttempted(call=call):
                begun.add(call)
            case e.CallFinished(call=call):
                begun.discard(call)
            case _:
                pass
    return begun


@contextmanager
def database_of(kind: str) -> Iterator[PostgresServer | None]:
    if kind == POSTGRESQL:
        with PostgresServer.started() as server:
            yield server
    else:
        yield None


@pytest.mark.parametrize("kind", DATABASES)
def test_whoever_dies_what_was_answered_is_there(tmp_path: Path, kind: str) -> None:
    with database_of(kind) as mortal:
        lives_and_deaths(tmp_path, mortal, rounds=5, seed=SEED)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
def test_many_die_and_what_was_answered_is_there(tmp_path: Path, kind: str) -> None:
    with database_of(kind) as mortal:
        lives_and_deaths(tmp_path, mortal, rounds=40, seed=SEED + 1)
