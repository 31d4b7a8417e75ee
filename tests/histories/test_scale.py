"""Contract: what holds for seconds holds for as many operations as two cores do in a few minutes: over a million of them, on one server,
in batches as they come in from many guards at once, with hundreds of pauses in between; and for minutes of random work on three servers.
STOPWORK_TEST_OPERATIONS and STOPWORK_TEST_MINUTES ask for more.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.control import protocol as p
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.words import Outcome, Verdict
from stopwork.operations import desk
from stopwork.storage.fsck import fsck
from stopwork.storage.view import View
from tests.support.databases import POSTGRESQL
from tests.support.history import Asked, Checker, Paused, Witness, entries_of, history_faults
from tests.support.office import AGENT, DANA, LEE, MANIFEST
from tests.support.replicas import Replica
from tests.support.workload import (
    BUSY_MANIFEST,
    CREATE,
    LEES,
    SESSION,
    UPDATE,
    Lift,
    Pause,
    Scene,
    done_by,
    in_threads,
)

SEED = int(os.environ.get("STOPWORK_TEST_SEED", "20260302"))
OPERATIONS = int(os.environ.get("STOPWORK_TEST_OPERATIONS", "1000000"))
IN_FLIGHT = 512
CALLS_OF_A_RUN = 400
#: Of so many accounts each is updated over and over, so that calls meet.
ACCOUNTS = 5_000
WORK_BETWEEN_PAUSES = 800
MINUTES = float(os.environ.get("STOPWORK_TEST_MINUTES", "1.5"))


class Pipeline:
    """Guards' requests, so many under way at once, without a thread for each."""

    def __init__(self, replica: Replica, witness: Witness) -> None:
        self._replica, self._witness = replica, witness
        self._chance = random.Random(SEED)
        self._under_way: deque[tuple[p.Request[Any], float, Future[Any]]] = deque()
        self.count = 0

    def send(self, request: p.Request[Any]) -> None:
        """Send it, and go on with the oldest that is under way when there are too many."""
        self.count += 1
        work = partial(desk.answer, manifests=self._replica.manifests, request=request)
        future = self._replica.store.submit(work, actor=AGENT)
        self._under_way.append((request, time.monotonic(), future))
        while len(self._under_way) > IN_FLIGHT:
            self._go_on()

    def drain(self) -> None:
        while self._under_way:
            self._go_on()

    def _go_on(self) -> None:
        request, asked_s, future = self._under_way.popleft()
        try:
            answer = future.result(60)
        except StopworkError:
            if isinstance(request, p.RecordAttempt):
                self.send(p.RecordOutcome(call=request.call, outcome=Outcome.FAILED, session=SESSION))
            return
        match request:
            case p.AskPermit() if answer.verdict is Verdict.ALLOW:
                told = Asked(call=answer.call, asked_s=asked_s, answered_s=time.monotonic(), allowed=True)
                self._witness.asked.append(told)
                self.send(p.RecordAttempt(call=answer.call, session=SESSION))
            case p.RecordAttempt():
                fate = self._chance.choices([Outcome.SUCCEEDED, Outcome.FAILED], [9, 1])[0]
                self.send(p.RecordOutcome(call=request.call, outcome=fate, session=SESSION))


def calls() -> Iterator[p.AskPermit]:
    """Answer calls without end, half of which want a piece of work that others want too."""
    chance = random.Random(SEED)
    number = 0
    while True:
        number += 1
        run = f"run-{number // CALLS_OF_A_RUN}"
        call = f"call-{number}"
        if chance.random() < 0.5:
            args = {"account_id": f"account-{chance.randrange(ACCOUNTS)}", "renewal": f"{number // 20_000}"}
            yield p.AskPermit(call=call, run=run, tool=UPDATE, args=args, session=SESSION)
        else:
            yield p.AskPermit(call=call, run=run, tool=CREATE, args={"title": call}, session=SESSION)


def checked(view: View, witness: Witness) -> Checker:
    checker = Checker(witness)
    for entry in entries_of(view):
        checker.check(entry)
    return checker


@pytest.mark.slow
def test_a_million_operations_on_one_server_keep_to_every_rule(tmp_path: Path) -> None:
    witness = Witness()
    chance = random.Random(SEED)
    with Replica.several(1, partial(Replica.open, str(tmp_path / "test.db"))) as (replica,):
        replica.apply(MANIFEST)
        pipeline = Pipeline(replica, witness)
        runs: set[str] = set()
        standing: Paused | None = None
        for number, ask in enumerate(calls()):
            if pipeline.count >= OPERATIONS:
                break
            if ask.run not in runs:
                runs.add(ask.run)
                replica.begin("week", run=ask.run)
            if number % WORK_BETWEEN_PAUSES == 0:
                scope, mode = chance.choice(LEES)
                asked_seq = replica.store.last_seq
                hold = done_by(replica, Pause(scope, mode, LEE.id))
                standing = Paused(hold=hold, returned_s=time.monotonic(), asked_seq=asked_seq)
            elif number % WORK_BETWEEN_PAUSES == WORK_BETWEEN_PAUSES // 4 and standing is not None:
                witness.paused.append(replace(standing, lifted_s=time.monotonic()))
                done_by(replica, Lift(standing.hold, DANA.id))
                standing = None
            pipeline.send(ask)
        pipeline.drain()
        checker = replica.store.read(partial(checked, witness=witness))
        assert checker.end() == [], f"seed {SEED}"
        assert checker.read > OPERATIONS // 2
        assert checker.permits > OPERATIONS // 10
        assert len(witness.paused) > OPERATIONS // 10_000


@pytest.mark.slow
def test_minutes_of_work_keep_to_every_rule(location: str) -> None:
    servers = 3 if location.startswith(POSTGRESQL) else 1
    scene = Scene.of(SEED + 7)
    with Replica.several(servers, partial(Replica.open, location)) as replicas:
        replicas[0].apply(BUSY_MANIFEST)
        in_threads(replicas, scene, agents=16, for_s=MINUTES * 60)
        store = replicas[-1].store
        assert store.read(partial(history_faults, witness=scene.witness)) == [], f"seed {SEED + 7}"
        assert fsck(store).clean
        assert store.read(View.last_seq) > 1_000
