"""Servers that share one database, each with a store and rules of its own, and guards that ask them; what their history must show."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from stopwork.control import protocol as p
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import StopworkError
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.records import Hold, Principal, Scope
from stopwork.ledger.words import Outcome, Verdict
from stopwork.operations import desk, holds, manifests
from stopwork.operations.manifests import Manifests
from stopwork.storage.database import Database
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View
from tests.support.doomed import ACKNOWLEDGED
from tests.support.history import Fault, Rule, history_faults
from tests.support.office import AGENT, DANA, LEE, MANIFEST, WORKFLOW

A = TypeVar("A")
T = TypeVar("T")

TOOL = "crm.create_task"
SESSION = "session-1"


class Replica:
    """One server: what it knows it reads from the database."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.manifests = Manifests()
        store.when_taken_back(self.manifests.forget)

    @classmethod
    def open(cls, location: str) -> Self:
        return cls(Store.open(location))

    @classmethod
    def on(cls, database: Database) -> Self:
        clock = SystemClock()
        return cls(Store(database, clock=clock, ids=TimeOrderedIds(clock)))

    @classmethod
    @contextmanager
    def several(cls, count: int, opened: Callable[[], Self]) -> Iterator[list[Self]]:
        with ExitStack() as stack:
            found = []
            for _ in range(count):
                found.append(opened())
                stack.callback(found[-1].store.close)
            yield found

    def apply(self, manifest: str = MANIFEST) -> None:
        self.write(partial(manifests.apply, text=manifest, reason="the first version"), actor=LEE)

    def send(self, request: p.Request[A]) -> A:
        """Answer a guard's request as a server does."""
        return self.store.write(
            lambda tx: desk.answer(tx, self.manifests, request),
            actor=AGENT,
        )

    def begin(self, occasion: str, *, run: str | None = None) -> str:
        start = p.StartRun(workflow=WORKFLOW, trigger="schedule", trigger_id=occasion, run=run or occasion)
        return self.send(start).run

    def ask(self, run: str, tool: str, call: str, **args: Any) -> p.PermitAnswer:
        return self.send(p.AskPermit(call=call, run=run, tool=tool, args=args, session=SESSION))

    def finish(self, call: str, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        self.send(p.RecordAttempt(call=call, session=SESSION))
        self.send(p.RecordOutcome(call=call, outcome=outcome, result={"id": call}, session=SESSION))

    def write(self, work: Callable[[Tx], T], *, actor: Principal = LEE, urgent: bool = False) -> T:
        return self.store.write(work, actor=actor, urgent=urgent)

    def pause(self, scope: Scope) -> Hold:
        return self.write(partial(holds.pause, scope=scope, reason="it floods"), urgent=True).hold

    def lift(self, hold: Hold) -> None:
        self.write(partial(holds.lift, hold=hold.id, reason="a second person looked"), actor=DANA)


def permits_beside_pauses(replicas: list[Replica], scopes: list[Scope], *, guards: int) -> list[Fault]:
    """Let guards ask on every replica while each scope is paused on one and lifted on another; answer what is wrong with the history."""
    stop = threading.Event()

    def guard(number: int) -> None:
        replica = replicas[number % len(replicas)]
        run = replica.begin(f"occasion-{number}")
        count = 0
        while not stop.is_set():
            count += 1
            replica.ask(run, TOOL, f"call-{number}-{count}", title=f"{number}/{count}")

    threads = [threading.Thread(target=guard, args=(number,), daemon=True) for number in range(guards)]
    for thread in threads:
        thread.start()
    store = replicas[0].store
    returned: list[str] = []
    try:
        for number, scope in enumerate(scopes):
            store.wait_beyond(store.last_seq + 2 * guards, timeout_s=10)
            hold = replicas[number % len(replicas)].pause(scope)
            after = store.read(View.last_seq)
            # Guards go on asking, and are refused what it covers.
            store.wait_beyond(max(after, store.last_seq) + guards, timeout_s=10)
            replicas[(number + 1) % len(replicas)].lift(hold)
            returned.append(hold.id)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    lost = set(returned) - {hold.id for hold in store.read(lambda view: list(view.each(Hold)))}
    return store.read(history_faults) + [Fault(Rule.KEPT, f"{hold} was not recorded") for hold in lost]


def at_once(works: Sequence[Callable[[], T]]) -> list[T | StopworkError]:
    """Do all of these at the same moment, and answer what each gave or was refused with."""
    barrier = threading.Barrier(len(works))
    found: list[T | StopworkError | None] = [None] * len(works)

    def run(place: int, work: Callable[[], T]) -> None:
        barrier.wait(10)
        try:
            found[place] = work()
        except StopworkError as error:
            found[place] = error

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [each for each in found if each is not None]


def hammer_database(folder: Path, location: str, name: str) -> None:
    """Carry calls through on a server of its own until killed, and note each permit that was acknowledged."""
    log = os.open(folder / ACKNOWLEDGED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    replica = Replica.open(location)

    def work(thread: int) -> None:
        run = replica.begin(f"{name}-{thread}")
        for count in range(1_000_000):
            call = f"{run}-{count}"
            if replica.ask(run, TOOL, call, title=call).verdict is Verdict.ALLOW:
                os.write(log, f"{call}\n".encode())
                replica.finish(call)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
