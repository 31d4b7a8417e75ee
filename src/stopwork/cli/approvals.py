"""Approvals: people answer about exactly what they were shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.assigning import assigned
from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, yes_option
from stopwork.ledger.words import ApprovalState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group, default="list")
def approvals() -> None:
    """Questions that gates ask people, and their answers."""


def _show_approvals(paper: Paper, found: Any) -> None:
    paper.table(
        ("approval", "what", "workflow", "state", "asked", "until", "answers"),
        [
            (
                each["id"],
                each["title"],
                each["workflow"],
                each["state"],
                paper.when(each["requested_at"]),
                paper.when(each["expires_at"]),
                f"{sum(d['approve'] for d in each['decisions'])} of {each['quorum']}",
            )
            for each in found
        ],
        empty="Nobody is asked anything.",
    )


@approvals.command("list")
@click.option(
    "--state",
    type=click.Choice([*(each.value for each in ApprovalState), "all"]),
    default="pending",
    show_default=True,
    help="Only these.",
)
@click.option("--incident", metavar="ID", help="Only those of this incident.")
@paged
@answers(_show_approvals)
def list_approvals(cli: Invocation, *, state: str, **filters: Any) -> Any:
    """List approvals, newest first; those that wait for an answer unless --state says otherwise."""
    return cli.page("/v1/approvals", state=None if state == "all" else state, **filters)


def _show_approval(paper: Paper, evidence: Any) -> None:
    found = evidence["approval"]
    paper.facts(
        {
            "approval": found["id"],
            "what": found["title"],
            "state": found["state"],
            "workflow": f"{found['workflow']}, version {found['version']}",
            "asked by": found["requested_by"]["id"],
            "asked": paper.when(found["requested_at"]),
            "until": paper.when(found["expires_at"]),
            "approvers": ", ".join(found["approvers"]),
            "asked later": _later(paper, found),
            "needed": found["quorum"],
            "call": found["call"],
            "incident": found["incident"],
            "digest": found["digest"],
        }
    )
    if evidence["stale"]:
        paper.line(f"A yes would not count any more: {'; '.join(evidence['stale'])}.")
    paper.heading("Exactly this is asked")
    if evidence["will_run"] is None:
        paper.facts(found["content"]) if isinstance(found["content"], dict) else paper.line(found["content"])
    else:
        _show_evidence(paper, evidence)
    if found["decisions"]:
        paper.heading("Answers")
        paper.table(
            ("person", "answer", "when", "note"),
            [
                (d["person"], "approved" if d["approve"] else "rejected", paper.when(d["at"]), d["note"])
                for d in found["decisions"]
            ],
            empty="",
        )


@approvals.command("show")
@click.argument("approval")
@answers(_show_approval)
def show_approval(cli: Invocation, approval: str) -> Any:
    """Show exactly what is asked."""
    return cli.server.get("/v1/approvals/{approval}/evidence", approval=approval)


def _later(paper: Paper, found: Any) -> str | None:
    """Answer who is asked as well, and when; ``None`` where nobody is, or has been."""
    if not found["escalates_to"] or found["escalated_at"]:
        return None
    return f"{', '.join(found['escalates_to'])}, {paper.when(found['escalates_at'])}"


def _show_evidence(paper: Paper, evidence: Any) -> None:
    will = evidence["will_run"]
    paper.line(f"{will['tool']} ({will['effect']}, {will['risk']} risk) with these arguments:")
    paper.table(
        ("argument", "value", "where it came from"),
        [(each["field"], _spelled(each["value"]), _origin(each)) for each in evidence["origins"]],
        empty="It has no arguments.",
    )
    for edit in will["edits"]:
        paper.line(f"{edit['person']} changed {_changed(edit)}")
    now = evidence["object"]
    if now is not None:
        paper.heading(f"{_named(now['object'])} now")
        if now["image"]["state"] == "present":
            paper.facts({"content": now["image"]["content"]})
            paper.table(
                ("field", "now", "would be"),
                [
                    (each["field"], _spelled(each["now"]), _spelled(each["would"]))
                    for each in now["differences"]
                ],
                empty="No argument is called like a field with another value.",
            )
        else:
            paper.line(
                "It is not there."
                if now["image"]["state"] == "absent"
                else f"Not known: {now['image']['note']}"
            )
    paper.heading("Calls like it")
    paper.table(
        ("call", "when", "arguments", "verdict", "outcome", "answered by"),
        [
            (
                each["call"],
                paper.when(each["at"]),
                _spelled(each["args"]),
                each["verdict"],
                each["outcome"],
                ", ".join(each["decided_by"]),
            )
            for each in evidence["similar"]
        ],
        empty="There has been none.",
    )


def _origin(origin: Any) -> str:
    """Answer in words where a value was first seen; the comparison is a clue, no proof."""
    kind, what = origin["kind"], origin["what"]
    text = {
        "reviewer": f"put in by {what}",
        "trigger": "what started the run",
        "result": f"the result of {what} ({origin['record']})",
        "step": f"the step {what}",
        "new": "not seen before: made by the agent",
        "unclear": "too common to tell",
    }[kind]
    if origin["within"]:
        text = f"within {text}"
    if origin["source"]:
        text += f", from {origin['source']}"
    return f"{text}; UNTRUSTED" if origin["untrusted"] else text


def _changed(edit: Any) -> str:
    before, after = edit["before"], edit["after"]
    return "; ".join(
        f"{name} from {_spelled(before[name])} to {_spelled(after[name])}"
        for name in after
        if before.get(name) != after[name]
    )


def _named(ref: Any) -> str:
    return f"{ref['system']}/{ref['type']}/{ref['id']}"


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _show_decided(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} ({found['title']}) is {found['state']}.")


_NOTE = click.option("--note", metavar="TEXT", default="", help="What the others should know.")
_DIGEST = click.option(
    "--digest",
    metavar="DIGEST",
    help="What you saw, from approvals show; then nothing is shown or asked again.",
)


@approvals.command("approve")
@click.argument("approval")
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="Give an argument another value, as JSON or as text; what you approve then runs in its place. May be given again.",
)
@_NOTE
@_DIGEST
@yes_option
@answers(_show_decided)
def approve(cli: Invocation, **options: Any) -> Any:
    """Approve exactly what is shown. It is used once, and for nothing else."""
    return _decide(cli, approve=True, **options)


@approvals.command("reject")
@click.argument("approval")
@_NOTE
@_DIGEST
@yes_option
@answers(_show_decided)
def reject(cli: Invocation, **options: Any) -> Any:
    """Reject what is asked."""
    return _decide(cli, approve=False, **options)


def _decide(
    cli: Invocation,
    *,
    approval: str,
    approve: bool,
    note: str,
    digest: str | None,
    yes: bool,
    changes: tuple[str, ...] = (),
) -> Any:
    body: dict[str, Any] = {"approve": approve, "digest": digest, "note": note}
    if digest is None or changes:
        evidence = cli.server.get("/v1/approvals/{approval}/evidence", approval=approval)
        asked = evidence["approval"]
        if changes:
            body["args"] = _edited(asked["content"], changes)
        if digest is None and not cli.as_json:
            cli.show(_show_approval, evidence)
        body["digest"] = digest or asked["digest"]
    if digest is None:
        cli.confirm(_question(approve, changes), yes=yes)
    return cli.server.post("/v1/approvals/{approval}/decide", body, approval=approval)


def _question(approve: bool, changes: tuple[str, ...]) -> str:
    if not approve:
        return "Reject this?"
    return f"Approve it with {', '.join(changes)}?" if changes else "Approve exactly this?"


def _edited(content: Any, changes: tuple[str, ...]) -> dict[str, Any]:
    """Answer the arguments with the changes; text stays text where text was asked."""
    asked = content.get("args") if isinstance(content, dict) else None
    if not isinstance(asked, dict):
        raise click.UsageError("What is asked here has no arguments to set.")
    return asked | assigned(changes, asked)
