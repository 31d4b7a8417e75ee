"""The side-effect audit: twelve questions answered from records, and every object that was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.cli.printing import content_of, object_name

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_audit(paper: Paper, found: Any) -> None:
    if found["audit"] is None:
        paper.line("There is no audit yet. Complete one with: stopwork audit INCIDENT")
    else:
        paper.line(f"Audit of {paper.when(found['audit']['at'])} by {found['audit']['by']['id']}.")
        paper.table(
            ("question", "answer", "the records cannot tell"),
            [
                (each["question"], each["summary"], "; ".join(each["missing"]))
                for each in found["audit"]["answers"]
            ],
            empty="",
        )
    paper.heading("Objects that were changed")
    paper.table(
        ("object", "operation", "before", "after", "calls", "can be undone"),
        [
            (
                object_name(each["object"]),
                f"{each['operation']} and gone again" if each["transient"] else each["operation"],
                content_of(each["before"]),
                content_of(each["after"]),
                len(each["calls"]),
                "yes" if each["reversible"] else "no",
            )
            for each in found["objects"]
        ],
        empty="None.",
    )


@click.command()
@click.argument("incident")
@click.option("--look", is_flag=True, help="Show the newest audit instead of completing one.")
@answers(_show_audit)
def audit(cli: Invocation, incident: str, *, look: bool) -> Any:
    """Answer the twelve questions about INCIDENT from its records, and record the answers.

    It may be done again: the newest audit counts. The agent's own account is never a source.
    """
    path = "/v1/incidents/{incident}/audit"
    return {
        "audit": cli.server.get(path, incident=incident)
        if look
        else cli.server.post(path, incident=incident),
        "objects": cli.server.get("/v1/incidents/{incident}/objects", incident=incident),
    }
