"""Who this machine speaks for: ``login``, ``logout``, and whether the server is well: ``health``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.exits import Exit
from stopwork.cli.invocation import Answer, Invocation, answers
from stopwork.cli.settings import Login, forget_login, keep_login
from stopwork.kernel.phrases import count_of, lasting

if TYPE_CHECKING:
    from stopwork.cli.client import Server
    from stopwork.cli.printing import Paper


def _show_login(paper: Paper, found: Any) -> None:
    until = f" until {paper.when(found['expires_at'])}" if found["expires_at"] else ""
    paper.line(f"Signed in to {found['url']} as {found['principal']['id']}{until}.")
    paper.line(f"Written to {found['file']}, which only you can read.")


@click.command()
@click.argument("address")
@click.option("--token", metavar="TOKEN", help="The token; asked for when it is left out.")
@answers(_show_login, remote=False)
def login(cli: Invocation, address: str, token: str | None) -> Any:
    """Remember a server and a token.

    ADDRESS is the server's address, or a one-time sign-in link: the link is used up and signs you in for some hours. A
    token is asked for and not shown. It is tried before it is written down, and is used for this server only.
    """
    url, _, link = address.strip().partition("/sign-in/")
    if link:
        issued = _ask(Login(url=url, token=""), lambda server: server.post("/v1/sessions", {"secret": link}))
        known, expires_at = Login(url=url, token=issued["secret"]), issued["credential"]["expires_at"]
    else:
        secret = cli.ask(token, "Token", option="--token", hidden=True)
        known, expires_at = Login(url=url.rstrip("/"), token=secret.strip()), None
    principal = _ask(known, lambda server: server.get("/v1/me"))["principal"]
    file = keep_login(known)
    return {"url": known.url, "principal": principal, "expires_at": expires_at, "file": str(file)}


def _ask(known: Login, question: Callable[[Server], Any]) -> Any:
    from stopwork.cli.client import Server

    server = Server(known)
    try:
        return question(server)
    finally:
        server.close()


def _show_logout(paper: Paper, found: Any) -> None:
    paper.line("Signed out here." if found["removed"] else "Nobody was signed in here.")
    paper.line("The token itself stays valid until it expires or is revoked: stopwork token revoke")


@click.command()
@answers(_show_logout, remote=False)
def logout(_cli: Invocation) -> Any:
    """Forget the server and the token."""
    return {"removed": forget_login()}


def _show_health(paper: Paper, found: Any) -> None:
    paper.facts(
        {
            "well": "yes" if found["ok"] else "no",
            "writing": f"refused: {found['refused']}" if found["refused"] else "works",
            "version": found["version"],
            "journal": f"{found['entries']:,} entries, {found['sealed']:,} of them sealed",
        }
    )
    paper.heading("Background work")
    paper.table(
        ("duty", "last done", "last failed", "behind", "problem"),
        [
            (
                duty["name"],
                paper.when(duty["succeeded_at"]),
                paper.when(duty["failed_at"]),
                f"{count_of(duty['behind'], 'entry')}, {lasting(duty['behind_s'])}"
                if duty["behind"]
                else None,
                duty["error"] or ("silent for too long" if duty["silent"] else None),
            )
            for duty in found["duties"]
        ],
        empty="None.",
    )


@click.command()
@answers(_show_health, public=True)
def health(cli: Invocation) -> Any:
    """Say whether the server is well, its background work included. Needs no token; exit code 5 when it is not."""
    found = cli.server.get("/v1/health")
    return found if found["ok"] else Answer(value=found, exit=Exit.UNAVAILABLE)
