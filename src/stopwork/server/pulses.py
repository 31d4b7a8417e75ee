"""Heartbeats of enforcement points: noted many at a time, and held until there is something to say.

A thousand guards that each wait in one open request hear of a pause within the time that it takes to answer them, and cost the database
one transaction for all that came while the one before was made durable. Whether the control epoch has moved is looked up after a
commit, at most every few milliseconds, however much is committed.

What a guard may decide by itself is always noted before it is told. So a heartbeat that was held brings a new epoch and nothing else: the
guard confirms it, and is given its next lease with that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple

from starlette.concurrency import run_in_threadpool

from stopwork.control.protocol import Heartbeat, Pulse
from stopwork.kernel.errors import Internal, StopworkError, Unavailable
from stopwork.ledger.records import Credential, Principal
from stopwork.operations import credentials, points
from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import Given
from stopwork.server.waiting import written
from stopwork.storage.store import SYSTEM
from stopwork.storage.transaction import Tx

#: How many heartbeats are noted in one transaction, and how many may be held; beyond that they are answered at once.
MAX_NOTED: Final = 500
MAX_HELD: Final = 3_000
#: How often the epoch is looked up at the most.
LOOK_EVERY_S: Final = 0.02


class _Asked(NamedTuple):
    heartbeat: Heartbeat
    actor: Principal
    credential: Credential
    answered: asyncio.Future[Pulse]


class Pulses:
    """Answers the heartbeats that reach one server. Everything here happens on its event loop, but for what says so."""

    def __init__(self, installation: Installation, closing: asyncio.Event) -> None:
        self._installation = installation
        self._closing = closing
        self._asked: list[_Asked] = []
        self._noting = False
        self._held: dict[asyncio.Future[Pulse | None], int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look_due = False
        self._looked_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, given: Given, credential: Credential | None) -> Pulse:
        """Note one heartbeat, wait as long as it wants to for a new epoch, and answer the newest."""
        if credential is None:
            raise Internal("a heartbeat came without a credential", hint="Please report this.")
        body = given.body
        asked = Heartbeat(point=given.path["point"], epoch=body.epoch, wait_s=body.wait_s, lease=body.lease)
        pulse = await self._noted(asked, given.actor, credential)
        if not asked.wait_s or pulse.epoch != asked.epoch or len(self._held) >= MAX_HELD:
            return pulse
        return await self._moved(pulse.epoch, asked.wait_s) or pulse

    # noting

    async def _noted(self, asked: Heartbeat, actor: Principal, credential: Credential) -> Pulse:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Pulse] = loop.create_future()
        self._asked.append(_Asked(asked, actor, credential, answered))
        if not self._noting:
            self._noting = True
            self._begin(self._note_on())
        return await answered

    async def _note_on(self) -> None:
        """Note what was asked, until nothing is left: what comes meanwhile waits for the next transaction."""
        try:
            while self._asked:
                some, self._asked = self._asked[:MAX_NOTED], self._asked[MAX_NOTED:]
                await self._note([each for each in some if not each.answered.done()])
        finally:
            self._noting = False

    async def _note(self, some: list[_Asked]) -> None:
        try:
            answers = await written(
                self._installation.store,
                lambda tx: _note(tx, self._installation, some),
                actor=SYSTEM,
                urgent=False,
            )
        except Exception as error:  # noqa: BLE001 - each of those who asked is told
            answers = [error] * len(some)
        for each, answer in zip(some, answers, strict=True):
            if each.answered.done():
                continue
            if isinstance(answer, Exception):
                each.answered.set_exception(answer)
            else:
                each.answered.set_result(answer)

    # holding

    async def _moved(self, epoch: int, wait_s: float) -> Pulse | None:
        """Wait for an epoch after this one; ``None`` when none has come in time, or the server stops."""
        loop = self._follow()
        if self._closing.is_set():
            return None
        told: asyncio.Future[Pulse | None] = loop.create_future()
        self._held[told] = epoch
        late = loop.call_later(wait_s, _tell, told, None)
        self._heard(0)  # the epoch may have moved between the note and now
        try:
            return await told
        finally:
            late.cancel()
            del self._held[told]

    def _follow(self) -> asyncio.AbstractEventLoop:
        """Hear of every commit from now on, until the server stops."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._begin(self._follow_on())
        return self._loop

    async def _follow_on(self) -> None:
        with self._installation.store.listening(self._heard):
            await self._closing.wait()
        for told in tuple(self._held):
            _tell(told, None)

    def _heard(self, _seq: int) -> None:
        """Have the epoch looked up soon; called by whichever thread has committed something."""
        if self._look_due or not self._held or self._loop is None:
            return
        self._look_due = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._look_soon)

    def _look_soon(self) -> None:
        if self._loop is not None:
            wait_s = max(0.0, self._looked_at + LOOK_EVERY_S - self._loop.time())
            self._loop.call_later(wait_s, lambda: self._begin(self._look()))

    async def _look(self) -> None:
        # Before the look: a commit from here on is seen by it, or has another one made.
        self._look_due = False
        self._looked_at = asyncio.get_running_loop().time()
        if not self._held:
            return
        with contextlib.suppress(Unavailable):  # nobody is told then; they come by themselves
            newest = await run_in_threadpool(self._installation.store.read, points.current_epoch)
            for told, epoch in tuple(self._held.items()):
                if epoch < newest:
                    _tell(told, Pulse(epoch=newest))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _note(tx: Tx, installation: Installation, some: list[_Asked]) -> list[Pulse | StopworkError]:
    """Note heartbeats; one that may not be noted takes nothing of the others with it."""
    newest = points.current_epoch(tx)
    found: list[points.Beat | StopworkError] = []
    for each in some:
        try:
            credentials.confirm(tx, each.credential.id)
            found.append(points.beat_of(tx, each.heartbeat, newest, actor=each.actor))
        except StopworkError as error:
            found.append(error)
    beats = [each for each in found if isinstance(each, points.Beat)]
    pulses = iter(points.note(tx, installation.manifests, beats))
    return [next(pulses) if isinstance(each, points.Beat) else each for each in found]


def _tell(told: asyncio.Future[Pulse | None], pulse: Pulse | None) -> None:
    if not told.done():
        told.set_result(pulse)
