"""Webhooks: trying a mapping before a tool uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.extras import server_extra
from stopwork.cli.folders import settings_option
from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers
from stopwork.kernel.errors import Invalid, NotFound

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group)
def webhook() -> None:
    """How other tools report by webhook."""


def _show_mapped(paper: Paper, found: Any) -> None:
    for number, each in enumerate(found["reports"], start=1):
        paper.line(f"Report {number}")
        facts = each.pop("facts", {})
        paper.facts(each | {f"fact {name}": value for name, value in facts.items()})
        paper.line()
    count = len(found["reports"])
    paper.line(
        f"{count} {'report' if count == 1 else 'reports'} would come in; "
        f"{found['unwanted']} of the items are not wanted. Nothing was sent."
    )


@webhook.command("test")
@click.argument("name")
@click.argument("sample", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@settings_option("--intake", "The intake file that the server is given.", required=True)
@answers(_show_mapped)
def test(_cli: Invocation, *, name: str, sample: Path, intake: Path) -> Any:
    """Show what the mapping NAME makes of SAMPLE, a file with the JSON that the tool sends. Nothing is sent."""
    with server_extra("webhook test"):
        from stopwork.operations.intake_file import read_intake_file
        from stopwork.operations.webhooks import described

        known = read_intake_file(intake, env=None).webhooks
        if name not in known:
            raise NotFound(
                f"{intake} has no webhook {name!r}", hint=f"It has: {', '.join(sorted(known)) or 'none'}."
            )
        try:
            body = json.loads(sample.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Invalid(
                f"{sample} is no JSON: {error}", hint="Save what the tool sends, as it is."
            ) from error
        mapped = known[name].reports(body)
        return {"reports": list(described(mapped)), "unwanted": mapped.unwanted}
