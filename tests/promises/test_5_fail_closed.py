"""Promise: where the guard cannot know that a call may run, a write does not run: no server, a server that talks nonsense, an expression
that fails, a tool nobody declared, an object that cannot be read first.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stopwork.control.steps import Patience
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Call, Effect, Image, ObjectRef, Run
from stopwork.ledger.words import Outcome, ReasonKind, RunStatus, Verdict
from stopwork.sdk import CallDenied, Stopwork
from stopwork.sdk.embedded import LocalDesk
from stopwork.sdk.http import HttpDesk
from tests.support.office import MANIFEST, WORKFLOW, Crm, Office

IMPATIENT = Patience(first_retry_after_s=0.001)


class World:
    """What the agent's tool would change."""

    def __init__(self) -> None:
        self.changes = 0

    def change(self, **_args: Any) -> dict[str, str]:
        self.changes += 1
        return {"id": "task-1"}


# --- decided on the server -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "args", "kind"),
    [
        ("crm.no_such_tool", {}, ReasonKind.REGISTRATION),
        ("crm.set_discount", {"percent": "0"}, ReasonKind.CONDITION),
        ("crm.set_discount", {"percent": "much"}, ReasonKind.CONDITION),
        ("crm.set_discount", {}, ReasonKind.CONDITION),
        ("crm.update_account", {"renewal": "2025-01-01"}, ReasonKind.IDEMPOTENCY),
    ],
)
def test_what_cannot_be_decided_is_denied(
    tmp_path: Path, tool: str, args: dict[str, Any], kind: ReasonKind
) -> None:
    with Office(tmp_path) as office:
        permit = office.ask(office.begin(), tool, **args)
        assert permit.verdict is Verdict.DENY
        denied = [reason for reason in permit.reasons if reason.verdict is Verdict.DENY]
        assert kind in {reason.kind for reason in denied}
        assert all(reason.text for reason in denied)


