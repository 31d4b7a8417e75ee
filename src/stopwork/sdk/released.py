"""Drafts that people have released, in the hands of the process that carries them out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from stopwork.control.drafting import ClaimDrafts, ClaimedDraft
from stopwork.control.protocol import AskPermit
from stopwork.kernel.ids import IdSource
from stopwork.ledger.records import Record
from stopwork.sdk.carrying import Carrier, PendingCall
from stopwork.sdk.desk import AsyncDesk, Desk
from stopwork.sdk.heartbeat import Heartbeat
from stopwork.sdk.runs import GuardedRun
from stopwork.sdk.tools import Tools

Given = Mapping[str, Any]


class CarriedOut(Record):
    """What came of one released draft here: the tool's result, or what it or the guard raised."""

    draft: str
    tool: str
    result: Any = None
    error: Exception | None = None


class ReleasedCall:
    """A released draft that no other guard has for the next minute. It runs once, and only if every control still permits it."""

    def __init__(
        self,
        claimed: ClaimedDraft,
        carry: Callable[[Given], Any],
        acarry: Callable[[Given], Awaitable[Any]],
    ) -> None:
        self.draft = claimed.draft
        self.tool = claimed.tool
        self.args = claimed.args
        self._carry = carry
        self._acarry = acarry

    def __repr__(self) -> str:
        return f"ReleasedCall({self.draft!r}, tool={self.tool!r})"

    def run(self, **given: Any) -> Any:
        """Carry it out with the function that is guarded under its name; ``given`` are the parameters that it leaves out."""
        return self._carry(given)

    async def arun(self, **given: Any) -> Any:
        """Carry it out without blocking the event loop; otherwise as :meth:`run`."""
        return await self._acarry(given)

    def attempt(self, given: Given) -> CarriedOut:
        """Carry it out and answer what came of it; no exception leaves."""
        try:
            return self._done(self._carry(given))
        except Exception as error:  # noqa: BLE001 - one draft that fails keeps nobody from the others
            return CarriedOut(draft=self.draft, tool=self.tool, error=error)

    async def aattempt(self, given: Given) -> CarriedOut:
        """Carry it out without blocking the event loop; otherwise as :meth:`attempt`."""
        try:
            return self._done(await self._acarry(given))
        except Exception as error:  # noqa: BLE001 - one draft that fails keeps nobody from the others
            return CarriedOut(draft=self.draft, tool=self.tool, error=error)

    def _done(self, result: Any) -> CarriedOut:
        return CarriedOut(draft=self.draft, tool=self.tool, result=result)


class CarriesOutDrafts:
    """The part of a guard that carries out the drafts that people have released."""

    desk: Desk
    _adesk: AsyncDesk
    _ids: IdSource
    _heartbeat: Heartbeat
    _tools: Tools
    _carrier: Carrier

    def released(self, workflow: str, *, limit: int = 10) -> Iterator[ReleasedCall]:
        """Answer drafts that people have released, one at a time, of the tools that are guarded here.

        Each is this guard's alone from when it is answered. What is not run within a minute another guard may take.
        """
        for _ in range(limit):
            claim = self._claim_draft(workflow)
            if not (claimed := self.desk.send(claim).drafts):
                return
            yield self._released(claimed[0], claim.session)

    async def areleased(self, workflow: str, *, limit: int = 10) -> AsyncIterator[ReleasedCall]:
        """Answer released drafts without blocking the event loop; otherwise as :meth:`released`."""
        for _ in range(limit):
            claim = self._claim_draft(workflow)
            if not (claimed := (await self._adesk.send(claim)).drafts):
                return
            yield self._released(claimed[0], claim.session)

    def run_released(
        self, workflow: str, *, limit: int = 10, given: Mapping[str, Any] | None = None
    ) -> list[CarriedOut]:
        """Carry out what people have released, at most ``limit`` of it, and answer what came of each."""
        return [each.attempt(given or {}) for each in self.released(workflow, limit=limit)]

    async def arun_released(
        self, workflow: str, *, limit: int = 10, given: Mapping[str, Any] | None = None
    ) -> list[CarriedOut]:
        """Carry out released drafts without blocking the event loop; otherwise as :meth:`run_released`."""
        return [await each.aattempt(given or {}) async for each in self.areleased(workflow, limit=limit)]

    def _claim_draft(self, workflow: str) -> ClaimDrafts:
        self._heartbeat.watch(workflow)
        return ClaimDrafts(
            workflow=workflow,
            session=self._ids.new("session"),
            point=self._heartbeat.point_of(workflow),
            tools=self._tools.names,
            limit=1,
        )

    def _released(self, claimed: ClaimedDraft, session: str) -> ReleasedCall:
        def pending(given: Mapping[str, Any]) -> PendingCall:
            tool = self._tools.need(claimed.tool)
            run = GuardedRun.rejoined(self.desk, self._adesk, claimed.run, self._heartbeat.watch)
            request = AskPermit(
                call=claimed.call,
                run=run.id,
                tool=claimed.tool,
                args=claimed.args,
                source=claimed.source,
                session=session,
                draft=claimed.draft,
            )
            return PendingCall(request, run, tool.restore(claimed.args, given), tool.author)

        return ReleasedCall(
            claimed,
            lambda given: self._carrier.carry(pending(given)),
            lambda given: self._carrier.acarry(pending(given)),
        )
