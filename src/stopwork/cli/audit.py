"""The side-effect audit: twelve questions answered from records, and every object that was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.cli.printing import content_of, object_name
from stopwork.cli.timeline import moment
from stopwork.kernel.phrases import listed
from stopwork.ledger.words import ImageState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


_LINKS = {
    "changed": "changed the object",
    "read": "read the object",
    "named": "was to change the object; no change of it was seen",
    "after": "wrote after its run read it",
}


def _show_audit(paper: Paper, found: Any) -> None:
    audit = found["audit"]
    if audit is None:
        paper.line("There is no audit yet. Complete one with: stopwork audit INCIDENT")
    else:
        paper.line(f"Audit of {paper.when(audit['at'])} by {audit['by']['id']}.")
        for said in (audit["completeness"] or {}).get("says", ()):
            paper.line(said)
    paper.heading("Objects that were changed")
    paper.table(
        ("object", "operation", "before", "after", "calls", "can be undone"),
        [
            (
                object_name(each["object"]),
                "created and removed again" if each["transient"] else each["operation"],
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
        if audit["followed"] is not None:
            _show_followed(paper, audit["followed"])
        _show_answers(paper, audit["answers"])


def _after(found: Any) -> str:
    """Answer what the calls left, or that nobody saw it and what the audit found instead."""
    if found["seen"] is None:
        return content_of(found["after"])
    return f"not seen; the audit found {content_of(found['seen'], most=60)}"


def _records(ids: Any) -> str:
    return listed(ids, most=3) or "nothing"


def _undoable(found: Any) -> str:
    if found["after"]["state"] == ImageState.UNKNOWN:
        return "once it is known what was left"
    return "yes" if found["reversible"] else "no"


def _show_followed(paper: Paper, found: Any) -> None:
    paper.heading("What followed")
    paper.table(
        ("call", "workflow", "tool", "when", "what", "path"),
        [
            (
                each["call"],
                each["workflow"],
                each["tool"],
                paper.when(each["at"]),
                _LINKS[each["kind"]],
                " → ".join(each["path"]),
            )
            for each in found["links"]
        ],
        empty="No later call changed, read or named what these calls changed.",
    )
    for each in found["automations"]:
        paper.line(f"may have reacted: {each}")
    for each in (found["cut"], *found["missing"]):
        if each:
            paper.line(each)


def _show_answers(paper: Paper, given: Any) -> None:
    paper.heading("Twelve answers from the records")
    paper.table(
        ("question", "answer", "rests on"),
        [(each["question"], each["summary"], _records(each["records"])) for each in given],
        empty="None.",
    )
    paper.line("A record is shown with: stopwork runs show, calls show, approvals show. All of them: --json")
    gaps = [(each["question"], gap) for each in given for gap in each["missing"]]
    if gaps:
        paper.heading("What the records cannot tell")
        paper.table(("question", "missing"), gaps, empty="")


def _object(text: str) -> dict[str, str]:
    parts = text.split("/", 2)
    if len(parts) < 3 or not all(parts):
        raise click.BadParameter(f"{text!r} is no object; write system/type/id", param_hint="--object")
    return dict(zip(("system", "type", "id"), parts, strict=True))


@click.command()
@click.argument("incident")
@click.option("--look", is_flag=True, help="Show the newest audit instead of completing one.")
@click.option("--run", "runs", multiple=True, metavar="ID", help="Only calls of this run of the workflow.")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="Only calls of this tool.")
@click.option(
    "--object", "objects", multiple=True, metavar="SYSTEM/TYPE/ID", help="Only calls that changed it."
)
@click.option(
    "--version", "versions", multiple=True, type=int, metavar="NUMBER", help="Only calls under this version."
)
@click.option("--since", type=moment, metavar="TIME", help="Only calls from this time on.")
@click.option("--until", type=moment, metavar="TIME", help="Only calls before this time.")
@click.option(
    "--followed", is_flag=True, help="Also what other calls did with the objects afterwards, of any workflow."
)
@answers(_show_audit)
def audit(cli: Invocation, incident: str, *, look: bool, objects: tuple[str, ...], **scope: Any) -> Any:
    """Answer the twelve questions about INCIDENT from its records, and record the answers.

    It is about the incident's runs; --run, --version, --since and --until ask all runs of the workflow instead. Options that may
    come several times ask for any of these. It may be done again: the newest audit counts, and a recovery is proposed for what it is
    about. The agent's own account is never a source.
    """
    path = "/v1/incidents/{incident}/audit"
    asked = {name: value or None for name, value in scope.items()}
    body = asked | {"objects": [_object(each) for each in objects] or None}
    if look and any(body.values()):
        raise click.UsageError("--look shows the newest audit as it is; leave the scope out")
    return {
        "audit": cli.server.get(path, incident=incident)
        if look
        else cli.server.post(path, body, incident=incident),
        "objects": cli.server.get("/v1/incidents/{incident}/objects", incident=incident),
    }
