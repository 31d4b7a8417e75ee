"""Sorting incidents: accept, decline, merge, split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers, reason_option
from stopwork.kernel.phrases import listed

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_INCIDENT = click.argument("incident_id", metavar="INCIDENT")


def _show_standing(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} is {found['status']}; {found['commander']} commands it.")


@click.command()
@_INCIDENT
@answers(_show_standing)
def accept(cli: Invocation, incident_id: str) -> Any:
    """Take the proposed INCIDENT on. You command it until you hand it over."""
    return cli.server.post("/v1/incidents/{incident}/accept", incident=incident_id)


def _show_declined(paper: Paper, found: Any) -> None:
    paper.line(f"{found['incident']['id']} is declined.")
    if found["lifted"]:
        paper.line(f"Lifted: {listed(found['lifted'])}.")
    if found["kept"]:
        paper.line(
            f"People have set {listed(found['kept'])}: a second person lifts them, stopwork holds lift"
        )
    if found["stage"]:
        paper.line(f"The workflow is back at the stage {found['stage']}.")
    if found["stage_stays"]:
        paper.line(f"The stage stays where it is: {found['stage_stays']}.")


@click.command()
@_INCIDENT
@reason_option("Why it is no incident; asked for when it is left out.")
@answers(_show_declined)
def decline(cli: Invocation, incident_id: str, reason: str | None) -> Any:
    """Say that INCIDENT is none.

    The holds that rules set for it are lifted, and the autonomy they took is given back: where there are such, only the business
    owner declines it.
    """
    body = {"reason": cli.ask(reason, "Why is it no incident?", option="--reason")}
    return cli.server.post("/v1/incidents/{incident}/decline", body, incident=incident_id)


@click.command()
@_INCIDENT
@click.argument("into", metavar="OTHER")
@reason_option("Why they are one; asked for when it is left out.")
@answers(_show_standing)
def merge(cli: Invocation, incident_id: str, into: str, reason: str | None) -> Any:
    """Let INCIDENT go on in OTHER, which gets its signals, runs and holds."""
    body = {"into": into, "reason": cli.ask(reason, "Why are they one?", option="--reason")}
    return cli.server.post("/v1/incidents/{incident}/merge", body, incident=incident_id)


@click.command()
@_INCIDENT
@click.option("--signal", "signals", multiple=True, metavar="ID", help="Give it once for each signal.")
@click.option("--run", "runs", multiple=True, metavar="ID", help="Give it once for each run.")
@click.option("--title", metavar="TEXT", help="In a few words; otherwise it is made from the type.")
@reason_option("Why it is another cause; asked for when it is left out.")
@answers(_show_standing)
def split(
    cli: Invocation,
    incident_id: str,
    signals: tuple[str, ...],
    runs: tuple[str, ...],
    title: str | None,
    reason: str | None,
) -> Any:
    """Open an incident of its own for some signals and runs of INCIDENT."""
    body = {
        "signals": list(signals),
        "runs": list(runs),
        "title": title,
        "reason": cli.ask(reason, "Why is it another cause?", option="--reason"),
    }
    return cli.server.post("/v1/incidents/{incident}/split", body, incident=incident_id)


def _show_readers(paper: Paper, found: Any) -> None:
    if found["private"]:
        paper.line(f"{found['id']} is seen by {listed(found['readers'], most=9)} and by administrators only.")
    else:
        paper.line(f"{found['id']} is seen by everybody.")


@click.command()
@_INCIDENT
@click.option(
    "--reader", "readers", multiple=True, metavar="ADDRESS", help="Who sees it; give it once for each."
)
@reason_option("Why; asked for when it is left out.")
@answers(_show_readers)
def restrict(cli: Invocation, incident_id: str, readers: tuple[str, ...], reason: str | None) -> Any:
    """Make INCIDENT private: for whoever is not named, there is none.

    You and its commander always see it, and so do administrators.
    """
    body = {"readers": list(readers), "reason": cli.ask(reason, "Why is it private?", option="--reason")}
    return cli.server.post("/v1/incidents/{incident}/restrict", body, incident=incident_id)


@click.command("open-up")
@_INCIDENT
@reason_option("Why; asked for when it is left out.")
@answers(_show_readers)
def open_up(cli: Invocation, incident_id: str, reason: str | None) -> Any:
    """Let everybody see the private INCIDENT again."""
    body = {"reason": cli.ask(reason, "Why is it not private any more?", option="--reason")}
    return cli.server.post("/v1/incidents/{incident}/open-up", body, incident=incident_id)


def _show_tags(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']}: {', '.join(found['tags']) or 'no tag'}")


@click.command()
@_INCIDENT
@click.argument("tags", nargs=-1, metavar="[TAG]...")
@answers(_show_tags)
def tag(cli: Invocation, incident_id: str, tags: tuple[str, ...]) -> Any:
    """Give INCIDENT these TAGs and no others: ids of OWASP's and MITRE ATLAS's lists, such as ASI01 or AML.T0051.001."""
    return cli.server.post("/v1/incidents/{incident}/tags", {"tags": list(tags)}, incident=incident_id)


def _show_checklist(paper: Paper, found: Any) -> None:
    paper.table(
        ("item", "question", "answer", "by", "when"),
        [
            (each["id"], each["question"], each["answer"] or None, each["by"] or None, paper.when(each["at"]))
            for each in found["checklist"]
        ],
        empty="Its workflow asked no questions of its own when it was opened.",
    )


@click.command()
@_INCIDENT
@click.argument("item", required=False)
@click.option("--answer", metavar="TEXT", help="The answer; asked for when it is left out.")
@answers(_show_checklist)
def checklist(cli: Invocation, incident_id: str, item: str | None, answer: str | None) -> Any:
    """Show the questions of INCIDENT's own checklist, or answer the ITEM of it in your name."""
    if item is None:
        return cli.server.get("/v1/incidents/{incident}", incident=incident_id)
    body = {"item": item, "answer": cli.ask(answer, "What is the answer?", option="--answer")}
    return cli.server.post("/v1/incidents/{incident}/checklist", body, incident=incident_id)


COMMANDS = (accept, decline, merge, split, restrict, open_up, tag, checklist)
