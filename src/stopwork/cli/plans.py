"""A recovery plan before it runs: proposed, looked at item by item, edited, and approved whole, by a rule or one by one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.assigning import assigned
from stopwork.cli.invocation import Invocation, answers, yes_option
from stopwork.cli.printing import content_of, in_short, object_name
from stopwork.kernel.errors import NotFound
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.words import ItemState, PlanState, Remedy

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

INCIDENT: Final = click.argument("incident")
_BY_PEOPLE: Final = tuple(each for each in Remedy if each.by_people)
_REVERSIBILITY: Final = {
    "fully": "undone fully",
    "by_tool": "undone as its tool does it",
    "partly": "undone in part",
    "not": "cannot be undone",
}
_ABSENT: Final = {"absent": True}


# --- looking ---------------------------------------------------------------------------------------


def look(cli: Invocation, plan: str) -> Any:
    """Answer a plan with its items."""
    return {
        "plan": cli.server.get("/v1/plans/{plan}", plan=plan),
        "items": cli.server.get("/v1/plans/{plan}/items", plan=plan),
        "partly_undone": cli.server.get("/v1/plans/{plan}/partly-undone", plan=plan),
    }


def plan_of(cli: Invocation, incident: str) -> str:
    """Answer the newest plan of an incident; ``NotFound`` when there is none."""
    plan = cli.server.get("/v1/incidents/{incident}", incident=incident)["plan"]
    if plan is None:
        raise NotFound(
            f"{incident} has no recovery plan yet", hint=f"Propose one: stopwork recover plan {incident}"
        )
    return str(plan)


def counted(items: list[Any]) -> str:
    """Answer how many items are in which state."""
    states = Counter(each["state"] for each in items)
    return listed((f"{number} {state.replace('_', ' ')}" for state, number in states.items()), most=9)


def show_plan(paper: Paper, found: Any) -> None:
    """Write a plan: its state, and a line for each item."""
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
            "items": counted(items) or count_of(0, "item"),
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
    for each in found["partly_undone"]:
        paper.line(_in_part(each))
    for each in items:
        if _proposed_to_stay(each) and each["earlier"]:
            paper.heading(f"{object_name(each['object'])}: {each['keep']}")
            show_columns(paper, each)


def _in_part(found: Any) -> str:
    import msgspec

    from stopwork.incidents.undone import PartlyUndone, in_words

    return in_words(msgspec.convert(found, PartlyUndone))


def show_columns(paper: Paper, item: Any) -> None:
    """Show what it was, what the agent left and what is there now: what a person needs to decide."""
    images = [item[name] for name in ("target", "expected", "found")]
    contents = [image["content"] for image in images if image and isinstance(image["content"], dict)]
    if len(contents) == len(images):
        rows = [(field, *(content.get(field) for content in contents)) for field in item["changes"]]
    else:
        rows = [("object", *(content_of(image) for image in images))]
    paper.table(("field", "before", "agent's", "now"), rows, empty="")


def _show_items(paper: Paper, found: Any) -> None:
    looked = found["drift"] or {"objects": [], "at": None}
    drifted = {object_name(each["object"]): each for each in looked["objects"]}
    for each in found["items"]:
        since = drifted.get(object_name(each["object"]))
        _show_item(
            paper,
            each,
            {item["id"]: item for item in found["plan_items"]},
            since=f"{_since(since)}, looked at {paper.when(looked['at'])}"
            if since
            else "nobody has looked yet",
        )


def _since(drifted: Any) -> str:
    by = f" by {drifted['by']}" if drifted["by"] else ""
    why = f" ({drifted['note']})" if drifted["note"] else ""
    return f"{drifted['state']}{by}{why}"


def _show_item(paper: Paper, item: Any, every: dict[str, Any], *, since: str = "") -> None:
    paper.heading(f"{item['order']}. {item['preview']}")
    edit = item["edits"][-1] if item["edits"] else None
    paper.facts(
        {
            "item": item["id"],
            "object": object_name(item["object"]),
            "state": item["state"],
            "situation": item["situation"].replace("_", " "),
            "remedy": item["remedy"],
            "reversible": _REVERSIBILITY[item["reversibility"]],
            "calls": f"{listed(item['calls'])} ({listed(item['tools'])})",
            "copy of": object_name(item["copy_of"]) if item["copy_of"] else None,
            "only after": listed(
                object_name(every[each]["object"]) for each in item["after"] if each in every
            ),
            "since the calls": since,
            "to be told": listed((each.replace("_", " ") for each in item["must_tell"]), most=9),
            "to stay": item["keep"],
            "instead": listed((each["remedy"] for each in item["ways"]), most=9),
            "edited": f"by {edit['person']}, {paper.when(edit['at'])}: {edit['reason']}" if edit else None,
            "note": item["note"],
        }
    )
    paper.table(
        ("field", "from", "to"),
        [
            (field or "content", _shown(left), _shown(there))
            for field, (left, there) in item["changes"].items()
        ],
        empty="",
    )


def _shown(value: Any) -> str:
    return "nothing" if value == _ABSENT else in_short(value)


def _proposed_to_stay(item: Any) -> bool:
    return bool(item["keep"]) and item["state"] == ItemState.PROPOSED


def _note(item: Any) -> str:
    told = f"tell {listed(item['must_tell'])}" if item["must_tell"] else ""
    note = item["keep"] if _proposed_to_stay(item) else item["note"]
    return "; ".join(filter(None, (in_short(note, most=120), told)))


# --- commands --------------------------------------------------------------------------------------


@click.command("plan")
@INCIDENT
@click.option(
    "--call", "calls", multiple=True, metavar="ID", help="Undo only this call; give it once for each."
)
@click.option("--all", "everything", is_flag=True, help="Also what earlier plans have settled.")
@click.option("--reverse", is_flag=True, help="Propose the undo of the plan that was run.")
@answers(show_plan)
def propose(
    cli: Invocation, incident: str, calls: tuple[str, ...], *, everything: bool, reverse: bool
) -> Any:
    """Propose how each object is put right. Nothing is changed by that.

    Without --call every call of INCIDENT that wrote something is undone. After a plan was run, a new one is about what
    it left open.
    """
    if reverse:
        plan = cli.server.post("/v1/plans/{plan}/reverse", plan=plan_of(cli, incident))
    else:
        body = {"calls": list(calls) or None, "everything": everything}
        plan = cli.server.post("/v1/incidents/{incident}/plan", body, incident=incident)
    return look(cli, plan["id"])


@click.command("show")
@INCIDENT
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@answers(_show_items)
def show(cli: Invocation, incident: str, items: tuple[str, ...]) -> Any:
    """Show exactly what INCIDENT's plan would do: each field, from what to what, and what cannot be undone."""
    found = look(cli, plan_of(cli, incident))
    chosen = [each for each in found["items"] if not items or each["id"] in items]
    if unknown := sorted(set(items) - {each["id"] for each in chosen}):
        raise NotFound(f"the plan has no item {unknown[0]}", hint=f"See: stopwork recover show {incident}")
    drift = cli.server.get("/v1/incidents/{incident}/drift", incident=incident)
    return {"plan": found["plan"], "items": chosen, "plan_items": found["items"], "drift": drift}