def test_the_reason_shows_the_expression(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        permit = office.ask(office.begin(), "crm.set_discount", percent="0")
        assert "100 / int(args.percent) > 50" in permit.reasons[0].text


# --- the guard and a server that is not there or lies ------------------------------------------------------


def dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def lying(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """Run a server that begins runs properly and answers everything else as it likes."""

    class Liar(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, body = (200, TICKET) if self.path == "/v1/runs" else answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


TICKET = json.dumps(
    {
        "run": "run_1",
        "workflow": WORKFLOW,
        "version": 1,
        "mode": "enforce",
        "stage": "normal",
        "tools": {"crm.create_task": {"effect": "create", "risk": "low"}},
    }
).encode()
ALLOW = {"call": "call_1", "verdict": "allow", "would": "allow", "reasons": [], "args": {}, "epoch": 1}


def says(body: Any, status: int = 200) -> Callable[[str], tuple[int, bytes]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda path: (status, content) if path == "/v1/permits" else (200, b"{}")


LIES = {
    "not JSON": says(b"<html>Sign in to the hotel's network</html>"),
    "nothing": says(b""),
    "half of an answer": says(json.dumps(ALLOW).encode()[:-10]),
    "an unknown verdict": says(ALLOW | {"verdict": "yes"}),
    "no verdict": says({"call": "call_1"}),
    "a list": says([ALLOW]),
    "an error": says({"detail": "out of order"}, 500),
    "a redirect": says(b"", 302),
    "other arguments than the tool has": says(ALLOW | {"args": {"title": "ok", "evil": True}}),
    "arguments that are no arguments": says(ALLOW | {"args": "rm -rf"}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_talks_nonsense_permits_nothing(lie: str) -> None:
    world = World()
    with lying(LIES[lie]) as url:
        guard = Stopwork.at(HttpDesk(url, "token", timeout_s=5), patience=IMPATIENT)

        @guard.tool("crm.create_task")
        def create_task(title: str) -> dict[str, str]:
            return world.change(title=title)

        with pytest.raises(StopworkError), guard.run(WORKFLOW):
            create_task("call acme")
        guard.close()
    assert world.changes == 0


def test_an_attempt_that_cannot_be_recorded_permits_nothing() -> None:
    """The permit came, and then the server broke: without the intent on record nothing may run."""
    world = World()

    def answer(path: str) -> tuple[int, bytes]:
        return (200, json.dumps(ALLOW).encode()) if path == "/v1/permits" else (500, b"{}")

    with lying(answer) as url:
        guard = Stopwork.at(HttpDesk(url, "token", timeout_s=5), patience=IMPATIENT)
        with pytest.raises(StopworkError), guard.run(WORKFLOW):
            guard.call("crm.create_task", world.change, {})
        guard.close()
    assert world.changes == 0


def test_without_a_server_not_even_a_run_begins() -> None:
    world = World()
    guard = Stopwork.at(HttpDesk(f"http://127.0.0.1:{dead_port()}", "token", timeout_s=1), patience=IMPATIENT)
    with pytest.raises(StopworkError) as caught, guard.run(WORKFLOW):
        guard.call("crm.create_task", world.change, {"title": "call acme"})
    guard.close()
    assert caught.value.hint
    assert world.changes == 0


def test_a_server_that_dies_between_two_calls_stops_the_second() -> None:
    world = World()
    permit = says(ALLOW | {"args": {"title": "call acme"}})
    with lying(permit) as url:
        guard = Stopwork.at(HttpDesk(url, "token", timeout_s=1), patience=IMPATIENT)
        run = guard.run(WORKFLOW).begin()
        guard.call("crm.create_task", world.change, {"title": "call acme"}, run=run)
        assert world.changes == 1
    with pytest.raises(StopworkError):
        guard.call("crm.create_task", world.change, {"title": "call acme"}, run=run)
    guard.close()
    assert world.changes == 1


# --- the guard and systems that fail -------------------------------------------------------------------


@contextmanager
def guarded(folder: Path, crm: Crm, manifest: str = MANIFEST) -> Iterator[Stopwork]:
    path = folder / "stopwork.yaml"
    path.write_text(manifest)
    with Stopwork.embedded(folder / "data", manifest=path, systems={"crm": crm}) as guard:
        yield guard


def broken(_ref: ObjectRef) -> None:
    raise RuntimeError("the CRM is on fire")


def test_an_object_that_cannot_be_read_first_is_not_changed(tmp_path: Path) -> None:
    crm, world = Crm(), World()
    crm.before_read = broken
    with guarded(tmp_path, crm) as guard:
        run = guard.run(WORKFLOW, trigger="schedule").begin()
        with pytest.raises(StopworkError, match="on fire"):
            guard.call(
                "crm.update_account", world.change, {"account_id": "acme", "renewal": "2025-01-01"}, run=run
            )
        run.finish(RunStatus.FAILED)
        assert world.changes == 0


def test_an_object_that_cannot_be_read_afterwards_is_told_as_unknown(tmp_path: Path) -> None:
    crm = Crm()

    def change(**args: Any) -> Any:
        crm.before_read = broken
        return crm.run("crm.update_account", args)

    with guarded(tmp_path, crm) as guard:
        with guard.run(WORKFLOW, trigger="schedule"):
            guard.call("crm.update_account", change, {"account_id": "acme", "renewal": "2025-01-01"})
        assert isinstance(guard.desk, LocalDesk)
        store = guard.desk.installation.store
        (call,) = store.read(lambda view: list(view.each(Call)))
        (effect,) = store.read(lambda view: list(view.each(Effect)))
        (run,) = store.read(lambda view: list(view.each(Run)))
    assert (call.outcome, run.status) == (Outcome.SUCCEEDED, RunStatus.SUCCEEDED)
    assert effect.before == Image.present({"renewal": "2026-06-01", "owner": "lee"})
    assert "on fire" in effect.after.note


def test_while_observing_nothing_is_blocked_and_what_would_have_been_is_on_record(tmp_path: Path) -> None:
    observing = MANIFEST.replace("title: Weekly", "mode: observe\ntitle: Weekly")
    with Office(tmp_path, manifest=observing) as office:
        permit = office.ask(office.begin(), "crm.set_discount", percent="0")
        assert (permit.verdict, permit.would) == (Verdict.ALLOW, Verdict.DENY)
        assert office.call(permit.call).would is Verdict.DENY


def test_a_denial_is_an_error_that_says_why(tmp_path: Path) -> None:
    world = World()
    with (
        guarded(tmp_path, Crm()) as guard,
        pytest.raises(CallDenied, match="is not declared"),
        guard.run(WORKFLOW),
    ):
        guard.call("crm.no_such_tool", world.change, {})
    assert world.changes == 0
