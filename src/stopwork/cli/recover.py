"""Recovery: a plan is proposed, approved item by item, run, and each object read back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.exits import Exit
from stopwork.cli.group import Group
from stopwork.cli.invocation import Answer, Invocation, answers, yes_option
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
from stopwork.kernel.phrases import count_of
from stopwork.ledger.words import ItemState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

POLL_S: Final = 0.5
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


@recover.command("run")
@INCIDENT
@yes_option
@answers(_show_outcome)
def run(cli: Invocation, incident: str, *, yes: bool) -> Any:
    """Run the approved items and read each object back.

    It may be interrupted and run again: what is done is not done twice. What somebody changed since is left alone and
    reported. Exit code 1 when an item could not be put right.
    """
    plan = plan_of(cli, incident)
    todo = sum(each["state"] in _WAITING for each in look(cli, plan)["items"])
    if todo:
        cli.confirm(f"Make {count_of(todo, 'change')} to the systems now?", yes=yes)
    with ThreadPoolExecutor(1, thread_name_prefix="run") as pool:
        asked = pool.submit(cli.server.post, "/v1/plans/{plan}/run", plan=plan)
        _follow(asked, lambda: _progress(cli, plan, todo))
    found = look(cli, plan)
    return Answer(value=found, exit=Exit.REFUSED) if _not_right(found["items"]) else found


def _follow(asked: Future[Any], tell: Callable[[], None]) -> None:
    """Tell how far it is until the answer is there; raise what it raised."""
    while not wait_for([asked], timeout=POLL_S).done:
        tell()
    asked.result()


def _progress(cli: Invocation, plan: str, todo: int) -> None:
    if not cli.as_json:
        left = sum(each["state"] in _WAITING for each in look(cli, plan)["items"])
        cli.say(f"{todo - left} of {todo} done")


def _not_right(items: list[Any]) -> list[Any]:
    return [each for each in items if each["state"] not in _PUT_RIGHT]
