"""Who this machine speaks for: ``login``, ``logout``, and whether the server is well: ``health``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.exits import Exit
from stopwork.cli.invocation import Answer, Invocation, answers
from stopwork.cli.settings import TOKEN_VARIABLE, URL_VARIABLE, Login, forget_login, keep_login

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_login(paper: Paper, found: Any) -> None:
    paper.line(f"Signed in to {found['url']} as {found['principal']['id']} ({found['principal']['kind']}).")
    paper.line(f"Written to {found['file']}, which only you can read.")


@click.command()
@click.argument("url")
@click.option("--token", metavar="TOKEN", help="The token; asked for when it is left out.")
@answers(_show_login, remote=False)
def login(cli: Invocation, url: str, token: str | None) -> Any:
    """Remember a server and a token.

    The token is asked for and not shown; stopwork token create makes one. It is tried before it is written down, and
    it is used for this server only.
    """
    from stopwork.cli.client import Server

    secret = cli.ask(token, "Token", option="--token", hidden=True).strip()
    known = Login(url=url.strip().rstrip("/"), token=secret)
    server = Server(known)
    try:
        principal = server.get("/v1/me")["principal"]
    finally:
        server.close()
    return {"url": known.url, "principal": principal, "file": str(keep_login(known))}


def _show_logout(paper: Paper, found: Any) -> None:
    paper.line("Signed out here." if found["removed"] else "Nobody was signed in here.")
    paper.line("The token itself stays valid until it expires or is revoked: stopwork token revoke")


@click.command()
@answers(_show_logout, remote=False)
def logout(_cli: Invocation) -> Any:
    """Forget the server and the token."""
    return {"removed": forget_login()}


def _show_health(paper: Paper, found: Any) -> None:
    facts = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    paper.facts(facts)
    for name, value in found.items():
        if isinstance(value, list):
            paper.heading(name)
            for each in value:
                paper.line(f"  {json.dumps(each, ensure_ascii=False) if isinstance(each, dict) else each}")
        elif isinstance(value, dict):
            paper.heading(name)
            paper.facts(value)


@click.command(epilog=f"Without --url the address is that of {URL_VARIABLE}, {TOKEN_VARIABLE} is not needed.")
@answers(_show_health)
def health(cli: Invocation) -> Any:
    """Say whether the server is well, its background work included."""
    found = cli.server.get("/v1/health")
    return found if _is_well(found) else Answer(value=found, exit=Exit.UNAVAILABLE)


def _is_well(found: Any) -> bool:
    return bool(found.get("ok", True))