def _show_edited(paper: Paper, found: Any) -> None:
    _show_item(paper, found["item"], {each["id"]: each for each in found["items"]})
    paper.line()
    paper.line(f"The plan has another digest now: {found['plan']['digest']}")


@click.command("edit")
@INCIDENT
@click.argument("item")
@click.option("--remedy", type=click.Choice([each.value for each in Remedy]), help="Do this instead.")
@click.option(
    "--set",
    "fields",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Put this there, as JSON or as text. May be given again.",
)
@click.option(
    "--arg",
    "args",
    multiple=True,
    metavar="NAME=VALUE",
    help="Give the tool this argument. May be given again.",
)
@click.option("--turn", type=int, metavar="NUMBER", help="Its place in the order.")
@click.option("--undo", is_flag=True, help="Take the last edit back instead.")
@click.option("--reason", metavar="TEXT", required=True, help="Why, in a sentence.")
@answers(_show_edited)
def edit(
    cli: Invocation,
    incident: str,
    item: str,
    *,
    remedy: str | None,
    fields: tuple[str, ...],
    args: tuple[str, ...],
    turn: int | None,
    undo: bool,
    reason: str,
) -> Any:
    """Change what ITEM of INCIDENT's plan does, before it is approved. Whoever approves sees who changed it and why."""
    wanted = remedy or fields or args or turn is not None
    if undo and wanted:
        raise click.UsageError("--undo takes an edit back and changes nothing else.")
    if not undo and not wanted:
        raise click.UsageError("Say what should be otherwise: --remedy, --set, --arg or --turn.")
    found = look(cli, plan_of(cli, incident))
    plan, one = found["plan"], next((each for each in found["items"] if each["id"] == item), None)
    if one is None:
        raise NotFound(f"the plan has no item {item}", hint=f"See: stopwork recover show {incident}")
    where = {"plan": plan["id"], "item": item}
    body: dict[str, Any] = {"digest": plan["digest"], "reason": reason}
    if undo:
        cli.server.post("/v1/plans/{plan}/items/{item}/take-back", body, **where)
    else:
        held = one["target"]["content"] or one["expected"]["content"]
        body |= {
            "remedy": remedy,
            "fields": assigned(fields, held if isinstance(held, dict) else {}),
            "args": assigned(args, one["undo_args"], option="--arg"),
            "order": turn,
        }
        cli.server.post("/v1/plans/{plan}/items/{item}", body, **where)
    now = look(cli, plan["id"])
    return now | {"item": next(each for each in now["items"] if each["id"] == item)}


