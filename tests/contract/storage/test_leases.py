"""Contract of heartbeats on every database: no guard is given a lease that is not on file, a server that did not note one knows of it, one
that starts trusts no clock that may be another one, and a pause on one is told to guards of all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from stopwork.control.protocol import Heartbeat, Pulse
from stopwork.kernel.errors import Unauthenticated
from stopwork.ledger.records import Scope
from stopwork.ledger.words import ScopeKind
from stopwork.manifest.sense import LONGEST_LEASE
from stopwork.operations import credentials, holds, leasing, manifests, points
from stopwork.operations.holds import PauseState
from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import Given
from stopwork.server.pulses import Pulses
from stopwork.storage.leases import WALL_CLOCK_MARGIN_S, now_us
from stopwork.storage.store import is_address
from stopwork.storage.tables import heartbeat
from stopwork.storage.transaction import Tx
from tests.support.office import AGENT, LEE, MANIFEST, WORKFLOW
from tests.unit.sdk.test_heartbeat import until

SCOPE = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)


class Server:
    """One server's installation, and its heartbeats."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.store = installation.store
        self.closing = asyncio.Event()
        self.pulses = Pulses(installation, self.closing)
        issued = self.store.write(lambda tx: credentials.issue(tx, principal=AGENT))
        self.credential = issued.credential

    def register(self, name: str) -> str:
        return self.store.write(partial(points.register, workflow=WORKFLOW, name=name), actor=AGENT)[0]

    async def beat(self, point: str, epoch: int, *, wait_s: float = 0.0) -> Pulse:
        body = Heartbeat(point=point, epoch=epoch, wait_s=wait_s, lease=True)
        given = Given(
            installation=self.installation, actor=AGENT, path={"point": point}, query=None, body=body
        )
        return await self.pulses.answer(given, self.credential)

    def apply(self, rule: str) -> None:
        """Put a version in force that has this rule."""
        text = f"{MANIFEST}{rule}\n"
        self.store.write(lambda tx: manifests.apply(tx, text, reason="a test"), actor=LEE)

    def live(self) -> dict[str, float]:
        """Answer for how long each guard may still read by itself, as far as this server knows."""
        found = self.store.read(lambda view: points.live(view, now=self.store.clock.now()))
        return {each.point: each.lease_left_s for each in found if each.lease_left_s is not None}

    def pause(self) -> holds.Pause:
        return self.store.write(
            lambda tx: holds.pause(tx, scope=SCOPE, reason="a test"), actor=LEE, urgent=True
        )

    def status(self, paused: holds.Pause) -> holds.Pause:
        return self.store.read(lambda view: holds.status(view, paused.hold, now=self.store.clock.now()))


def counted_s(server: Server, lasting_s: float) -> float:
    """Answer for how long a server counts a lease that lasts so long for its guard."""
    return lasting_s * leasing.CLOCKS_DRIFT + (WALL_CLOCK_MARGIN_S if server.store.shared else 0)


