"""Containment: the checklist of what could do more harm, and how each item was made safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.ledger.words import ContainmentState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_ENDS = [each.value for each in ContainmentState if each is not ContainmentState.PROPOSED]


def _show_checklist(paper: Paper, found: Any) -> None:
    paper.table(
        ("item", "what", "why", "state", "by", "verified how"),
        [
            (
                each["id"].partition("/")[2],
                each["what"],
                each["why"],
                each["state"],
                each["by"]["id"] if each["by"] else None,
                each["verified_how"],
            )
            for each in found
        ],
        empty="There is nothing to contain.",
    )


@click.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.argument("item", required=False)
@click.argument("state", required=False, type=click.Choice(_ENDS))
@click.option("--how", metavar="TEXT", help="How it was verified; asked for when it is left out.")
@answers(_show_checklist)
def contain(cli: Invocation, incident_id: str, item: str | None, state: str | None, how: str | None) -> Any:
    """Show INCIDENT's checklist, or record how one ITEM of it ended.

    An ITEM is named as the checklist has it: secrets/1.
    """
    if item is not None:
        if state is None:
            raise click.UsageError(f"say how {item} ended: {', '.join(_ENDS)}")
        body = {"state": state, "verified_how": cli.ask(how, "How was it verified?", option="--how")}
        full_name = item if item.startswith(f"{incident_id}/") else f"{incident_id}/{item}"
        cli.server.post("/v1/containment/{item:path}", body, item=full_name)
    return cli.server.post("/v1/incidents/{incident}/containment", incident=incident_id)
