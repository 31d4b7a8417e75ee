"""Contract: a pause test proves over the wire what a pause does, against a guard in another process, while that guard's agent works on."""

from __future__ import annotations

import threading
from typing import Any

from stopwork.cli.exits import Exit
from stopwork.sdk import Stopwork
from tests.acceptance.office import TECHNICAL, WORKFLOW, Office


def made(id: str, account: str, title: str) -> dict[str, str]:  # noqa: A002 - the column's name
    """What the agent's tool does here: nothing that anybody sees."""
    return {"id": id, "account": account, "title": title}


def test_it_passes_against_a_working_agent_and_stops_nothing_of_it(
    office: Office, running: dict[str, Any]
) -> None:
    enough = threading.Event()
    done: list[Any] = []
    with Stopwork(running["url"], running["agent"]) as sw, sw.run(WORKFLOW, trigger="inbox") as run:

        def work() -> None:
            while not enough.is_set():
                task = {"id": f"t-{len(done)}", "account": "acme", "title": f"Call {len(done)}"}
                done.append(sw.call("tasks.create", made, task, run=run))

        working = threading.Thread(target=work)
        working.start()
        try:
            found = office.ask("pause-test", WORKFLOW, person=TECHNICAL)
        finally:
            enough.set()
            working.join()
    assert (found["passed"], found["points"], found["unconfirmed"]) == (True, 1, [])
    assert [each["state"] for each in found["levels"]] == ["passed"] * 4
    assert found["confirmed_after_s"] < 5
    assert len(done) > 1
    calls = office.ask("calls", "list", "--run", run.id, person=TECHNICAL)
    assert {call["verdict"] for call in calls} == {"allow"}
    assert {each["id"] for each in office.ask("runs", person=TECHNICAL)} == {run.id}
    assert office.ask("holds", "--all", person=TECHNICAL) == []
    checks = {each["check"]: each for each in office.ask("check", WORKFLOW, person=TECHNICAL)["checks"]}
    assert checks["pause_control"]["state"] == "passed"


def test_it_says_what_it_saw_in_words_and_refuses_an_agent(office: Office, running: dict[str, Any]) -> None:
    said = office.read("pause-test", WORKFLOW, person=TECHNICAL)
    assert "No enforcement point is connected, so only the control plane was tested." in said
    assert "passed. Nothing was stopped by it." in said
    refused = office.ask(
        "pause-test", WORKFLOW, "--token", running["agent"], code=Exit.DENIED, person=TECHNICAL
    )
    assert refused["code"] == "denied"
    assert office.ask("pause-test", "nobody", person=TECHNICAL, code=Exit.NOT_FOUND)["code"] == "not_found"
