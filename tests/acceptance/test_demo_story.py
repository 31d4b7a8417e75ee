"""`stopwork demo` tells its story with real processes, and is honest about how it went.

Played by itself it passes ten phases, keeps every promise, and leaves report, database and a bundle that verifies and fails
once a byte is changed. A promise that is broken is said to be. However it ends, nothing of it runs on, and it can be
run again. With a visitor it waits for Enter, and asks nothing where nobody can answer.
"""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stopwork.demo.company import Company, open_company
from stopwork.demo.phases import PLAYED
from stopwork.demo.phases.play import Play
from stopwork.demo.promises import Promises
from stopwork.ledger.offline.report import Outcome
from stopwork.ledger.verify import verify_bundle
from stopwork.ledger.words import Phase

DEMO = [sys.executable, "-m", "stopwork.cli.main", "demo"]
PLAYED_WITHIN_S = 120.0
ENDS_WITHIN_S = 30.0

Json = dict[str, Any]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The temporary folder of the demo: what lies in it after the end was left behind."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def started(temporary: Path, *options: str, **streams: Any) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen([*DEMO, *options], env=environment, text=True, **pipes)


def running_in(folder: Path) -> list[str]:
    """The commands of the processes that work in a folder."""
    listing = subprocess.run(["ps", "-axo", "command"], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if str(folder) in line]


def nothing_is_left(temporary: Path) -> bool:
    deadline = time.monotonic() + 10
    while running_in(temporary.parent) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running_in(temporary.parent) == [] and list(temporary.iterdir()) == []


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Read what the process says until it says these words."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}, but:\n{said}")


# --- played by itself ------------------------------------------------------------------------------


