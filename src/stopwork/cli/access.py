"""Who may come in: tokens for agents and people, one-time sign-in links for the console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from stopwork.cli.extras import server_extra
from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, reason_option
from stopwork.ledger.words import PrincipalKind

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def duration_s(text: str) -> int:
    """Answer the seconds of a length of time as manifests write it: ``45m``, ``12h``, ``30d``."""
    from stopwork.manifest.duration import Duration

    try:
        return int(Duration.parse(text).total_seconds())
    except ValueError as error:
        raise click.BadParameter(f"{error}; write 45m, 12h or 30d") from error


@click.group(cls=Group, default="list")
def token() -> None:
    """Tokens for agents, people, feeds and reporters. Only a digest of each is kept."""


def _show_issued(paper: Paper, found: Any) -> None:
    credential = found["credential"]
    paper.line(found["secret"])
    paper.line()
    paper.facts(
        {
            "token": credential["id"],
            "for": f"{credential['principal']['id']} ({credential['principal']['kind']})",
            "until": paper.when(credential["expires_at"]) if credential["expires_at"] else "it is revoked",
        }
    )
    paper.line("It is shown this once. Keep it where secrets are kept.")


@token.command("create")
@click.option(
    "--agent", metavar="WORKFLOW", help="For the agent of this workflow. It can never approve or lift."
)
@click.option("--person", metavar="ADDRESS", help="For a person.")
@click.option(
    "--feed", metavar="SYSTEM", help="For whatever tells what changed in this system. It can do nothing else."
)
@click.option(
    "--reporter", metavar="NAME", help="For a tool that says what it noticed. It can do nothing else."
)
@click.option(
    "--monitor",
    metavar="NAME",
    help="For who follows the log's checkpoints and hashes. It can do nothing else.",
)
@click.option("--valid-for", "valid_for_s", type=duration_s, metavar="DURATION", help="For example 30d.")
@click.option("--administrator", is_flag=True, help="A person who looks after this installation.")
@answers(_show_issued)
def create_token(cli: Invocation, valid_for_s: int | None, *, administrator: bool, **whom: str | None) -> Any:
    """Make a token and show it once."""
    asked = [(PrincipalKind(kind), name) for kind, name in whom.items() if name]
    if len(asked) != 1:
        raise click.UsageError(
            "give one of --agent WORKFLOW, --person ADDRESS, --feed SYSTEM, --reporter NAME or --monitor NAME"
        )
    [(kind, name)] = asked
    body = {"kind": kind, "id": name, "valid_for_s": valid_for_s, "administrator": administrator}
    return cli.server.post("/v1/tokens", body)


def _show_tokens(paper: Paper, found: Any) -> None:
    paper.table(
        ("token", "for", "kind", "made", "until", "state"),
        [
            (
                each["id"],
                each["principal"]["id"],
                "one-time link" if each["once"] else each["principal"]["kind"],
                paper.when(each["created_at"]),
                paper.when(each["expires_at"]) if each["expires_at"] else "it is revoked",
                "revoked" if each["revoked_at"] else None,
            )
            for each in found
        ],
        empty="No token was made.",
    )


@token.command("list")
@paged
@answers(_show_tokens)
def list_tokens(cli: Invocation, **filters: Any) -> Any:
    """List tokens, without their secrets."""
    return cli.page("/v1/tokens", **filters)


def _show_revoked(paper: Paper, found: Any) -> None:
    paper.line(f"{found['revoked']} is revoked; it opens nothing any more.")


@token.command("revoke")
@click.argument("token_id", metavar="TOKEN_ID")
@reason_option("Why; asked for when it is left out.")
@answers(_show_revoked)
def revoke_token(cli: Invocation, token_id: str, reason: str | None) -> Any:
    """End a token at once. TOKEN_ID is its id (cred_…), not its secret."""
    body = {"reason": cli.ask(reason, "Why is it revoked?", option="--reason")}
    cli.server.post("/v1/tokens/{credential}/revoke", body, credential=token_id)
    return {"revoked": token_id}


@click.group(cls=Group)
def user() -> None:
    """People who sign in to the console."""


def _show_link(paper: Paper, found: Any) -> None:
    paper.line(found["link"])
    paper.line()
    paper.line(f"It signs {found['address']} in once, until {paper.when(found['expires_at'])}.")


@user.command("link")
@click.argument("address")
@click.option("--administrator", is_flag=True, help="A person who looks after this installation.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Make it in this data folder, while the server is stopped; for when nobody can sign in.",
)
@answers(_show_link)
def make_link(cli: Invocation, address: str, data: Path | None, *, administrator: bool) -> Any:
    """Make a link that signs ADDRESS in to the console, once, within the next hour."""
    base = cli.login.url
    if data is not None:
        secret, expires_at = _link_offline(data, address, administrator=administrator)
    else:
        issued = cli.server.post("/v1/links", {"address": address, "administrator": administrator})
        secret, expires_at = issued["secret"], issued["credential"]["expires_at"]
    return {"address": address, "link": f"{base}/sign-in/{quote(secret)}", "expires_at": expires_at}


def _link_offline(folder: Path, address: str, *, administrator: bool) -> tuple[str, str | None]:
    with server_extra("user link --data"):
        from stopwork.ledger.records import Principal
        from stopwork.operations import credentials
        from stopwork.operations.installation import Installation

        with Installation.open(folder) as installation:
            issued = installation.store.write(
                lambda tx: credentials.issue(
                    tx,
                    principal=Principal(kind=PrincipalKind.PERSON, id=address),
                    valid_for=credentials.LINK_VALID_FOR,
                    once=True,
                    administrator=administrator,
                )
            )
    expires_at = issued.credential.expires_at
    return issued.secret, expires_at.isoformat() if expires_at else None
