"""A guard at a control plane in memory: what it does with one tool's call, and what was said about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from stopwork.control.steps import Patience
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Hold, Principal, Scope
from stopwork.ledger.words import HoldMode, Outcome, PrincipalKind, ScopeKind
from stopwork.sdk import Stopwork
from tests.contract.desk.fake import MANIFEST, START, FakeDesk
from tests.unit.sdk.worlds import World

LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
QUICK = Patience(first_retry_after_s=0.001, poll_s=0.001, ask_tries=2, record_tries=2)


class Bench:
    """A guard at an in-memory desk, a world, and one tool that changes it, called the sync or the async way."""

    def __init__(self, *, on_loop: bool, patience: Patience = QUICK, scans: bool = False) -> None:
        self.desk = FakeDesk(MANIFEST)
        self.world = World(scans=scans)
        self.guard = Stopwork.at(
            self.desk, systems={"crm": self.world}, patience=patience, ids=CountingIds(), name="test"
        )
        self.on_loop = on_loop
        self.ran = 0
        self.does: Callable[[], Any] = lambda: None

    def use(self, tool: str = "crm.update", **args: Any) -> Any:
        """Call the tool in a run of its own; the run's end is on record too."""
        return self._aused(tool, args) if self.on_loop else self._used(tool, args)

    def outcomes(self) -> list[Outcome | None]:
        return [call.outcome for call in self.desk.calls.values()]

    def sent(self) -> list[str]:
        return [name for name in self.desk.sent() if name not in ("StartRun", "FinishRun")]

    def _work(self, name: str) -> Any:
        self.ran += 1
        self.does()
        self.world.objects[name] = {"due": "June"}
        return {"id": name}

    def _used(self, tool: str, args: dict[str, Any]) -> Any:
        @self.guard.tool(tool)
        def work(id: str = "acme") -> Any:  # noqa: A002 - the manifest's word
            return self._work(id)

        with self.guard.run("renewals", trigger_id="2026-W10"):
            return work(**args)

    def _aused(self, tool: str, args: dict[str, Any]) -> Any:
        @self.guard.tool(tool)
        async def work(id: str = "acme") -> Any:  # noqa: A002 - the manifest's word
            await asyncio.sleep(0)
            return self._work(id)

        async def main() -> Any:
            async with self.guard.run("renewals", trigger_id="2026-W10"):
                return await work(**args)

        return asyncio.run(main())


def pause(bench: Bench, mode: HoldMode = HoldMode.BLOCK) -> None:
    bench.desk.hold(
        Hold(
            id="hold_0001",
            scope=Scope(kind=ScopeKind.WORKFLOW, name="renewals"),
            mode=mode,
            reason="wrong dates",
            set_by=LEE,
            set_at=START,
            epoch=0,
        )
    )


def raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail
