"""Recovery: a plan is proposed, approved item by item, run, and each object read back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.exits import Exit
from stopwork.cli.group import Group
from stopwork.cli.invocation import Answer, Invocation, answers, yes_option
from stopwork.cli.printing import content_of, in_short, object_name
from stopwork.kernel.errors import NotFound
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.words import ItemState, PlanState, Remedy

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

POLL_S: Final = 0.5
_INCIDENT: Final = click.argument("incident")
_PUT_RIGHT: Final = (ItemState.VERIFIED, ItemState.ACCEPTED)
_WAITING: Final = (ItemState.APPROVED, ItemState.IN_DOUBT)
_BY_HAND: Final = (Remedy.TELL, Remedy.ACCEPT)


@click.group(cls=Group)
def recover() -> None:
    """Put back what the agent changed."""


def _show_plan(paper: Paper, found: Any) -> None:
    plan, items = found["plan"], found["items"]
    paper.facts(
        {
            "plan": plan["id"],
            "state": plan["state"],
            "proposed": f"{paper.when(plan['proposed_at'])} by {plan['proposed_by']['id']}",
            "approved": f"{paper.when(plan['approved_at'])} by {plan['approved_by']}"
            if plan["approved_by"]
            else None,
            "finished": paper.when(plan["finished_at"]) if plan["finished_at"] else None,
            "items": _counted(items) or count_of(0, "item"),
            "digest": plan["digest"],
        }
    )
    paper.heading("Items, in the order in which they run")
    paper.table(
        ("item", "object", "remedy", "what it does", "state", "note"),
        [
            (
                each["id"],
                object_name(each["object"]),
                each["remedy"],
                each["preview"],
                "to stay" if _proposed_to_stay(each) else each["state"],
                _note(each),
            )
            for each in items
        ],
        empty="There is nothing to put right.",
    )
    for each in items:
        if _proposed_to_stay(each) and each["earlier"]:
            paper.heading(f"{object_name(each['object'])}: {each['keep']}")
            _show_columns(paper, each)


@recover.command("plan")
@_INCIDENT
@click.option(
    "--call", "calls", multiple=True, metavar="ID", help="Undo only this call; give it once for each."
)
@click.option("--all", "everything", is_flag=True, help="Also what earlier plans have settled.")
@click.option("--reverse", is_flag=True, help="Propose the undo of the plan that was run.")
@answers(_show_plan)
def propose(
    cli: Invocation, incident: str, calls: tuple[str, ...], *, everything: bool, reverse: bool
) -> Any:
    """Propose how each object is put right. Nothing is changed by that.

    Without --call every call of INCIDENT that wrote something is undone. After a plan was run, a new one is about what
    it left open.
    """
    if reverse:
        plan = cli.server.post("/v1/plans/{plan}/reverse", plan=_plan_of(cli, incident))
    else:
        body = {"calls": list(calls) or None, "everything": everything}
        plan = cli.server.post("/v1/incidents/{incident}/plan", body, incident=incident)
    return _look(cli, plan["id"])


@recover.command("status")
@_INCIDENT
@answers(_show_plan)
def status(cli: Invocation, incident: str) -> Any:
    """Show INCIDENT's plan and how far it has come."""
    return _look(cli, _plan_of(cli, incident))


def _show_approved(paper: Paper, found: Any) -> None:
    paper.line(
        f"{found['plan']['id']} is approved by {found['plan']['approved_by']}: {_counted(found['items'])}."
    )
    if found["plan"]["state"] == PlanState.APPROVED:
        paper.line(f"Run it with: stopwork recover run {found['plan']['incident']}")


@recover.command("approve")
@_INCIDENT
@click.option(
    "--item", "chosen", multiple=True, metavar="ID", help="Approve this item; otherwise all that are to run."
)
@click.option("--accept", multiple=True, metavar="ID", help="Leave this one as it is; needs --note.")
@click.option("--note", metavar="TEXT", default="", help="Why those stay as they are.")
@yes_option
@answers(_show_approved)
def approve(
    cli: Invocation, incident: str, chosen: tuple[str, ...], accept: tuple[str, ...], note: str, *, yes: bool
) -> Any:
    """Approve the plan that is shown, as INCIDENT's business owner.

    Every item is run or stays as it is: as the plan proposes, or as --item and --accept say.
    """
    shown = _look(cli, _plan_of(cli, incident))
    if not cli.as_json:
        cli.show(_show_plan, shown)
    plan = shown["plan"]
    run = [each for each in shown["items"] if _would_run(each, chosen, accept)]
    cli.confirm(f"Approve {count_of(len(run), 'change')} to the systems?", yes=yes)
    body = {"digest": plan["digest"], "items": list(chosen) or None, "accept": list(accept), "note": note}
    cli.server.post("/v1/plans/{plan}/approve", body, plan=plan["id"])
    return _look(cli, plan["id"])


def _show_outcome(paper: Paper, found: Any) -> None:
    paper.line(f"{found['plan']['id']} is {found['plan']['state']}: {_counted(found['items'])}.")
    for each in _not_right(found["items"]):
        paper.heading(f"{object_name(each['object'])}: {each['state']}")
        paper.line(each["note"])
        _show_columns(paper, each)


@recover.command("run")
@_INCIDENT
@yes_option
@answers(_show_outcome)
def run(cli: Invocation, incident: str, *, yes: bool) -> Any:
    """Run the approved items and read each object back.

    It may be interrupted and run again: what is done is not done twice. What somebody changed since is left alone and
    reported. Exit code 1 when an item could not be put right.
    """
    plan = _plan_of(cli, incident)
    todo = sum(each["state"] in _WAITING for each in _look(cli, plan)["items"])
    if todo:
        cli.confirm(f"Make {count_of(todo, 'change')} to the systems now?", yes=yes)
    with ThreadPoolExecutor(1, thread_name_prefix="run") as pool:
        asked = pool.submit(cli.server.post, "/v1/plans/{plan}/run", plan=plan)
        _follow(asked, lambda: _progress(cli, plan, todo))
    found = _look(cli, plan)
    return Answer(value=found, exit=Exit.REFUSED) if _not_right(found["items"]) else found


def _follow(asked: Future[Any], tell: Callable[[], None]) -> None:
    """Tell how far it is until the answer is there; raise what it raised."""
    while not wait_for([asked], timeout=POLL_S).done:
        tell()
    asked.result()


def _progress(cli: Invocation, plan: str, todo: int) -> None:
    if not cli.as_json:
        left = sum(each["state"] in _WAITING for each in _look(cli, plan)["items"])
        cli.say(f"{todo - left} of {todo} done")


def _look(cli: Invocation, plan: str) -> Any:
    return {
        "plan": cli.server.get("/v1/plans/{plan}", plan=plan),
        "items": cli.server.get("/v1/plans/{plan}/items", plan=plan),
    }


def _plan_of(cli: Invocation, incident: str) -> str:
    plan = cli.server.get("/v1/incidents/{incident}", incident=incident)["plan"]
    if plan is None:
        raise NotFound(
            f"{incident} has no recovery plan yet", hint=f"Propose one: stopwork recover plan {incident}"
        )
    return str(plan)


def _would_run(item: Any, chosen: tuple[str, ...], accept: tuple[str, ...]) -> bool:
    if chosen:
        return item["id"] in chosen
    return item["id"] not in accept and item["remedy"] not in _BY_HAND and not item["keep"]


def _proposed_to_stay(item: Any) -> bool:
    return bool(item["keep"]) and item["state"] == ItemState.PROPOSED


def _not_right(items: list[Any]) -> list[Any]:
    return [each for each in items if each["state"] not in _PUT_RIGHT]


def _counted(items: list[Any]) -> str:
    states = Counter(each["state"] for each in items)
    return listed((f"{number} {state.replace('_', ' ')}" for state, number in states.items()), most=9)


def _note(item: Any) -> str:
    told = f"tell {listed(item['must_tell'])}" if item["must_tell"] else ""
    note = item["keep"] if _proposed_to_stay(item) else item["note"]
    return "; ".join(filter(None, (in_short(note, most=120), told)))


def _show_columns(paper: Paper, item: Any) -> None:
    """Show what it was, what the agent left and what is there now: what a person needs to decide."""
    images = [item[name] for name in ("target", "expected", "found")]
    contents = [image["content"] for image in images if image and isinstance(image["content"], dict)]
    if len(contents) == len(images):
        rows = [(field, *(content.get(field) for content in contents)) for field in item["changes"]]
    else:
        rows = [("object", *(content_of(image) for image in images))]
    paper.table(("field", "before", "agent's", "now"), rows, empty="")
