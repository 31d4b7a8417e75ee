"""Reports as they reach a server: taken many at a time, so that a flood of them keeps no permit waiting.

Whoever sends one is answered after it is durable. What comes in while a transaction is made durable goes into the next one together; when
more waits than a bound, senders are told to come again.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from stopwork.kernel.errors import Unavailable
from stopwork.ledger.records import Credential, Principal
from stopwork.operations import credentials, reporting
from stopwork.operations.installation import Installation
from stopwork.operations.intake_file import Ways
from stopwork.operations.reporting import Received, Report
from stopwork.server.waiting import written
from stopwork.storage.transaction import Tx

#: How many reports go into one transaction, and how many may wait for one.
AT_ONCE: Final = 500
MOST_WAITING: Final = 10_000
#: Between two transactions while there is more: the fewer there are, the less they cost everybody else.
REST_S: Final = 0.02


class _Waiting(NamedTuple):
    said: Sequence[Report]
    actor: Principal
    credential: str | None
    answered: asyncio.Future[list[Received]]


class Intake:
    """Takes the reports that reach one server. Everything here happens on its event loop."""

    def __init__(self, installation: Installation) -> None:
        #: How other tools come in, as the operator has set it up.
        self.ways = Ways()
        self._installation = weakref.proxy(installation)
        self._waiting: list[_Waiting] = []
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def take(
        self, said: Sequence[Report], actor: Principal, credential: Credential | None
    ) -> list[Received]:
        """Answer what became of these reports; ``Unavailable`` when too many wait, and then none of them is taken."""
        if self._count + len(said) > MOST_WAITING:
            raise Unavailable(
                f"{self._count} reports are waiting to be taken",
                hint="Send it again in a second; the same delivery is taken once.",
            )
        answered: asyncio.Future[list[Received]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(said, actor, credential.id if credential else None, answered))
        self._count += len(said)
        if self._task is None:
            self._task = asyncio.create_task(self._take_on())
        return await answered

    async def _take_on(self) -> None:
        try:
            while some := self._next():
                await self._take(some)
                if self._waiting:
                    await asyncio.sleep(REST_S)
        finally:
            self._task = None

    def _next(self) -> list[_Waiting]:
        """Answer those who go into one transaction: it has one actor, whose credential is confirmed in it."""
        if not self._waiting:
            return []
        first, some, taken = self._waiting[0], list[_Waiting](), 0
        for each in self._waiting:
            same = (each.actor, each.credential) == (first.actor, first.credential)
            if not same or (some and taken + len(each.said) > AT_ONCE):
                break
            some.append(each)
            taken += len(each.said)
        del self._waiting[: len(some)]
        self._count -= taken
        return [each for each in some if not each.answered.done()]

    async def _take(self, some: list[_Waiting]) -> None:
        try:
            every = await self._written(some)
        except Exception as error:  # noqa: BLE001 - each of those who sent something is told
            if len(some) > 1:  # one that cannot be taken keeps no other from it
                for each in some:
                    await self._take([each])
            elif not some[0].answered.done():
                some[0].answered.set_exception(error)
            return
        for each in some:
            answers, every = every[: len(each.said)], every[len(each.said) :]
            if not each.answered.done():
                each.answered.set_result(answers)

    async def _written(self, some: list[_Waiting]) -> list[Received]:
        said = [report for each in some for report in each.said]
        credential = some[0].credential

        def work(tx: Tx) -> list[Received]:
            if credential is not None:
                credentials.confirm(tx, credential)
            return reporting.report_all(tx, self._installation.manifests, said)

        return list(
            await written(self._installation.store, work, actor=some[0].actor, urgent=False) if some else []
        )


_INTAKES: Final[WeakKeyDictionary[Installation, Intake]] = WeakKeyDictionary()


def intake_of(installation: Installation) -> Intake:
    """Answer the one intake of an installation that is served."""
    found = _INTAKES.get(installation)
    if found is None:
        found = _INTAKES[installation] = Intake(installation)
    return found
