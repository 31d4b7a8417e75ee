"""Approvals: people answer about exactly what they were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

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


def _show_approval(paper: Paper, found: Any) -> None:
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
            "needed": found["quorum"],
            "call": found["call"],
            "incident": found["incident"],
            "digest": found["digest"],
        }
    )
    paper.heading("Exactly this is asked")
    if isinstance(found["content"], dict):
        paper.facts(found["content"])
    else:
        paper.line(str(found["content"]))
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
    return cli.server.get("/v1/approvals/{approval}", approval=approval)


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
    cli: Invocation, *, approval: str, approve: bool, note: str, digest: str | None, yes: bool
) -> Any:
    if digest is None:
        asked = cli.server.get("/v1/approvals/{approval}", approval=approval)
        if not cli.as_json:
            cli.show(_show_approval, asked)
        cli.confirm("Approve exactly this?" if approve else "Reject this?", yes=yes)
        digest = asked["digest"]
    body = {"approve": approve, "digest": digest, "note": note}
    return cli.server.post("/v1/approvals/{approval}/decide", body, approval=approval)
