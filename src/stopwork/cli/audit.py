"""The side-effect audit: twelve questions answered from records, and every object that was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.cli.printing import content_of, object_name
from stopwork.ledger.words import ImageState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_audit(paper: Paper, found: Any) -> None:
    audit = found["audit"]
    if audit is None:
        paper.line("There is no audit yet. Complete one with: stopwork audit INCIDENT")
    else:
        paper.line(f"Audit of {paper.when(audit['at'])} by {audit['by']['id']}.")
    paper.heading("Objects that were changed")
    paper.table(
        ("object", "operation", "before", "after", "calls", "can be undone"),
        [
            (
                object_name(each["object"]),
                f"{each['operation']} and gone again" if each["transient"] else each["operation"],
                content_of(each["before"]),
                _after(each),
                len(each["calls"]),
                _undoable(each),
            )
            for each in found["objects"]
        ],
        empty="None.",
    )
    if audit is not None:
        _show_answers(paper, audit["answers"])


def _after(found: Any) -> str:
    """Answer what the calls left, or that nobody saw it and what the audit found instead."""
    if found["seen"] is None:
        return content_of(found["after"])
    return f"not seen; the audit found {content_of(found['seen'], most=60)}"


def _undoable(found: Any) -> str:
    if found["after"]["state"] == ImageState.UNKNOWN:
        return "once it is known what was left"
    return "yes" if found["reversible"] else "no"


def _show_answers(paper: Paper, given: Any) -> None:
    paper.heading("Twelve answers from the records")
    paper.table(
        ("question", "answer"), [(each["question"], each["summary"]) for each in given], empty="None."
    )
    gaps = [(each["question"], gap) for each in given for gap in each["missing"]]
    if gaps:
        paper.heading("What the records cannot tell")
        paper.table(("question", "missing"), gaps, empty="")


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
