"""Declaring a workflow: ``manifest check`` looks at a file here, ``apply`` makes it the version in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.extras import server_extra
from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, reason_option, yes_option
from stopwork.cli.printing import in_short
from stopwork.kernel.errors import Invalid, NotFound
from stopwork.kernel.phrases import count_of

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

MAX_BYTES: Final = 256 * 1024
_MEANING: Final = {True: "gives the agent more room", False: "gives it less", None: "look at it yourself"}

FILE = click.argument("file", type=click.Path(path_type=Path), default=Path("stopwork.yaml"))


def _show_checked(paper: Paper, found: Any) -> None:
    paper.line(f"{found['file']} is a valid manifest of {found['workflow']}.")
    _show_warnings(paper, found)


@click.group(cls=Group)
def manifest() -> None:
    """Look at a manifest without a server."""


@manifest.command("check")
@FILE
@answers(_show_checked, remote=False)
def check_manifest(_cli: Invocation, file: Path) -> Any:
    """Check FILE (stopwork.yaml) on this machine; every problem is named with its line."""
    source = _read(file)
    with server_extra("manifest check"):
        from stopwork.manifest.load import load

        loaded = load(source, filename=str(file))
    return {
        "file": str(file),
        "workflow": loaded.manifest.workflow,
        "digest": loaded.digest,
        "warnings": [{"line": w.line, "field": w.field, "message": w.message} for w in loaded.warnings],
    }


def _show_applied(paper: Paper, found: Any) -> None:
    if found["dry_run"]:
        _show_changes(paper, found)
        paper.line("Nothing was applied.")
    elif found["unchanged"]:
        _show_unchanged(paper, found)
    elif found["proposed"]:
        _show_proposed(paper, found)
    else:
        paper.line(f"Version {found['version']} of {found['workflow']} is in force.")
    _show_warnings(paper, found)


def _show_unchanged(paper: Paper, found: Any) -> None:
    if found["version"] == found["in_force"]:
        paper.line(f"Version {found['version']} of {found['workflow']} is in force already; nothing changes.")
    else:
        _show_proposed(paper, found)


def _show_proposed(paper: Paper, found: Any) -> None:
    workflow, version = found["workflow"], found["version"]
    paper.line(
        f"Version {version} of {workflow} is proposed. Version {found['in_force']} stays in force until "
        f"{' or '.join(found['signers']) or 'a second person'} signs: stopwork versions approve {workflow} {version}"
    )


@click.command()
@FILE
@reason_option("Why this version is applied; asked for when it is left out.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and stop there.")
@click.option(
    "--another",
    is_flag=True,
    help="What is new, a workflow or a tool, is another one, although it could be a way around a hold.",
)
@yes_option
@answers(_show_applied)
def apply(cli: Invocation, file: Path, reason: str | None, *, dry_run: bool, another: bool, yes: bool) -> Any:
    """Make FILE (stopwork.yaml) the version in force.

    What changes is shown first, and what gives the agent more room is marked. Where the manifest in force asks for a second person,
    such a version is only proposed. Nothing is applied when somebody else applied another version in the meantime.
    """
    text, name = _text(_read(file), file), str(file)
    preview = cli.server.post("/v1/manifests/preview", {"text": text, "filename": name})
    if dry_run or preview["unchanged"]:
        return preview | {"dry_run": dry_run}
    if not cli.as_json:
        cli.show(_show_changes, preview)
    reason = cli.ask(reason, "Why is this version applied?", option="--reason")
    verb = "Propose" if preview["proposed"] else "Apply"
    cli.confirm(f"{verb} version {preview['version']} of {preview['workflow']}?", yes=yes)
    if preview["lookalikes"] and not another and cli.interactive:
        # --yes says that the difference was seen, not that two workflows are two. Where nobody can be asked the server refuses.
        way_round = any(each["tools"] for each in preview["lookalikes"])
        what = (
            "Is this meant, although it is held" if way_round else "Is it another workflow, and no new name"
        )
        cli.confirm(f"{preview['workflow']}: {what}?", yes=False)
        another = True
    body = {
        "text": text,
        "filename": name,
        "reason": reason,
        "expected_version": preview["in_force"],
        "another": another,
    }
    return cli.server.post("/v1/manifests", body) | {"dry_run": False}


def _show_changes(paper: Paper, found: Any) -> None:
    workflow, version, changes = found["workflow"], found["version"], found["changes"]
    if found["unchanged"]:
        _show_unchanged(paper, found)
    elif version == 1:
        paper.line(f"{workflow} is new: this is its first version.")
        for each in found["lookalikes"]:
            paper.line(
                f"! {each['workflow']} does the same for the same people and is held by {', '.join(each['holds'])}. "
                f"If this is its new name, add to the manifest: formerly: {each['workflow']}"
            )
    else:
        for each in found["lookalikes"]:
            paper.line(
                f"! {', '.join(each['holds'])} would not cover {', '.join(each['tools'])} in this version. "
                "Keep the names and permissions that are held until the hold is lifted."
            )
        loosening = sum(change["loosens"] is True for change in changes)
        told = f", {loosening} of them giving the agent more room" if loosening else ""
        paper.line(
            f"{workflow}, version {found['in_force']} to {version}: {count_of(len(changes), 'change')}{told}."
        )
        change_table(paper, changes, loosens=found["loosens"])
        if found["proposed"]:
            paper.line(
                f"{count_of(len(found['loosens']), 'change')} may give the agent more room, so {' or '.join(found['signers']) or 'a second person'} "
                "has to sign before this version is in force."
            )


def change_table(paper: Paper, changes: Any, *, loosens: Any = ()) -> None:
    """Show what differs between two manifests; what gives the agent more room, or has to be looked at, is marked."""
    paper.table(
        ("field", "before", "after", "meaning"),
        [
            (
                ("! " if change["loosens"] or change["field"] in loosens else "  ") + change["field"],
                in_short(change["before"]) if change["before"] is not None else None,
                in_short(change["after"]) if change["after"] is not None else None,
                _MEANING[change["loosens"]],
            )
            for change in changes
        ],
        empty="Only words that change nothing differ.",
    )


def _show_warnings(paper: Paper, found: Any) -> None:
    for warning in found["warnings"]:
        paper.line(f"warning: line {warning['line']}: {warning['field']}: {warning['message']}")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            source = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {file}", hint="Name the manifest's file.", file=str(file)) from None
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", hint="A manifest is a file.") from error
    if len(source) > MAX_BYTES:
        raise Invalid(
            f"{file} is larger than {MAX_BYTES // 1024} KiB, the most that a manifest may have",
            hint="Is it the right file?",
        )
    return source


def _text(source: bytes, file: Path) -> str:
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise Invalid(
            f"{file}, line {line}: this is not UTF-8 text", hint="Save the file as UTF-8."
        ) from None
