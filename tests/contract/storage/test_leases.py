"""Contract of heartbeats on every database: a server that did not note one knows of the lease, and a pause on one is told to guards of all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.protocol import Heartbeat, Pulse
from stopwork.kernel.errors import Unauthenticated
from stopwork.ledger.records import Scope
from stopwork.ledger.words import ScopeKind
from stopwork.operations import credentials, holds, manifests, points
from stopwork.operations.holds import PauseState
from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import Given
from stopwork.server.pulses import Pulses
from stopwork.storage.store import is_address
from tests.support.office import AGENT, LEE, MANIFEST, WORKFLOW

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

    def pause(self) -> holds.Pause:
        return self.store.write(
            lambda tx: holds.pause(tx, scope=SCOPE, reason="a test"), actor=LEE, urgent=True
        )

    def status(self, paused: holds.Pause) -> holds.Pause:
        return self.store.read(lambda view: holds.status(view, paused.hold, now=self.store.clock.now()))


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
    assert 9 < (told.lease_left_s or 0) <= pulse.lease.for_s * points.CLOCKS_DRIFT
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
    assert {(pulse.epoch, pulse.lease and pulse.lease.free) for pulse in told} == {(1, ())}
    assert took_s < 5, "not when the wait was over"


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