def _show_approved(paper: Paper, found: Any) -> None:
    paper.line(
        f"{found['plan']['id']} is approved by {found['plan']['approved_by']}: {counted(found['items'])}."
    )
    if found["plan"]["state"] == PlanState.APPROVED:
        paper.line(f"Run it with: stopwork recover run {found['plan']['incident']}")


@click.command("approve")
@INCIDENT
@click.option(
    "--item", "chosen", multiple=True, metavar="ID", help="Approve this item; otherwise all that are to run."
)
@click.option("--accept", multiple=True, metavar="ID", help="Leave this one as it is; needs --note.")
@click.option(
    "--where",
    metavar="RULE",
    help="Approve what this chooses, such as \"situation == 'duplicate_records'\"; the rest stays as it is.",
)
@click.option("--note", metavar="TEXT", default="", help="Why those stay as they are.")
@yes_option
@answers(_show_approved)
def approve(
    cli: Invocation,
    incident: str,
    chosen: tuple[str, ...],
    accept: tuple[str, ...],
    *,
    where: str | None,
    note: str,
    yes: bool,
) -> Any:
    """Approve the plan that is shown, as INCIDENT's business owner.

    Every item is run or stays as it is: as the plan proposes, as --item and --accept say, or as the rule --where chooses.
    """
    if where is not None and (chosen or accept):
        raise click.UsageError("Choose by a rule or one by one: --where goes without --item and --accept.")
    shown = look(cli, plan_of(cli, incident))
    plan = shown["plan"]
    run = [each["id"] for each in shown["items"] if _would_run(each, chosen, accept)]
    if where is not None:
        found = cli.server.get("/v1/plans/{plan}/chosen", plan=plan["id"], where=where)
        run, plan = found["items"], plan | {"digest": found["digest"]}
    if not cli.as_json:
        decided = {"items": [_as_decided(each, run) for each in shown["items"]]}
        if chosen or accept or where is not None:
            decided["partly_undone"] = []  # it is told as the plan proposes
        cli.show(show_plan, shown | decided)
    cli.confirm(
        f"Approve {count_of(len(run), 'change')} to the systems, and leave {len(shown['items']) - len(run)} as they are?",
        yes=yes,
    )
    body = {"digest": plan["digest"], "note": note}
    body |= {"where": where} if where is not None else {"items": list(chosen) or None, "accept": list(accept)}
    cli.server.post("/v1/plans/{plan}/approve", body, plan=plan["id"])
    return look(cli, plan["id"])


def _as_decided(item: Any, run: list[str]) -> Any:
    """Answer an item as the table shows what is about to be decided about it."""
    return item | {"state": "to run" if item["id"] in run else "to stay"}


def _would_run(item: Any, chosen: tuple[str, ...], accept: tuple[str, ...]) -> bool:
    if chosen:
        return item["id"] in chosen
    return item["id"] not in accept and item["remedy"] not in _BY_PEOPLE and not item["keep"]
