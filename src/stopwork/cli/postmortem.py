"""The postmortem: filled from records, completed in an editor, closed when it changes a control."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, yes_option
from stopwork.kernel.errors import Invalid

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_INCIDENT = click.argument("incident")


@click.group(cls=Group)
def postmortem() -> None:
    """Why the system allowed it, and which controls change."""


def _show_postmortem(paper: Paper, found: Any) -> None:
    paper.facts(
        {
            "incident": found["incident"],
            "written": f"{paper.when(found['at'])} by {found['by']['id']}",
            "closed": paper.when(found["closed_at"]) if found["closed_at"] else "no",
        }
    )
    for name, text in found["fields"].items():
        paper.heading(name.replace("_", " "))
        paper.line(text or "(still to be written)")
    paper.heading("follow-ups")
    paper.table(
        ("what", "owner", "due", "remediation"),
        [
            (each["what"], each["owner"], each["due_date"], ", ".join(each["remediation"]))
            for each in found["follow_ups"]
        ],
        empty="None yet.",
    )


@postmortem.command("show")
@_INCIDENT
@answers(_show_postmortem)
def show_postmortem(cli: Invocation, incident: str) -> Any:
    """Show INCIDENT's postmortem, as far as records and people have filled it."""
    return cli.server.get("/v1/incidents/{incident}/postmortem", incident=incident)


@postmortem.command("edit")
@_INCIDENT
@click.option(
    "--set", "changes", multiple=True, metavar="FIELD=TEXT", help="Write one field; give it once for each."
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Take fields and follow_ups from this JSON file, as postmortem show --json prints them.",
)
@answers(_show_postmortem)
def edit_postmortem(cli: Invocation, incident: str, changes: tuple[str, ...], file: Path | None) -> Any:
    """Write INCIDENT's postmortem and save it.

    Without --set and --file it is opened in your editor.
    """
    known = cli.server.get("/v1/incidents/{incident}/postmortem", incident=incident)
    written = {"fields": known["fields"], "follow_ups": known["follow_ups"]}
    if file is not None:
        written |= _parse(file.read_text(encoding="utf-8"), str(file))
    elif not changes:
        written |= _parse(
            cli.edit(_as_text(written), option="--set or --file", extension=".json"), "the text"
        )
    written["fields"] = written["fields"] | dict(map(_assignment, changes))
    return cli.server.put("/v1/incidents/{incident}/postmortem", written, incident=incident)


def _show_closed(paper: Paper, found: Any) -> None:
    paper.line(f"The postmortem of {found['incident']} is closed. The incident itself is not closed by that.")


@postmortem.command("close")
@_INCIDENT
@yes_option
@answers(_show_closed)
def close_postmortem(cli: Invocation, incident: str, *, yes: bool) -> Any:
    """Close INCIDENT's postmortem; it cannot be changed afterwards."""
    cli.confirm("Close the postmortem for good?", yes=yes)
    return cli.server.post("/v1/incidents/{incident}/postmortem/close", incident=incident)


def _as_text(written: dict[str, Any]) -> str:
    import json

    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def _parse(text: str, name: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
        return {part: found[part] for part in ("fields", "follow_ups") if part in found}
    except (ValueError, TypeError) as error:
        raise Invalid(
            f"{name} is not a postmortem in JSON: {error}",
            hint="Begin with: stopwork postmortem show INCIDENT --json",
        ) from error


def _assignment(change: str) -> tuple[str, str]:
    name, equals, text = change.partition("=")
    if not equals:
        raise click.UsageError(f"--set {change}: write FIELD=TEXT")
    return name.strip(), text
