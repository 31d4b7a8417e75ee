"""Custody: who handled an incident's evidence, and what keeps its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers, reason_option

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_custody(paper: Paper, found: Any) -> None:
    paper.table(
        ("when", "who", "did", "what", "why"),
        [
            (paper.when(line["at"]), line["by"]["id"], line["deed"], line["what"], line["why"])
            for line in found
        ],
        empty="Nobody has handled it yet.",
    )


@click.command("custody")
@click.argument("incident")
@answers(_show_custody)
def custody(cli: Invocation, incident: str) -> Any:
    """Show who sealed, held, looked at and took out INCIDENT's evidence, when and why."""
    return cli.server.get("/v1/incidents/{incident}/custody", incident=incident)


def _show_hold(paper: Paper, found: Any) -> None:
    if found["active"]:
        paper.line(f"Nothing that belongs to {found['id']} is removed: {found['reason']}")
    else:
        paper.line(f"The legal hold of {found['id']} is lifted: its records are kept as long as any others.")


@click.command("hold")
@click.argument("incident")
@reason_option("Asked for when it is left out.")
@answers(_show_hold)
def hold(cli: Invocation, incident: str, reason: str | None) -> Any:
    """Keep everything that belongs to INCIDENT, however long it is kept otherwise."""
    body = {"reason": cli.ask(reason, "Why may nothing be removed?", option="--reason")}
    return cli.server.post("/v1/incidents/{incident}/legal-hold", body, incident=incident)


@click.command("release")
@click.argument("incident")
@reason_option("Asked for when it is left out.")
@answers(_show_hold)
def release(cli: Invocation, incident: str, reason: str | None) -> Any:
    """Lift the legal hold of INCIDENT. Only its workflow's legal owner or an administrator may."""
    body = {"reason": cli.ask(reason, "Why may its records go?", option="--reason")}
    return cli.server.post("/v1/incidents/{incident}/legal-hold/lift", body, incident=incident)
