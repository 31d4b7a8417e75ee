"""An agent's process that is suspended and goes on after its permit has run out does not use it: it asks again and is told what holds now,
or, where its call was about to run, does not run it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from stopwork.control import protocol as p
from stopwork.control.steps import Patience
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Call, Scope
from stopwork.ledger.words import HoldMode, Outcome, ScopeKind
from stopwork.sdk import Stopwork
from stopwork.sdk.http import HttpDesk
from tests.support.doomed import doomed, wait_for
from tests.support.history import history_faults
from tests.support.office import AGENT, LEE, WORKFLOW
from tests.support.servers import House, Visitor
from tests.support.workload import Pause

A = TypeVar("A")

VALID_FOR_S = 0.5
#: How long the agent dwells where it is to be suspended.
DWELLS_S = 0.2
EVERYTHING = Pause(Scope(kind=ScopeKind.EVERYTHING), HoldMode.BLOCK, LEE.id)


class DwellingDesk:
    """A desk whose permits are good for a moment, and that dwells, once, after it was answered what it is told to look out for."""

    def __init__(
        self, inner: HttpDesk, folder: Path, after: type[p.Request[object]], valid_for_s: float
    ) -> None:
        self._inner, self._folder, self._after, self._valid_for_s = inner, folder, after, valid_for_s

    def send(self, request: p.Request[A]) -> A:
        answer = self._inner.send(request)
        if isinstance(answer, p.PermitAnswer) and answer.valid_for_s is not None:
            answer = replace(answer, valid_for_s=self._valid_for_s)
        dwelt = self._folder / "dwelling"
        if isinstance(request, self._after) and not dwelt.exists():
            dwelt.touch()
            time.sleep(DWELLS_S)
        return answer

    def close(self) -> None:
        self._inner.close()


def agent(
    folder: Path,
    url: str,
    tokens: Mapping[str, str],
    after: type[p.Request[object]],
    valid_for_s: float = VALID_FOR_S,
    begin_within_s: float = 5.0,
) -> None:
    """Make one call, and write down that it ran or why it did not."""
    desk = DwellingDesk(HttpDesk(url, tokens[AGENT.id]), folder, after, valid_for_s)
    guard = Stopwork.at(desk, patience=Patience(begin_within_s=begin_within_s))
    ran = os.open(folder / "ran.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @guard.tool("crm.create_task")
    def create_task(account_id: str, title: str) -> dict[str, str]:
        os.write(ran, f"{title}\n".encode())
        return {"id": "task-1"}

    told = "ran"
    try:
        with guard.run(WORKFLOW, trigger="schedule", trigger_id="monday"):
            create_task("acme", "call")
    except StopworkError as error:
        told = f"{type(error).__name__}: {error}"
    (folder / "told.unfinished").write_text(told)
    (folder / "told.unfinished").rename(folder / "told.txt")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "data")


@pytest.mark.parametrize("paused", [False, True], ids=["nothing else happens", "paused meanwhile"])
@pytest.mark.parametrize("after", [p.AskPermit, p.RecordAttempt])
def test_a_permit_that_has_run_out_meanwhile_is_not_used(
    house: House, tmp_path: Path, after: type[p.Request[object]], paused: bool
) -> None:
    with (
        house.servers(1) as (server,),
        doomed(agent, tmp_path, server.url, house.tokens, after) as process,
    ):
        wait_for((tmp_path / "dwelling").exists, process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        if paused:
            with Visitor(server.url, house.tokens) as visitor:
                visitor.do(EVERYTHING)
        time.sleep(VALID_FOR_S + 0.1)
        assert (tmp_path / "ran.txt").read_text() == ""
        os.kill(process.pid, signal.SIGCONT)
        wait_for((tmp_path / "told.txt").exists, process)

    told, ran = (tmp_path / "told.txt").read_text(), (tmp_path / "ran.txt").read_text()
    with house.opened() as installation:
        calls = installation.store.read(lambda view: list(view.each(Call)))
        assert installation.store.read(partial(history_faults)) == []
    if after is p.AskPermit and not paused:
        assert (told, ran) == ("ran", "call\n"), "it asked again, and ran once"
        assert [call.outcome for call in calls] == [Outcome.SUCCEEDED]
        return
    assert ran == ""
    assert told.startswith("CallDenied" if after is p.AskPermit else "Unavailable"), told
    assert all(call.outcome is not Outcome.SUCCEEDED and not call.in_flight for call in calls)


@pytest.mark.parametrize("paused", [False, True], ids=["nothing else happens", "paused meanwhile"])
def test_a_change_whose_attempt_is_on_record_does_not_begin_under_a_hold_though_its_permit_still_counts(
    house: House, tmp_path: Path, paused: bool
) -> None:
    with (
        house.servers(1) as (server,),
        doomed(
            agent, tmp_path, server.url, house.tokens, p.RecordAttempt, valid_for_s=60.0, begin_within_s=0.5
        ) as process,
    ):
        wait_for((tmp_path / "dwelling").exists, process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        if paused:
            with Visitor(server.url, house.tokens) as visitor:
                visitor.do(EVERYTHING)
        time.sleep(0.6)
        os.kill(process.pid, signal.SIGCONT)
        wait_for((tmp_path / "told.txt").exists, process)

    told, ran = (tmp_path / "told.txt").read_text(), (tmp_path / "ran.txt").read_text()
    with house.opened() as installation:
        [call] = installation.store.read(lambda view: list(view.each(Call)))
        assert installation.store.read(partial(history_faults)) == []
    if paused:
        assert ran == ""
        assert "overtaken" in told, told
        assert (call.outcome, call.in_flight) == (Outcome.FAILED, False)
        assert (call.error or "").startswith("not started: it was late")
    else:
        assert (told, ran, call.outcome) == ("ran", "call\n", Outcome.SUCCEEDED)
