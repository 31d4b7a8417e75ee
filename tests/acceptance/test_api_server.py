"""Contract: a server starts or says why not, and when it stops every request was either answered, and is kept, or refused."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stopwork.cli.exits import Exit
from stopwork.kernel.errors import Invalid, Unavailable
from stopwork.server.main import GRACE_S, prepared
from tests.acceptance.office import OWNER, WORKFLOW, Office

START_WITHIN_S = 30


def refused(office: Office, *arguments: str) -> dict[str, Any]:
    """Start a server that cannot start; answer what it says, and its exit code."""
    ended = office.command("up", "--port", "0", *arguments, "--json")
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    problem: dict[str, Any] = json.loads(ended.stderr)
    assert problem["hint"]
    return problem | {"exit": ended.returncode}


# --- starting ------------------------------------------------------------------------------------


def test_a_port_that_is_taken(office: Office) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        said = refused(office, "--data", str(office.data), "--port", port)
    assert said["exit"] == Exit.REFUSED
    assert port in said["detail"]
    assert "--port" in said["hint"]


def test_a_second_server_on_the_same_folder(office: Office) -> None:
    with office.server() as first:
        said = refused(office, "--data", str(office.data))
        assert said["exit"] == Exit.REFUSED
        assert str(first["pid"]) in said["detail"] + said["hint"]
        assert httpx.get(f"{first['url']}/v1/health", trust_env=False).json()["ok"], "the first one goes on"


def test_a_folder_that_cannot_be_made(office: Office) -> None:
    (office.folder / "file").write_text("in the way", encoding="utf-8")
    data = office.folder / "file" / "below"
    said = refused(office, "--data", str(data))
    assert said["exit"] == Exit.UNAVAILABLE
    assert str(data) in said["detail"]
    assert "write" in said["hint"]


def test_a_database_that_is_none(office: Office) -> None:
    office.data.mkdir()
    (office.data / "stopwork.db").write_bytes(b"something else " * 100)
    said = refused(office, "--data", str(office.data))
    assert said["exit"] in (Exit.UNAVAILABLE, Exit.TAMPERED)
    assert (office.data / "stopwork.db").read_bytes() == b"something else " * 100


@pytest.mark.parametrize(
    "options",
    [
        {"host": "256.1.1.1"},
        {"host": "192.0.2.1"},
        {"host": ""},
        {"port": 70_000},
        {"public_url": "stopwork.example"},
        {"public_url": "ftp://stopwork.example"},
        {"public_url": "javascript:alert(1)"},
    ],
)
def test_an_address_that_cannot_be_used(tmp_path: Path, options: dict[str, Any]) -> None:
    with (
        pytest.raises((Invalid, Unavailable)) as refusal,
        prepared(tmp_path / "data", **{"port": 0} | options),
    ):
        pass
    assert refusal.value.hint
    assert not (tmp_path / "data").exists()


# --- stopping ------------------------------------------------------------------------------------


class Server:
    """A ``stopwork up`` that a test stops itself."""

    def __init__(self, office: Office) -> None:
        command = [sys.executable, "-m", "stopwork.cli.main", "up", "--json", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data", str(office.data)],
            env=office.environment(),
            cwd=office.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            said += self.process.stdout.readline()
        self.facts = json.loads(said)
        self.url = str(self.facts["url"])

    def stop(self) -> tuple[float, str]:
        """Tell it to stop as an init system does; answer how long it took, and what it said."""
        begun = time.monotonic()
        self.process.terminate()
        _, said = self.process.communicate(timeout=START_WITHIN_S)
        assert self.process.returncode == 0, said
        return time.monotonic() - begun, said


@pytest.fixture
def server(office: Office) -> Iterator[Server]:
    started = Server(office)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.communicate()


@pytest.fixture
def person(server: Server) -> Iterator[httpx.Client]:
    """Whoever has spent the link that the server printed."""
    secret = server.facts["sign_in"].rsplit("/", 1)[1]
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        session = client.post("/v1/sessions", json={"secret": secret}).json()["secret"]
        client.headers["authorization"] = f"Bearer {session}"
        yield client


def test_what_was_answered_before_a_stop_is_kept_and_the_rest_was_refused(
    office: Office, server: Server, person: httpx.Client
) -> None:
    manifest = {"text": office.manifest.read_text("utf-8"), "reason": "the first version"}
    assert person.post("/v1/manifests", json=manifest).is_success
    token = person.headers["authorization"]
    answered: list[str] = []
    unanswered: list[str] = []
    refusals: list[int] = []
    ready = threading.Semaphore(0)

    def write(writer: int) -> None:
        with httpx.Client(base_url=server.url, headers={"authorization": token}, trust_env=False) as client:
            for number in range(100_000):
                name = f"r-{writer}-{number}"
                run = {"run": name, "workflow": WORKFLOW, "trigger": "inbox", "trigger_id": name}
                try:
                    answer = client.post("/v1/runs", json=run)
                except httpx.HTTPError:
                    unanswered.append(name)
                    return
                if not answer.is_success:
                    refusals.append(answer.status_code)
                    return
                answered.append(name)
                ready.release()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(40):
        assert ready.acquire(timeout=START_WITHIN_S)
    server.stop()
    for writer in writers:
        writer.join(START_WITHIN_S)
    assert set(refusals) <= {503}
    assert len(unanswered) + len(refusals) == len(writers)
    kept = runs_in_the_journal(office, token)
    assert set(answered) <= kept, "what was answered is durable"
    assert kept <= set(answered) | set(unanswered), "what was refused left nothing"
    checked = office.command("db", "fsck", "--data", str(office.data))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def runs_in_the_journal(office: Office, token: str) -> set[str]:
    found: set[str] = set()
    with (
        office.server() as again,
        httpx.Client(base_url=again["url"], headers={"authorization": token}, trust_env=False) as client,
    ):
        after = 0
        while lines := client.get("/v1/journal", params={"after": after, "limit": 1000}).json():
            after = lines[-1]["seq"]
            found |= {line["event"]["run"] for line in lines if line["kind"] == "run.started"}
    return found


def test_listeners_do_not_keep_a_server_from_stopping(server: Server, person: httpx.Client) -> None:
    with person.stream("GET", "/v1/stream") as answer:
        assert next(answer.iter_lines()) == ": listening"
        took_s, said = server.stop()
    assert took_s < GRACE_S - 1
    assert "Traceback" not in said


def test_no_secret_stands_in_what_a_server_says(server: Server, person: httpx.Client) -> None:
    made = person.post("/v1/tokens", json={"kind": "person", "id": OWNER}).json()["secret"]
    for headers in ({"authorization": f"Bearer {made}x"}, {"cookie": f"stopwork_session={made}"}, {}):
        httpx.get(f"{server.url}/v1/me", headers=headers, trust_env=False)
    httpx.get(f"{server.url}/sign-in/{made}", trust_env=False)
    httpx.post(f"{server.url}/sign-in", data={"token": made}, trust_env=False)
    httpx.post(f"{server.url}/v1/sessions", content=b"{", trust_env=False)
    _, said = server.stop()
    assert made not in said
    assert said == ""
