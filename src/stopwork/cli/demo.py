"""``demo``: an agent goes wrong on this machine, and is led back to work."""

from __future__ import annotations

from pathlib import Path

import click

from stopwork.cli.extras import server_extra


@click.command()
@click.option("--auto", is_flag=True, help="Play the people too, and print the report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else; needs --auto.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave database, report and evidence bundle in this new or empty folder.",
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="The console's port; a free one if left out.",
)
def demo(*, auto: bool, as_json: bool, keep: Path | None, port: int) -> None:
    """Watch an agent go wrong, and lead it through the ten phases back to work.

    Real processes on this machine: a small CRM, an agent, the server, the console. You are the people, in the console;
    Ctrl-C ends it and nothing of it runs on. With --auto the people are played too: every promise of the ten phases is
    put to the test, the report and the evidence bundle stay in a temporary folder unless --keep names another, and the
    exit code is 1 if a promise was broken.
    """
    if as_json and not auto:
        raise click.UsageError("--json needs --auto: without it you are the one who answers")
    with server_extra("demo"):
        from stopwork.demo.story import run

        code = run(auto=auto, json=as_json, keep=keep, port=port)
    raise click.exceptions.Exit(code)
