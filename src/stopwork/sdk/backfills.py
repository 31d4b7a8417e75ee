"""Orders to make up for missed runs, in the hands of the process that carries them out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from stopwork.control.backfilling import BACKFILL, ClaimBackfills, ClaimedBackfill
from stopwork.kernel.ids import IdSource
from stopwork.sdk.desk import AsyncDesk, Desk
from stopwork.sdk.runs import GuardedRun

if TYPE_CHECKING:
    from stopwork.sdk.heartbeat import Heartbeat


class OrderedBackfill:
    """A missed run that a person has ordered to be made up for. Nobody else has it for the next minute, in which its run has to begin.

    ``occasion`` is what was missed, ``due`` when that was, where a schedule says so, ``reason`` what the person said.
    """

    def __init__(self, claimed: ClaimedBackfill, begin: Callable[[], GuardedRun]) -> None:
        self.id = claimed.backfill
        self.occasion = claimed.occasion
        self.due: datetime | None = claimed.due
        self.reason = claimed.reason
        self._begin = begin

    def __repr__(self) -> str:
        return f"OrderedBackfill({self.id!r}, occasion={self.occasion!r})"

    def run(self) -> GuardedRun:
        """Answer the run that makes up for it, to be entered with ``with`` or ``async with``: what was done already is replayed."""
        return self._begin()


class MakesUp:
    """The part of a guard that takes up orders to make up for missed runs."""

    desk: Desk
    run: Callable[..., GuardedRun]
    _adesk: AsyncDesk
    _ids: IdSource
    _heartbeat: Heartbeat

    def backfills(self, workflow: str, *, limit: int = 10) -> Iterator[OrderedBackfill]:
        """Answer the missed runs that people have ordered to be made up for: ``for each in …: with each.run(): work()``."""
        for _ in range(limit):
            if not (claimed := self.desk.send(self._claim_backfill(workflow)).backfills):
                return
            yield self._ordered(workflow, claimed[0])

    async def abackfills(self, workflow: str, *, limit: int = 10) -> AsyncIterator[OrderedBackfill]:
        """Answer ordered backfills without blocking the event loop; otherwise as :meth:`backfills`."""
        for _ in range(limit):
            if not (claimed := (await self._adesk.send(self._claim_backfill(workflow))).backfills):
                return
            yield self._ordered(workflow, claimed[0])

    def _claim_backfill(self, workflow: str) -> ClaimBackfills:
        self._heartbeat.watch(workflow)
        return ClaimBackfills(workflow=workflow, session=self._ids.new("session"))

    def _ordered(self, workflow: str, claimed: ClaimedBackfill) -> OrderedBackfill:
        def begin() -> GuardedRun:
            return self.run(workflow, trigger=BACKFILL, trigger_id=claimed.trigger_id, run=claimed.run)

        return OrderedBackfill(claimed, begin)
