"""Contract: in any order of reads, heartbeats, lost answers, pauses and time a read on a lease is permitted and reported, or does not run."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stopwork.control import protocol as p
from stopwork.kernel.errors import StopworkError
from tests.unit.sdk.leased import LEASE_S, World, block


class Leases(RuleBasedStateMachine):
    """Any order of reads, heartbeats, lost answers, pauses and time: the tool runs on a valid lease or a permit, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.lost = ""
        self.granted_at = self.world.clock.now
        self.heard = 0
        self.expected = 0
        self.world.desk.broken = self._break

    def _break(self, request: p.Request[Any]) -> str:
        beat = isinstance(request, p.Heartbeat)
        if beat and self.lost != "before" and self.lost != "after":
            self.granted_at = self.world.clock.now
            self.heard = self.world.desk.epoch
        return self.lost

    @rule(lost=st.sampled_from(["", "", "before", "after"]))
    def network(self, lost: str) -> None:
        self.lost = lost

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, 10.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.now += seconds

    @rule()
    def beat(self) -> None:
        self.world.heart.beat()

    @rule(tool=st.sampled_from(["", "crm.read", "crm.update"]))
    def pause(self, tool: str) -> None:
        self.world.desk.hold(block(tool))

    @precondition(lambda self: self.world.desk.holds)
    @rule()
    def lift(self) -> None:
        self.world.desk.lift()

    @rule()
    def report(self) -> None:
        self.world.guard._reads.settle()  # type: ignore[union-attr]

    @rule()
    def read(self) -> None:
        asked, ran = self.world.asked(), len(self.world.ran)
        try:
            with self.world.run.here():
                self.world.read("x")
        except StopworkError:
            assert len(self.world.ran) == ran, "what was refused has not run"
            return
        if self.world.asked() > asked:
            return
        self.expected += 1
        assert self.world.clock.now < self.granted_at + LEASE_S, "a read without a lease"
        covered = [hold for hold in self.world.desk.holds if hold.scope.name != "crm.update"]
        assert all(hold.epoch > self.heard for hold in covered), "a read after its hold was heard of"
        assert all(epoch < hold.epoch for epoch in self.world.desk.points.values() for hold in covered), (
            "a read after its hold was confirmed"
        )

    @invariant()
    def nothing_is_forgotten(self) -> None:
        kept = self.world.guard._reads
        assert kept is not None
        reported = len(self.world.desk.reads)
        assert reported <= self.expected <= reported + len(kept._unreported)

    def teardown(self) -> None:
        self.world.close()
        assert len(self.world.desk.reads) == self.expected


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
