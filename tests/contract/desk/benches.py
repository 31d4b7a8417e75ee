"""The control planes that the contract is run over, each with the few things people do to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import uvicorn

from stopwork.control.protocol import Request
from stopwork.ledger.records import Approval, Hold, Principal, Scope
from stopwork.ledger.words import HoldMode, PrincipalKind, ScopeKind
from stopwork.operations import approvals, credentials, holds, manifests
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.sdk.desk import Desk
from stopwork.sdk.embedded import LocalDesk
from stopwork.sdk.http import AsyncHttpDesk, HttpDesk
from stopwork.server.app import create_app
from stopwork.storage.store import Store
from stopwork.worker.crew import Crew
from tests.contract.desk.fake import MANIFEST, FakeDesk

A = TypeVar("A")

DANA = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
KIM = Principal(kind=PrincipalKind.PERSON, id="kim@acme.test")


class Bench(Protocol):
    """A control plane with people in front of it."""

    desk: Desk

    def pause(self) -> None: ...
    def lift(self) -> None: ...
    def answer(self, approval: str, *, approve: bool) -> None: ...
    def edit(self, approval: str, args: dict[str, Any]) -> None: ...


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

    def edit(self, approval: str, args: dict[str, Any]) -> None:
        self.fake.edit(approval, DANA.id, args)


class OperatedBench:
    """A control plane with an installation in this process, whatever the way to it."""

    def __init__(self, desk: Desk, store: Store) -> None:
        self.desk: Desk = desk
        self.store = store
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

    def edit(self, approval: str, args: dict[str, Any]) -> None:
        shown = self.store.read(lambda view: view.need(Approval, approval)).digest
        self.store.write(
            lambda tx: approvals.approve_edited(
                tx, Manifests(), approval=approval, args=args, digest=shown, note="better so"
            ),
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
        yield OperatedBench(desk, desk.installation.store)
    finally:
        desk.close()


class OnLoop:
    """The desk for event loops, used one request at a time from a loop of its own."""

    def __init__(self, desk: AsyncHttpDesk) -> None:
        self._desk = desk
        self._loop = asyncio.new_event_loop()

    def send(self, request: Request[A]) -> A:
        return self._loop.run_until_complete(self._desk.send(request))

    def close(self) -> None:
        self._loop.run_until_complete(self._desk.aclose())
        self._loop.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str, Store]]:
    """A server on a free port: its address, a token of the workflow's agent, and its store."""
    with Installation.open(folder / "data") as installation, socket.socket() as listener:
        store = installation.store
        store.write(lambda tx: manifests.apply(tx, MANIFEST, reason="a test"))
        agent = Principal(kind=PrincipalKind.AGENT, id="renewals")
        issued = store.write(lambda tx: credentials.issue(tx, principal=agent))
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(Crew(installation)), log_level="error", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < deadline, "the server did not start in time"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", issued.secret, store
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def over_http(folder: Path) -> Iterator[Bench]:
    with served(folder) as (url, token, store):
        desk = HttpDesk(url, token)
        try:
            yield OperatedBench(desk, store)
        finally:
            desk.close()


@contextmanager
def over_http_on_a_loop(folder: Path) -> Iterator[Bench]:
    with served(folder) as (url, token, store):
        desk = OnLoop(AsyncHttpDesk(url, token))
        try:
            yield OperatedBench(desk, store)
        finally:
            desk.close()


BENCHES = {
    "in memory": in_memory,
    "embedded": embedded,
    "over HTTP": over_http,
    "over HTTP, on a loop": over_http_on_a_loop,
}
