"""Drafts: calls that were stored instead of run; people release, edit or discard them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, yes_option
from stopwork.ledger.words import DraftState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group, default="list")
def drafts() -> None:
    """Calls that were stored instead of run: release, edit or discard them."""


def _show_drafts(paper: Paper, found: Any) -> None:
    paper.table(
        ("draft", "tool", "workflow", "state", "drafted", "what became of it"),
        [
            (
                each["id"],
                each["tool"],
                each["workflow"],
                each["state"],
                paper.when(each["requested_at"]),
                each["note"],
            )
            for each in found
        ],
        empty="Nothing is drafted.",
    )


@drafts.command("list")
@click.option("--workflow", metavar="NAME", help="Only drafts of this workflow.")
@click.option(
    "--state",
    type=click.Choice([*(each.value for each in DraftState), "all"]),
    default="open",
    show_default=True,
    help="Only these.",
)
@click.option("--run", metavar="ID", help="Only those of this run.")
@paged
@answers(_show_drafts)
def list_drafts(cli: Invocation, *, state: str, **filters: Any) -> Any:
    """List drafts, newest first; those that nobody has decided about unless --state says otherwise."""
    return cli.page("/v1/drafts", state=None if state == "all" else state, **filters)


def _show_standing(paper: Paper, found: Any) -> None:
    draft = found["draft"]
    paper.facts(
        {
            "draft": draft["id"],
            "what": f"{draft['workflow']} wanted to run {draft['tool']} ({draft['effect']}, {draft['risk']} risk)",
            "state": draft["state"],
            "waits for": found["waits_for"] or "nobody",
            "drafted": paper.when(draft["requested_at"]),
            "why": "; ".join(reason["text"] for reason in draft["reasons"]),
            "note": draft["note"],
            "run": draft["run"],
            "digest": draft["digest"],
        }
    )
    paper.heading("Exactly this would run")
    paper.facts(draft["args"])
    if draft["args"] != draft["asked"]:
        paper.heading("This was asked")
        paper.facts({name: draft["asked"][name] for name in draft["asked"] if _differs(draft, name)})
    if found["object"]:
        seen = found["object"]
        name = "/".join(seen["object"][part] for part in ("system", "type", "id"))
        paper.heading(f"What {name} holds now")
        _show_image(paper, seen["image"])
    if found["against"]:
        paper.heading("Released now it would not run")
        for why in found["against"]:
            paper.line(why)


def _show_image(paper: Paper, image: Any) -> None:
    if image["state"] != "present":
        paper.line("There is no such object." if image["state"] == "absent" else f"Unknown: {image['note']}.")
    elif isinstance(image["content"], dict):
        paper.facts(image["content"])
    else:
        paper.line(str(image["content"]))


def _differs(draft: Any, name: str) -> bool:
    return bool(draft["args"].get(name) != draft["asked"][name])


@drafts.command("show")
@click.argument("draft")
@answers(_show_standing)
def show_draft(cli: Invocation, draft: str) -> Any:
    """Show exactly what would run, what its object holds now, and what the draft waits for."""
    return cli.server.get("/v1/drafts/{draft}/standing", draft=draft)


def _show_decided(paper: Paper, found: Any) -> None:
    waits = f" and waits for {found['waits_for']}" if found.get("waits_for") else ""
    paper.line(f"{found['id']} ({found['tool']}) is {found['state']}{waits}.")


_REASON = click.option("--reason", metavar="TEXT", required=True, help="Why, in a sentence.")
_DIGEST = click.option(
    "--digest",
    metavar="DIGEST",
    help="What you saw, from drafts show; then nothing is shown or asked again.",
)


@drafts.command("release")
@click.argument("draft")
@_REASON
@_DIGEST
@yes_option
@answers(_show_decided)
def release(cli: Invocation, *, draft: str, reason: str, digest: str | None, yes: bool) -> Any:
    """Permit exactly what is shown, once. A guard of the workflow carries it out; every control decides again."""
    if digest is None:
        digest = _shown(cli, draft)["digest"]
        cli.confirm("Release exactly this?", yes=yes)
    released = cli.server.post(
        "/v1/drafts/{draft}/release", {"digest": digest, "reason": reason}, draft=draft
    )
    return released | {"waits_for": cli.server.get("/v1/drafts/{draft}/standing", draft=draft)["waits_for"]}


def _show_edited(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} would now run {found['tool']} with:")
    paper.facts(found["args"])


@drafts.command("edit")
@click.argument("draft")
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    required=True,
    help="An argument's new value: JSON, or text as it stands. Repeat it for several.",
)
@_REASON
@answers(_show_edited)
def edit(cli: Invocation, *, draft: str, changes: tuple[str, ...], reason: str) -> Any:
    """Change what the draft would run. What was asked stays on record; release it then."""
    known = cli.server.get("/v1/drafts/{draft}", draft=draft)
    args = known["args"] | dict(_change(each) for each in changes)
    body = {"args": args, "digest": known["digest"], "reason": reason}
    return cli.server.post("/v1/drafts/{draft}/edit", body, draft=draft)


@drafts.command("discard")
@click.argument("draft")
@_REASON
@answers(_show_decided)
def discard(cli: Invocation, *, draft: str, reason: str) -> Any:
    """Decide that the draft does not run."""
    return cli.server.post("/v1/drafts/{draft}/discard", {"reason": reason}, draft=draft)


def _shown(cli: Invocation, draft: str) -> Any:
    found = cli.server.get("/v1/drafts/{draft}/standing", draft=draft)
    if not cli.as_json:
        cli.show(_show_standing, found)
    return found["draft"]


def _change(change: str) -> tuple[str, Any]:
    name, equals, value = change.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set {change}: it looks like --set title='Call before May'")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
