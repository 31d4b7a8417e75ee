"""A guard with a lease for reads, at the contract's fake control plane, with a clock that is moved by hand and answers that get lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from stopwork import Stopwork
from stopwork.control.steps import Patience
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.records import Hold, Principal, Scope
from stopwork.ledger.words import HoldMode, PrincipalKind, ScopeKind
from stopwork.sdk.runs import GuardedRun
from tests.contract.desk.fake import MANIFEST, FakeDesk
from tests.unit.sdk.test_heartbeat import Seconds, until

LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
LEASE_S = 10.0
HASTY = Patience(ask_tries=1, record_tries=1)


def block(tool: str = "") -> Hold:
    kind, name = (ScopeKind.TOOL, tool) if tool else (ScopeKind.WORKFLOW, "renewals")
    return Hold(
        id="hold_1",
        scope=Scope(kind=kind, name=name),
        mode=HoldMode.BLOCK,
        reason="a test",
        set_by=LEE,
        set_at=datetime(2026, 3, 2, tzinfo=UTC),
        epoch=0,
    )


class World:
    """A guard with a lease, whose heart beats when it is told to, and whose reads are reported when they are told to be."""

    def __init__(self, manifest: str = MANIFEST) -> None:
        self.desk = FakeDesk(manifest)
        self.clock = Seconds()
        self.guard = Stopwork.at(
            self.desk, patience=HASTY, ids=CountingIds(), read_lease=True, clock=self.clock
        )
        self.heart = self.guard._heartbeat
        self.heart._interval_s = 3600.0
        self.ran: list[str] = []
        self.read = self.guard.tool("crm.read")(self._read)
        self.run: GuardedRun = self.guard.run("renewals").begin()
        until(lambda: self.heart.health().well)

    def _read(self, id: str) -> dict[str, str]:  # noqa: A002
        self.ran.append(id)
        return {"id": id}

    def asked(self) -> int:
        """Answer how many permits were asked for."""
        return self.desk.sent().count("AskPermit")

    def close(self) -> None:
        self.desk.broken = lambda _request: ""
        self.guard.close()


@contextmanager
def running(world: World) -> Iterator[None]:
    """A read that began on the lease, and that goes on for as long as the block."""
    begun, go_on = threading.Event(), threading.Event()

    @world.guard.tool("crm.read")
    def slow(id: str) -> str:  # noqa: A002
        begun.set()
        assert go_on.wait(5)
        return id

    def reader() -> None:
        with world.run.here():
            slow("slow")

    thread = threading.Thread(target=reader)
    thread.start()
    assert begun.wait(5)
    try:
        yield
    finally:
        go_on.set()
        thread.join()
