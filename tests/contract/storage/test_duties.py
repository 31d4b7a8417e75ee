"""Contract of the background duties of servers that share a database: one server does a duty at a time, and another goes on when that one
stops, at once, or dies, after a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from stopwork.storage import leases
from stopwork.storage.store import Store
from stopwork.worker.duty import Duty, DutyLoop
from tests.support.postgres import PostgresServer

SOON_S = 5.0


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)


def test_a_duty_has_one_owner_until_its_lease_runs_out(postgres: PostgresServer) -> None:
    with Store.open(postgres.database()) as store:

        def take(owner: str, for_s: float = 60.0) -> int | None:
            return store.write(partial(leases.take, duty="sealer", owner=owner, for_s=for_s))

        assert take("one") == 1
        assert take("other") is None
        assert take("one", for_s=0.05) == 1
        time.sleep(0.1)
        assert take("other") == 2
        assert take("one") is None
        store.write(partial(leases.give_back, duty="sealer", owner="one"))
        assert take("one") is None
        store.write(partial(leases.give_back, duty="sealer", owner="other"))
        assert take("one") == 3


def test_one_server_does_a_duty_and_another_goes_on_when_it_stops(postgres: PostgresServer) -> None:
    location = postgres.database()
    done: list[str] = []
    with Store.open(location) as one, Store.open(location) as other:
        first = DutyLoop(one, Duty(name="tidy", period_s=0.02, work=partial(done.append, "one")))
        first.start()
        eventually(lambda: len(done) > 3)
        second = DutyLoop(other, Duty(name="tidy", period_s=0.02, work=partial(done.append, "other")))
        second.start()
        before = len(done)
        eventually(lambda: len(done) > before + 3)
        assert set(done) == {"one"}
        first.stop()
        eventually(lambda: "other" in done)
        second.stop()


def test_a_server_alone_does_its_duties(location: str) -> None:
    done: list[int] = []
    with Store.open(location) as store:
        loop = DutyLoop(store, Duty(name="tidy", period_s=0.02, work=partial(done.append, 1)))
        loop.start()
        eventually(lambda: len(done) > 2)
        loop.stop()
