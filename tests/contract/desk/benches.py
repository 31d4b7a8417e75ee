"""The control planes that the contract is run over, each with the few things people do to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from stopwork.ledger.records import Hold, Principal, Scope
from stopwork.ledger.words import HoldMode, PrincipalKind, ScopeKind
from stopwork.operations import approvals, holds
from stopwork.sdk.desk import Desk
from stopwork.sdk.embedded import LocalDesk
from tests.contract.desk.fake import FakeDesk

DANA = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
KIM = Principal(kind=PrincipalKind.PERSON, id="kim@acme.test")

MANIFEST = """
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
tools:
  crm.read: {effect: read}
  crm.update:
    effect: update
    object: {system: crm, type: account, id: args.id}
  crm.create:
    effect: create
    object: {system: crm, type: task, id: result.id}
  mail.send:
    effect: send
    gate: {approvers: [business]}
"""


class Bench(Protocol):
    """A control plane with people in front of it."""

    desk: Desk

    def pause(self) -> None: ...
    def lift(self) -> None: ...
    def answer(self, approval: str, *, approve: bool) -> None: ...


class FakeBench:
    def __init__(self) -> None:
        self.fake = FakeDesk(MANIFEST)
        self.desk: Desk = self.fake

    def pause(self) -> None:
        self.fake.hold(
            Hold(
                id="hold_0001",
                scope=Scope(kind=ScopeKind.WORKFLOW, name="renewals"),
                mode=HoldMode.BLOCK,
                reason="a test",
                set_by=LEE,
                set_at=datetime(2026, 3, 2, tzinfo=UTC),
                epoch=0,
            )
        )

    def lift(self) -> None:
        self.fake.lift()

    def answer(self, approval: str, *, approve: bool) -> None:
        self.fake.answer(approval, DANA.id, approve=approve)


class LocalBench:
    def __init__(self, desk: LocalDesk) -> None:
        self.desk: Desk = desk
        self.store = desk.installation.store
        self.hold = ""

    def pause(self) -> None:
        scope = Scope(kind=ScopeKind.WORKFLOW, name="renewals")
        done = self.store.write(lambda tx: holds.pause(tx, scope=scope, reason="a test"), actor=LEE)
        self.hold = done.hold.id

    def lift(self) -> None:
        self.store.write(lambda tx: holds.lift(tx, hold=self.hold, reason="over"), actor=KIM)

    def answer(self, approval: str, *, approve: bool) -> None:
        self.store.write(
            lambda tx: approvals.decide(tx, approval=approval, approve=approve, note="looked at it"),
            actor=DANA,
        )


@contextmanager
def in_memory(_folder: Path) -> Iterator[Bench]:
    yield FakeBench()


@contextmanager
def embedded(folder: Path) -> Iterator[Bench]:
    manifest = folder / "stopwork.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    desk = LocalDesk.open(folder / "data")
    try:
        desk.apply(manifest)
        yield LocalBench(desk)
    finally:
        desk.close()


BENCHES = {"in memory": in_memory, "embedded": embedded}
