"""Contract: what an agent was not let to do goes on in another process, once people have decided, whatever ended in between.

Real processes: servers that are restarted, agents that end or are killed, and people at the command line.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stopwork.cli.exits import Exit
from stopwork.sdk import CallDrafted, CallWaiting, Stopwork
from tests.acceptance.office import OWNER, TECHNICAL, WORKFLOW, Office
from tests.support.doomed import doomed

DRAFTS = 12


def equip(sw: Stopwork, database: Path) -> tuple[Any, Any]:
    """Guard the agent's two tools; each leaves a row that says that it ran."""

    def ran(kind: str, what: str) -> None:
        with contextlib.closing(sqlite3.connect(database, timeout=30)) as made, made:
            made.execute(
                "INSERT INTO task (id, account, title) VALUES (hex(randomblob(8)), ?, ?)", (kind, what)
            )

    @sw.tool("tasks.create")
    def create(id: str, account: str, title: str) -> dict[str, str]:  # noqa: A002 - the column's name
        ran("task", id)
        return {"id": id}

    @sw.tool("mail.send")
    def send(to: str, subject: str) -> str:
        ran("mail", f"{to}: {subject}")
        return to

    return create, send


def rows(office: Office, kind: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(office.database)) as made:
        return [
            row[0] for row in made.execute("SELECT title FROM task WHERE account = ? ORDER BY title", (kind,))
        ]


# --- what the processes do -------------------------------------------------------------------------


def agent_that_waits(url: str, token: str, database: Path, leaves: Path) -> None:
    with Stopwork(url, token) as sw:
        create, send = equip(sw, database)
        try:
            with sw.run(WORKFLOW, trigger="inbox", trigger_id="monday"):
                create(id="t-1", account="acme", title="Call")
                send("customer@acme.test", subject="Your renewal")
        except CallWaiting as waiting:
            leaves.write_text(waiting.token, encoding="utf-8")


def agent_that_goes_on(url: str, token: str, database: Path, leaves: Path) -> None:
    resume_token = leaves.read_text("utf-8")
    with Stopwork(url, token) as sw:
        create, _send = equip(sw, database)
        with sw.rejoin(resume_token):
            sw.resume(resume_token)
            create(id="t-2", account="acme", title="Call again")
    (leaves.parent / "went-on").touch()


def agent_that_drafts(url: str, token: str, database: Path, leaves: Path) -> None:
    with Stopwork(url, token) as sw:
        create, _send = equip(sw, database)
        ids = []
        with sw.run(WORKFLOW, trigger="inbox", trigger_id="monday"):
            for number in range(DRAFTS):
                try:
                    create(id=f"t-{number:02}", account=f"account-{number}", title="Call")
                except CallDrafted as drafted:
                    ids.append(drafted.call)
        leaves.write_text("\n".join(ids), encoding="utf-8")


def guard_that_carries_out(url: str, token: str, database: Path, done: Path) -> None:
    with Stopwork(url, token) as sw:
        equip(sw, database)
        carried = sw.run_released(WORKFLOW, limit=DRAFTS)
        done.write_text("\n".join(each.draft for each in carried if each.error is None), encoding="utf-8")


# --- the stories -----------------------------------------------------------------------------------


@contextlib.contextmanager
def open_office(office: Office) -> Iterator[tuple[str, str]]:
    """A server on the office's data, with its people signed in; answers its address and a token of the agent."""
    with office.server() as serving:
        office.ask("login", serving["sign_in"], person="admin")
        for person in (OWNER, TECHNICAL):
            office.ask("login", office.ask("user", "link", person, person="admin")["link"], person=person)
        office.ask("apply", "--reason", "its version", "--yes", person=TECHNICAL)
        yield serving["url"], office.ask("token", "create", "--agent", WORKFLOW)["secret"]


def finished(work: Any, *args: Any) -> None:
    with doomed(work, *args) as process:
        process.join(60)
        assert process.exitcode == 0


def test_a_call_waits_over_the_end_of_its_process_and_of_its_server(office: Office) -> None:
    leaves = office.folder / "token"
    with open_office(office) as (url, agent):
        finished(agent_that_waits, url, agent, office.database, leaves)
        (asked,) = office.ask("approvals")
    with open_office(office) as (url, agent):
        office.ask("approvals", "approve", asked["id"], "--yes")
        finished(agent_that_goes_on, url, agent, office.database, leaves)
        (run,) = office.ask("runs")
        assert (run["status"], run["writes"]) == ("succeeded", 3)
    assert rows(office, "mail") == ["customer@acme.test: Your renewal"]
    assert rows(office, "task") == ["t-1", "t-2"]


def test_released_drafts_are_carried_out_once_by_whichever_process_comes(office: Office) -> None:
    leaves = office.folder / "drafts"
    with open_office(office) as (url, agent):
        office.ask("pause", "--workflow", WORKFLOW, "--mode", "draft_only", "--reason", "to look", "--yes")
        finished(agent_that_drafts, url, agent, office.database, leaves)
        ids = leaves.read_text("utf-8").split()
        assert len(ids) == DRAFTS
        shown = office.read("drafts", "show", ids[0])
        assert "There is no such object." in shown
        office.ask("drafts", "discard", ids[0], "--reason", "It was done by hand.")
        office.ask("drafts", "edit", ids[1], "--set", "title=Call before May", "--reason", "sooner")
        office.ask("drafts", "release", ids[1], "--reason", "no", "--yes", person=TECHNICAL, code=Exit.DENIED)
        for each in ids[1:]:
            office.ask("drafts", "release", each, "--reason", "it is right", "--yes")
        waiting = office.ask("drafts", "show", ids[1])["waits_for"]
        assert waiting.startswith(f"a guard of {WORKFLOW}, since")
        carried = [office.folder / f"carried-{number}" for number in range(2)]
        with contextlib.ExitStack() as both:
            processes = [
                both.enter_context(doomed(guard_that_carries_out, url, agent, office.database, done))
                for done in carried
            ]
            for process, done in zip(processes, carried, strict=True):
                process.join(60)
                assert done.exists()
        assert office.ask("drafts", "--workflow", WORKFLOW) == []
        states = {each["id"]: each["state"] for each in office.ask("drafts", "--state", "all")}
    assert states == {ids[0]: "discarded"} | dict.fromkeys(ids[1:], "done")
    told = [done.read_text("utf-8").split() for done in carried]
    assert sorted(told[0] + told[1]) == sorted(ids[1:])
    assert rows(office, "task") == [f"t-{number:02}" for number in range(1, DRAFTS)]
