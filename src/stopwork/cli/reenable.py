"""The return: eleven checks, the owner's signature, one stage of autonomy at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, yes_option
from stopwork.ledger.words import ReenableCheck

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_INCIDENT = click.argument("incident")
_NOT_OPEN: Final = ("passed", "attested", "excepted")
_HOW: Final = {
    "computed": "by the records alone",
    "attest": "a person attests it",
    "except": "by the records, or an exception of the business owner",
    "sign": "the business owner signs, last",
}


@click.group(cls=Group)
def reenable() -> None:
    """Let the workflow return, stage by stage."""


def _show_checks(paper: Paper, found: Any) -> None:
    paper.table(
        ("check", "state", "why", "how it is answered", "by"),
        [
            (
                c["check"],
                c["state"],
                c["why"],
                None if c["state"] in _NOT_OPEN else _HOW.get(c["how"], c["how"]),
                c["by"],
            )
            for c in found["checks"]
        ],
        empty="No check is known.",
    )
    paper.line()
    _show_next(paper, found)


def _show_next(paper: Paper, found: Any) -> None:
    step = found["next"]
    if step["after"] is None:
        paper.line(f"The stage is {step['before']}. {step['blocked']}")
    elif step["blocked"]:
        paper.line(f"The stage is {step['before']}. Next is {step['after']}, but not yet: {step['blocked']}")
    else:
        paper.line(f"The stage is {step['before']}. The business owner may now raise it to {step['after']}.")


@reenable.command("checks")
@_INCIDENT
@answers(_show_checks)
def show_checks(cli: Invocation, incident: str) -> Any:
    """Show INCIDENT's eleven checks: what holds, what is open, and how it is answered."""
    return cli.server.get("/v1/incidents/{incident}/return", incident=incident)


@reenable.command("status")
@_INCIDENT
@answers(_show_next)
def status(cli: Invocation, incident: str) -> Any:
    """Show the stage, the next one, and what it still needs."""
    return cli.server.get("/v1/incidents/{incident}/return", incident=incident)


def _show_answered(paper: Paper, found: Any) -> None:
    paper.line(f"{found['check']} is {found['state']}: {found['why']}")


@reenable.command("answer")
@_INCIDENT
@click.argument("check", type=click.Choice([each.value for each in ReenableCheck]))
@click.option("--note", metavar="TEXT", help="What you know and how; asked for when it is left out.")
@answers(_show_answered)
def answer_check(cli: Invocation, incident: str, check: str, note: str | None) -> Any:
    """Answer a check that records cannot answer: attest it, take an exception, or sign as the owner."""
    body = {"note": cli.ask(note, "What do you know, and how?", option="--note")}
    return cli.server.post("/v1/incidents/{incident}/checks/{check}", body, incident=incident, check=check)


def _show_raised(paper: Paper, found: Any) -> None:
    paper.line(f"The workflow is on the stage {found['stage']} now.")


@reenable.command("raise")
@_INCIDENT
@yes_option
@answers(_show_raised)
def raise_stage(cli: Invocation, incident: str, *, yes: bool) -> Any:
    """Give one stage of autonomy back, as the business owner. The first stage ends the incident's holds."""
    found = cli.server.get("/v1/incidents/{incident}/return", incident=incident)
    step = found["next"]
    if step["after"] is not None and not step["blocked"]:
        cli.confirm(f"Raise the stage from {step['before']} to {step['after']}?", yes=yes)
    return cli.server.post("/v1/incidents/{incident}/raise", incident=incident)