@pytest.fixture
def servers(location: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Two servers where the database can be shared, else one."""
    with ExitStack() as stack:
        count = 2 if is_address(location) else 1
        opened = [
            stack.enter_context(
                Installation.open(tmp_path, database=location if is_address(location) else None)
            )
            for _ in range(count)
        ]
        opened[0].store.write(lambda tx: manifests.apply(tx, MANIFEST, reason="the first version"), actor=LEE)
        yield [Server(each) for each in opened]


def test_a_lease_that_one_server_has_granted_keeps_a_pause_of_another_pausing(servers: list[Server]) -> None:
    point = servers[0].register("one")
    pulse = asyncio.run(servers[0].beat(point, 0))
    assert pulse.lease is not None
    assert pulse.lease.free
    paused = servers[-1].pause()
    [told] = servers[-1].status(paused).unconfirmed
    assert (paused.state, told.point) == (PauseState.PAUSING, point)
    assert 9 < (told.lease_left_s or 0) <= counted_s(servers[0], pulse.lease.for_s)
    again = asyncio.run(servers[0].beat(point, paused.hold.epoch))
    assert again.lease is not None
    assert again.lease.free == ()
    assert servers[-1].status(paused).state is PauseState.DRAINED


def test_many_that_wait_are_told_of_a_pause_at_once_and_confirm_together(servers: list[Server]) -> None:
    async def main() -> tuple[float, list[Pulse]]:
        waiting = [
            asyncio.create_task(servers[0].beat(servers[0].register(str(number)), 0, wait_s=15.0))
            for number in range(50)
        ]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await asyncio.to_thread(servers[-1].pause)
        told = await asyncio.gather(*waiting)
        return time.monotonic() - began, told

    took_s, told = asyncio.run(main())
    assert {(pulse.epoch, pulse.lease) for pulse in told} == {(1, None)}, (
        "what it may do it hears when it confirms"
    )
    assert took_s < 5, "not when the wait was over"


def test_a_guard_that_waits_is_told_of_no_lease_that_is_not_on_file(servers: list[Server]) -> None:
    server = servers[0]
    server.apply("read_lease: 2s")
    point = server.register("one")

    async def main() -> Pulse:
        waiting = asyncio.create_task(server.beat(point, 0, wait_s=15.0))
        await asyncio.to_thread(until, lambda: bool(server.live()))
        await asyncio.to_thread(server.apply, "read_lease: 60s")
        await asyncio.to_thread(server.pause)
        return await waiting

    told = asyncio.run(main())
    assert (told.epoch, told.lease) == (1, None)
    assert 0 < server.live()[point] <= counted_s(server, 2)


def test_what_is_on_file_is_not_shortened_by_an_answer_that_may_be_lost(servers: list[Server]) -> None:
    server = servers[0]
    server.apply("read_lease: 60s")
    point = server.register("one")
    asyncio.run(server.beat(point, 0))
    server.apply("read_lease: 2s")
    newer = asyncio.run(server.beat(point, 0))
    assert newer.lease is not None
    assert newer.lease.for_s == 2
    assert server.live()[point] > 50


@pytest.mark.parametrize("off_s", [-7 * 24 * 3600, 7 * 24 * 3600], ids=["a past", "a future"])
def test_a_server_that_starts_trusts_no_clock_that_may_be_another_one(
    location: str, tmp_path: Path, off_s: int
) -> None:
    database = location if is_address(location) else None
    with Installation.open(tmp_path, database=database) as before:
        before.store.write(lambda tx: manifests.apply(tx, MANIFEST, reason="the first version"), actor=LEE)
        server = Server(before)
        asyncio.run(server.beat(server.register("one"), 0))

        def elsewhere(tx: Tx) -> None:
            """Leave on file what a machine would whose clock says something else."""
            tx.execute(sa.update(heartbeat).values(lease_until_us=max(1, now_us(tx) + off_s * 1_000_000)))

        before.store.write(elsewhere)
    with Installation.open(tmp_path, database=database) as after:
        [left_s] = Server(after).live().values()
    # The clock of a shared database goes on while its servers start: it may have been set back, and what is over is over.
    longest_s = counted_s(server, LONGEST_LEASE.total_seconds())
    is_over = server.store.shared and off_s < 0
    assert left_s == 0 if is_over else longest_s - 30 < left_s <= longest_s


def test_guards_together_are_leased_no_more_than_the_day_has_left(servers: list[Server]) -> None:
    servers[0].apply("budget: {day_calls: 100}")
    leased = []

    async def main() -> None:
        for number in range(30):
            server = servers[number % len(servers)]
            pulse = await server.beat(server.register(str(number)), 0)
            assert pulse.lease is not None
            leased.append(pulse.lease.reads)

    asyncio.run(main())
    assert leased[0] == 100
    assert sum(leased) == 100


def test_guards_that_come_together_share_what_the_day_has_left(servers: list[Server]) -> None:
    servers[0].apply("budget: {day_calls: 100}")
    names = [servers[0].register(str(number)) for number in range(30)]

    async def all_beat() -> list[int]:
        pulses = await asyncio.gather(*(servers[0].beat(point, 0) for point in names))
        return [pulse.lease.reads for pulse in pulses if pulse.lease]

    for _ in range(3):
        assert asyncio.run(all_beat()) == [3] * 30


def test_nothing_to_say_is_said_when_the_wait_is_over(servers: list[Server]) -> None:
    point = servers[0].register("one")
    began = time.monotonic()
    assert asyncio.run(servers[0].beat(point, 0, wait_s=0.3)).epoch == 0
    assert time.monotonic() - began >= 0.3


def test_a_server_that_stops_lets_nobody_wait(servers: list[Server]) -> None:
    point = servers[0].register("one")

    async def main() -> None:
        waiting = asyncio.create_task(servers[0].beat(point, 0, wait_s=15.0))
        await asyncio.sleep(0.2)
        servers[0].closing.set()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())


def test_one_heartbeat_that_may_not_be_noted_takes_nothing_of_the_others(servers: list[Server]) -> None:
    good, gone = servers[0].register("good"), servers[0].register("gone")
    servers[0].store.write(partial(points.retire, point=gone, reason="gone"), actor=AGENT)

    async def main() -> list[Any]:
        beats = [servers[0].beat(good, 0), servers[0].beat(gone, 0), servers[0].beat(good, 7)]
        return await asyncio.gather(*beats, return_exceptions=True)

    pulse, refused, early = asyncio.run(main())
    assert isinstance(pulse, Pulse)
    assert (refused.status, early.status) == (404, 422)


def test_a_credential_that_was_revoked_is_given_no_lease(servers: list[Server]) -> None:
    point = servers[0].register("one")
    known = servers[0].credential.id
    servers[0].store.write(lambda tx: credentials.revoke(tx, credential=known, reason="lost"))
    with pytest.raises(Unauthenticated):
        asyncio.run(servers[0].beat(point, 0))
