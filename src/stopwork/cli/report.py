"""The one page of an incident: for a wiki, a tracker, a printer, or a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.kernel.errors import Unavailable

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_page(paper: Paper, found: Any) -> None:
    if "file" in found:
        paper.line(f"{found['file']} is written.")
    else:
        paper.line(_markdown(found).rstrip("\n"))


@click.command()
@click.argument("incident")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, in Markdown; a file of that name is replaced.",
)
@answers(_show_page)
def report(cli: Invocation, incident: str, out: Path | None) -> Any:
    """Print INCIDENT's one-page report in Markdown; as JSON with --json."""
    page = cli.server.get("/v1/incidents/{incident}/report", incident=incident)
    if out is None:
        return page
    try:
        out.write_text(_markdown(page), encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{out} cannot be written: {error.strerror}", hint="Name another file.") from error
    return {"incident": incident, "file": str(out)}


def _markdown(page: Any) -> str:
    import msgspec

    from stopwork.incidents.report import OnePage, markdown

    return markdown(msgspec.convert(page, OnePage))
