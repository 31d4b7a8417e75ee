"""Drafts that people have released, in the hands of the process that carries them out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stopwork.control.protocol import ClaimedDraft
from stopwork.ledger.records import Record

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
