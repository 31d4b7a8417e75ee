"""``up``: run the server, the console and the background work in one process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.extras import server_extra
from stopwork.cli.folders import blobs_option, data_option, database_option, settings_option
from stopwork.cli.invocation import paper

if TYPE_CHECKING:
    from stopwork.server.main import Serving

PASSWORD_VARIABLE: Final = "STOPWORK_SMTP_PASSWORD"  # noqa: S105 - a name, not a secret


@click.command()
@data_option("The folder that holds the database, the signing key and the evidence.")
@database_option("A PostgreSQL database that several servers share, instead of the file in the folder.")
@blobs_option("A bucket for attachments and other large content, instead of the folder.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8321,
    show_default=True,
    help="0 takes a free one.",
)
@settings_option("--systems", "The systems that hold the objects agents change: a YAML file.")
@settings_option(
    "--anchors", "The places that keep checkpoints of the log, out of this server's reach: a YAML file."
)
@settings_option("--hooks", "What this server may do to make safe what an incident touched: a YAML file.")
@settings_option(
    "--intake", "How other tools report: a YAML file of webhooks, and of agents as traces name them."
)
@click.option(
    "--smtp",
    metavar="URL",
    help=f"Send messages through smtp://user@host:port, with {PASSWORD_VARIABLE}. Otherwise they become files.",
)
@click.option(
    "--sender", metavar="ADDRESS", default="stopwork@localhost", show_default=True, help="Who mail is from."
)
@click.option("--public-url", metavar="URL", help="The address under which people reach it, for links.")
@click.option("--json", "as_json", is_flag=True, help="Say where it is as one JSON object.")
def up(
    *,
    data: Path,
    database: str | None,
    blobs: str | None,
    host: str,
    port: int,
    systems: Path | None,
    intake: Path | None,
    anchors: Path | None,
    hooks: Path | None,
    smtp: str | None,
    sender: str,
    public_url: str | None,
    as_json: bool,
) -> None:
    """Run the server until it is stopped with Ctrl-C or SIGTERM.

    The link that it prints signs the first person in, once.
    """

    def ready(serving: Serving) -> None:
        facts = {"url": serving.url, "sign_in": serving.sign_in_link, "data": str(data), "pid": os.getpid()}
        _announce(facts, as_json=as_json)

    # Without this SIGTERM would end the process before the files are closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server_extra("up"):
        from stopwork.anchors.settings import read_anchors_file
        from stopwork.hooks.settings import read_hooks_file
        from stopwork.notify.outlet import Outlet
        from stopwork.operations.intake_file import read_intake_file
        from stopwork.server.main import serve
        from stopwork.systems.load import read_systems_file

        outlet = (
            Outlet.to_smtp(smtp, sender=sender, password=os.environ.get(PASSWORD_VARIABLE)) if smtp else None
        )
        connected = read_systems_file(systems, env=os.environ) if systems else {}
        ways = read_intake_file(intake, env=os.environ) if intake else None
        places = read_anchors_file(anchors, env=os.environ) if anchors else None
        deeds = read_hooks_file(hooks, env=os.environ) if hooks else None
        try:
            serve(
                data,
                ready=ready,
                database=database,
                blobs=blobs,
                host=host,
                port=port,
                public_url=public_url,
                systems=connected,
                ways=ways,
                outlet=outlet,
                anchors=places,
                hooks=deeds,
            )
        except KeyboardInterrupt:
            if not as_json:
                click.echo("Stopped.", err=True)


def _announce(facts: dict[str, Any], *, as_json: bool) -> None:
    from stopwork.cli.printing import write_json

    if as_json:
        write_json(facts, sys.stdout)
    else:
        page = paper(sys.stdout)
        page.line(f"Stopwork is at {facts['url']}")
        page.line("Sign in once with this link, within the hour:")
        page.line(f"  {facts['sign_in']}")
        page.line(f"Its data is in {facts['data']}. Stop it with Ctrl-C.")
    sys.stdout.flush()
