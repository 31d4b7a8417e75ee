"""Versions of a manifest: who wrote, who signed, what changed; ``approve`` and ``decline`` answer what waits for a second person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, reason_option, yes_option
from stopwork.cli.manifests import change_table
from stopwork.cli.printing import in_short

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_WORKFLOW = click.argument("workflow")
_VERSION = click.argument("version", type=click.IntRange(min=1))


@click.group(cls=Group, default="list")
def versions() -> None:
    """Versions of a manifest: what each changed, and who signed it."""


def _show_versions(paper: Paper, found: Any) -> None:
    paper.table(
        ("version", "state", "in force since", "by", "signed by", "reason"),
        [
            (
                each["version"],
                each["state"],
                paper.when(each["in_force_since"]) if each["in_force_since"] else None,
                each["by"]["id"],
                _signed_by(each),
                in_short(each["reason"]),
            )
            for each in found
        ],
        empty="No version is recorded.",
    )


def _signed_by(version: Any) -> str | None:
    return version["decided_by"]["id"] if version["decided_by"] and version["state"] == "applied" else None


@versions.command("list")
@_WORKFLOW
@paged
@answers(_show_versions)
def list_versions(cli: Invocation, workflow: str, limit: int, after: str | None) -> Any:
    """List the versions of a workflow's manifest, newest first."""
    return cli.page("/v1/workflows/{workflow}/versions", workflow=workflow, limit=limit, after=after)


def _show_version(paper: Paper, found: Any) -> None:
    version = found["version"]
    paper.facts(
        {
            "workflow": version["workflow"],
            "version": version["version"],
            "state": "in force" if found["in_force"] else version["state"],
            "written by": f"{version['by']['id']}, {paper.when(version['at'])}",
            "reason": version["reason"],
            "signed by": _signed_by(version),
            "in force since": paper.when(version["in_force_since"]) if version["in_force_since"] else None,
            "said": version["note"] or None,
            "waits for": " or ".join(found["signers"]) or None,
            "digest": version["digest"],
        }
    )
    if found["basis"] is not None:
        paper.heading(f"Against version {found['basis']}")
        change_table(paper, found["changes"], loosens=found["loosens"])


@versions.command("show")
@_WORKFLOW
@_VERSION
@answers(_show_version)
def show_version(cli: Invocation, workflow: str, version: int) -> Any:
    """Show a version, and what it changes against the one it was made from."""
    return _get(cli, workflow, version)


def _show_answered(paper: Paper, found: Any) -> None:
    version, workflow = found["version"], found["workflow"]
    if found["state"] == "applied":
        paper.line(f"Version {version} of {workflow} is in force, signed by {found['decided_by']['id']}.")
    else:
        paper.line(f"Version {version} of {workflow} is {found['state']}: {found['note']}")


@versions.command("approve")
@_WORKFLOW
@_VERSION
@click.option("--note", metavar="TEXT", default="", help="What should be remembered with the signature.")
@click.option(
    "--digest",
    metavar="DIGEST",
    help="The text you saw, from versions show; then nothing is shown or asked again.",
)
@yes_option
@answers(_show_answered)
def approve_version(
    cli: Invocation, workflow: str, version: int, note: str, digest: str | None, *, yes: bool
) -> Any:
    """Sign a version that somebody else proposed; from then on it is in force."""
    if digest is None:
        found = _get(cli, workflow, version)
        if not cli.as_json:
            cli.show(_show_version, found)
        cli.confirm(f"Sign version {version} of {workflow} and put it in force?", yes=yes)
        digest = found["version"]["digest"]
    return cli.server.post(
        "/v1/workflows/{workflow}/versions/{version}/approve",
        {"digest": digest, "note": note},
        workflow=workflow,
        version=version,
    )


@versions.command("decline")
@_WORKFLOW
@_VERSION
@reason_option("Why, for its author; asked for when it is left out.")
@answers(_show_answered)
def decline_version(cli: Invocation, workflow: str, version: int, reason: str | None) -> Any:
    """Turn a proposed version down, or withdraw your own."""
    reason = cli.ask(reason, "Why is it declined?", option="--reason")
    return cli.server.post(
        "/v1/workflows/{workflow}/versions/{version}/decline",
        {"reason": reason},
        workflow=workflow,
        version=version,
    )


def _get(cli: Invocation, workflow: str, version: int) -> Any:
    return cli.server.get("/v1/workflows/{workflow}/versions/{version}", workflow=workflow, version=version)
