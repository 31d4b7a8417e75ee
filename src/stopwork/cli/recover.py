"""Recovery: a plan is proposed, approved item by item, run, and each object read back."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.exits import Exit
from stopwork.cli.group import Group
from stopwork.cli.invocation import Answer, Invocation, answers, reason_option, yes_option
from stopwork.cli.plans import (
    INCIDENT,
    approve,
    counted,
    edit,
    look,
    plan_of,
    propose,
    show,
    show_columns,
    show_plan,
)
from stopwork.cli.printing import object_name
from stopwork.kernel.phrases import count_of, lasting
from stopwork.ledger.words import ItemState, PlanState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

POLL_S: Final = 0.5
_BAR: Final = 30
_REASON: Final = reason_option("Why; asked for when it is left out.")
_PUT_RIGHT: Final = (ItemState.VERIFIED, ItemState.ACCEPTED)
_WAITING: Final = (ItemState.APPROVED, ItemState.IN_DOUBT)


@click.group(cls=Group)
def recover() -> None:
    """Put back what the agent changed."""


for command in (propose, show, edit, approve):
    recover.add_command(command)


@recover.command("status")
@INCIDENT
@answers(show_plan)
def status(cli: Invocation, incident: str) -> Any:
    """Show INCIDENT's plan and how far it has come."""
    return look(cli, plan_of(cli, incident))


def _show_outcome(paper: Paper, found: Any) -> None:
    paper.line(f"{found['plan']['id']} is {found['plan']['state']}: {counted(found['items'])}.")
    for each in _not_right(found["items"]):
        paper.heading(f"{object_name(each['object'])}: {each['state']}")
        paper.line(each["note"])
        show_columns(paper, each)


def _show_steered(paper: Paper, found: Any) -> None:
    plan, in_flight = found["plan"], found["in_flight"]
    paper.line(f"{plan['id']} is {plan['state']}.")
    if in_flight:
        paper.heading(f"{count_of(len(in_flight), 'change')} still in flight; each ends by itself")
        for each in in_flight:
            paper.line(object_name(each["object"]))


@recover.command("run")
@INCIDENT
@yes_option
@answers(_show_outcome)
def run(cli: Invocation, incident: str, *, yes: bool) -> Any:
    """Run the approved items and read each object back.

    It may be interrupted and run again: what is done is not done twice, and the server goes on by itself. What somebody changed since
    is left alone and reported. Exit code 1 when an item could not be put right, or waits for a process that can reach its system.
    """
    plan = plan_of(cli, incident)
    todo = sum(each["state"] in _WAITING for each in look(cli, plan)["items"])
    if todo:
        cli.confirm(f"Make {count_of(todo, 'change')} to the systems now?", yes=yes)
    return _carried_out(cli, plan, lambda: cli.server.post("/v1/plans/{plan}/run", plan=plan))


@recover.command("pause")
@INCIDENT
@_REASON
@answers(_show_steered)
def pause(cli: Invocation, incident: str, reason: str | None) -> Any:
    """Let no further change of INCIDENT's recovery begin; what has begun ends by itself."""
    plan = plan_of(cli, incident)
    why = cli.ask(reason, "Why is it paused?", option="--reason")
    return cli.server.post("/v1/plans/{plan}/pause", {"reason": why}, plan=plan)


@recover.command("resume")
@INCIDENT
@_REASON
@answers(_show_outcome)
def resume(cli: Invocation, incident: str, reason: str | None) -> Any:
    """Go on with INCIDENT's recovery after a pause."""
    plan = plan_of(cli, incident)
    why = cli.ask(reason, "Why does it go on?", option="--reason")
    return _carried_out(
        cli, plan, lambda: cli.server.post("/v1/plans/{plan}/resume", {"reason": why}, plan=plan)
    )


@recover.command("cancel")
@INCIDENT
@_REASON
@yes_option
@answers(_show_steered)
def cancel(cli: Invocation, incident: str, reason: str | None, *, yes: bool) -> Any:
    """Leave what INCIDENT's recovery has not begun as it is; what is done stays done."""
    plan = plan_of(cli, incident)
    why = cli.ask(reason, "Why is it cancelled?", option="--reason")
    cli.confirm("Cancel what is left of the recovery?", yes=yes)
    return cli.server.post("/v1/plans/{plan}/cancel", {"reason": why}, plan=plan)


def _carried_out(cli: Invocation, plan: str, ask: Callable[[], Any]) -> Any:
    """Follow a plan until it is finished or paused, or waits for somebody; answer it with its items."""
    told = ""
    with ThreadPoolExecutor(1, thread_name_prefix="run") as pool:
        asked = pool.submit(ask)
        while True:
            answered = not wait_for([asked], timeout=POLL_S).not_done
            if answered:
                asked.result()
            going = cli.server.get("/v1/plans/{plan}/progress", plan=plan)
            if not cli.as_json and told != (told := _in_words(going)):
                cli.say(told)
            if answered and not _goes_on(going):
                break
            if answered:
                time.sleep(POLL_S)
    found = look(cli, plan)
    return Answer(value=found, exit=Exit.REFUSED) if _not_right(found["items"]) else found


def _goes_on(going: Any) -> bool:
    """Answer whether somebody is at it, or about to be."""
    if going["plan"]["state"] != PlanState.RUNNING:
        return False
    return any(not lane["waiting"] for lane in going["lanes"])


def _in_words(going: Any) -> str:
    total = going["plan"]["items"]
    done = total - going["left"]
    filled = _BAR * done // total if total else _BAR
    words = f"[{'#' * filled}{'.' * (_BAR - filled)}] {done} of {total}"
    if going["per_s"]:
        words += f", {going['per_s']:.0f} in a second, {lasting(going['left_s'])} left"
    waiting = [f"{lane['system']}: {lane['waiting']}" for lane in going["lanes"] if lane["waiting"]]
    return "\n".join([words, *waiting])


def _not_right(items: list[Any]) -> list[Any]:
    return [each for each in items if each["state"] not in _PUT_RIGHT]
