"""Carrying out a recovery where the credentials are: in the process that can reach the systems."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stopwork.kernel.clock import boottime
from stopwork.kernel.ids import IdSource
from stopwork.sdk.desk import Desk
from stopwork.systems.base import System
from stopwork.systems.runner import Runner


class Recovers:
    """What a guard does of a recovery that people have approved and started; it decides nothing of it."""

    desk: Desk
    _ids: IdSource
    _systems: Mapping[str, System]

    def recover(self, workflow: str, *, within_s: float | None = None) -> int:
        """Carry out what is left of the workflow's running recoveries in the systems of this guard, and answer how many objects were looked at.

        What the server is connected to or another process is at is left to it, and whatever somebody changed since is left alone. No batch begins after
        ``within_s``. It may be interrupted and called again: what is done is seen to be done.
        """
        until = None if within_s is None else boottime() + within_s
        runner = Runner(self.desk, self._systems, runner=self._ids.new("runner"))
        return runner.run(workflow, until=until)

    async def arecover(self, workflow: str, *, within_s: float | None = None) -> int:
        """Carry out a recovery without blocking the event loop; otherwise as :meth:`recover`."""
        return await asyncio.to_thread(self.recover, workflow, within_s=within_s)