def test_played_by_itself_it_passes_ten_phases_and_leaves_the_proof(temporary: Path) -> None:
    kept = temporary.parent / "kept"
    process = started(temporary, "--auto", "--json", "--keep", str(kept))
    answer, told = process.communicate(timeout=PLAYED_WITHIN_S)
    summary = json.loads(answer)

    assert [(each["name"], each["status"]) for each in summary["phases"]] == [
        (phase.value, "passed") for phase in Phase
    ], told
    assert process.returncode == 0
    assert [each for each in summary["promises"] if not each["kept"]] == []
    assert 0 < summary["detected_after_s"] < 2
    assert nothing_is_left(temporary)

    bundle = Path(summary["bundle"])
    assert bundle.parent == kept
    assert verify_bundle(bundle).outcome is Outcome.VERIFIED
    content = bytearray(bundle.read_bytes())
    content[len(content) // 3] ^= 1
    bundle.write_bytes(content)
    assert verify_bundle(bundle).outcome is Outcome.TAMPERED

    report = json.loads((kept / "report.json").read_text(encoding="utf-8"))
    assert (report["incident_id"], report["status"]) == (summary["incident"], "closed")
    assert summary["incident"] in Path(summary["report"]).read_text(encoding="utf-8")
    assert Path(summary["database"]) == kept / "data" / "stopwork.db"
    assert Path(summary["database"]).is_file()


@pytest.mark.slow
def test_without_a_folder_the_report_and_the_bundle_stay_where_it_says(temporary: Path) -> None:
    process = started(temporary, "--auto")
    told, _ = process.communicate(timeout=PLAYED_WITHIN_S)
    assert process.returncode == 0, told
    assert "10 of 10 phases passed" in told
    assert "# Incident report" in told
    (folder,) = temporary.iterdir()
    assert sorted(file.suffix for file in folder.iterdir()) == [".json", ".md", ".zip"]
    assert str(folder) in told
    assert running_in(temporary.parent) == []


def test_a_folder_with_something_in_it_is_left_alone(temporary: Path) -> None:
    (temporary / "mine.txt").write_text("mine")
    process = started(temporary, "--auto", "--json", "--keep", str(temporary))
    answer, told = process.communicate(timeout=ENDS_WITHIN_S)
    assert (process.returncode, answer) == (1, "")
    assert "is not empty" in told
    assert [file.name for file in temporary.iterdir()] == ["mine.txt"]


def test_a_taken_port_is_said_and_nothing_stays(temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = started(temporary, "--auto", "--port", str(port))
        _, told = process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in told
    assert nothing_is_left(temporary)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["Starting", "is open", "read only"])
def test_interrupted_anywhere_it_stops_everything_and_answers_nothing(
    temporary: Path, number: signal.Signals, moment: str
) -> None:
    process = started(temporary, "--auto", stderr=subprocess.STDOUT)
    wait_for(process, moment)
    process.send_signal(number)
    process.send_signal(number)  # an impatient one changes nothing
    process.communicate(timeout=ENDS_WITHIN_S)
    assert process.returncode == 130
    assert nothing_is_left(temporary)


# --- honest about how it went ----------------------------------------------------------------------


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with open_company(tmp_path / "world", tmp_path / "data") as company:
        yield company


def ignore(_: object) -> None:
    """Nobody listens."""


def a_play(company: Company, results: Path) -> Play:
    return Play(company, Promises(ignore), ignore, results)


@pytest.mark.slow
def test_a_write_past_the_guard_breaks_the_promises_of_audit_and_recovery(
    company: Company, tmp_path: Path
) -> None:
    play = a_play(company, tmp_path)
    for phase in (Phase.OPEN, Phase.PAUSE, Phase.PRESERVE, Phase.CONTAIN, Phase.AUDIT, Phase.RECOVER):
        if phase is Phase.PAUSE:
            past_the_guard(company)
        play.promises.begin(phase)
        PLAYED[phase](play)
    broken = {phase: play.promises.broken(phase) for phase in Phase if play.promises.broken(phase)}
    assert set(broken) == {Phase.AUDIT, Phase.RECOVER}
    assert all("A-110" in promise.found for promises in broken.values() for promise in promises)


def past_the_guard(company: Company) -> None:
    world = company.world
    httpx.patch(
        f"{world.crm_url}/accounts/A-110",
        json={"notes": "written past the guard"},
        headers={"Authorization": f"Bearer {world.agent_key}"},
        trust_env=False,
    ).raise_for_status()


# --- with a visitor --------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_a_terminal_it_asks_nothing_and_says_where_to_look(temporary: Path) -> None:
    kept = temporary.parent / "kept"
    process = started(temporary, "--keep", str(kept), stderr=subprocess.STDOUT)
    told = wait_for(process, "Next, preserve")
    assert told.count("/sign-in/") == 2
    assert "Enter" not in told
    assert "/incidents/AI-INC-" in told
    process.send_signal(signal.SIGTERM)
    assert (
        process.communicate(timeout=ENDS_WITHIN_S)[0].strip()
        == "Stopped; nothing of the demo is left running."
    )
    assert process.returncode == 0
    assert nothing_is_left(temporary)
    assert {file.name for file in kept.iterdir()} == {"data", "report.json", "report.md"}


@pytest.mark.slow
def test_at_a_terminal_it_waits_for_enter_and_makes_new_links(temporary: Path) -> None:
    ours, theirs = pty.openpty()
    process = started(temporary, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    told = read_until(ours, "Press Enter")
    os.write(ours, b"d\n")
    link = read_until(ours, "/sign-in/")
    assert "dana@acme.test" in link
    assert "The agent starts" not in told + link
    os.write(ours, b"\n")
    read_until(ours, "The agent starts its weekly run")
    process.send_signal(signal.SIGINT)
    read_until(ours, "nothing of the demo is left running")
    assert process.wait(ENDS_WITHIN_S) == 0
    os.close(ours)
    assert nothing_is_left(temporary)


def read_until(terminal: int, words: str) -> str:
    said, deadline = "", time.monotonic() + ENDS_WITHIN_S
    while words not in said:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"it never said {words!r}, but:\n{said}"
        said += os.read(terminal, 4096).decode(errors="replace")
    return said
