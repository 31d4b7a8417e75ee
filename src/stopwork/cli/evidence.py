"""Evidence: export an incident's bundle, and verify one without any server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.custody import custody, hold, release
from stopwork.cli.exits import Exit
from stopwork.cli.group import Group
from stopwork.cli.invocation import Answer, Invocation, answers, yes_option
from stopwork.kernel.errors import NotFound
from stopwork.kernel.phrases import count_of, lasting

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_EXITS: Final = {"verified": Exit.OK, "tampered": Exit.TAMPERED, "unreadable": Exit.INVALID}


@click.group(cls=Group)
def evidence() -> None:
    """The evidence log, and bundles of it: one file each, which anyone can verify."""


for command in (custody, hold, release):
    evidence.add_command(command)


def _show_exported(paper: Paper, found: Any) -> None:
    paper.line(f"{found['file']} is written: {count_of(found['size_bytes'], 'byte')}.")
    paper.line(f"Verify it with: stopwork evidence verify {found['file']}")


@evidence.command("export")
@click.argument("incident")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Otherwise INCIDENT.zip in this folder.",
)
@yes_option
@answers(_show_exported)
def export(cli: Invocation, incident: str, out: Path | None, *, yes: bool) -> Any:
    """Write INCIDENT's newest bundle into a file. That it was taken out is recorded."""
    file = out or Path(f"{incident}.zip")
    if file.exists():
        cli.confirm(f"{file} exists; write over it?", yes=yes)
    size_bytes = cli.server.download("/v1/incidents/{incident}/bundle", file, incident=incident)
    return {"incident": incident, "file": str(file), "size_bytes": size_bytes}


def _show_log(paper: Paper, found: Any) -> None:
    waits = "" if found["size"] == found["entries"] else f", the next for {lasting(found['unsealed_for_s'])}"
    paper.facts(
        {
            "log": found["origin"],
            "sealed": f"{found['size']:,} of {count_of(found['entries'], 'entry')}{waits}",
            "root": found["root"],
            "key": found["key"],
        }
    )
    paper.heading("Kept elsewhere")
    paper.table(
        ("anchor", "where", "entries", "newest", "state"),
        [
            (
                each["name"],
                each["place"],
                f"{each['size']:,}",
                paper.when(each["succeeded_at"]),
                each["error"]
                or ("late" if each["late"] else "well" if each["succeeded_at"] else "not used yet"),
            )
            for each in found["anchors"]
        ],
        empty="No checkpoint leaves this server. Start it with --anchors FILE.",
    )


@evidence.command("log")
@answers(_show_log)
def log(cli: Invocation) -> Any:
    """Show how far the journal is sealed, and which places keep checkpoints of it."""
    return cli.server.get("/v1/log")


def _show_report(paper: Paper, found: Any) -> None:
    facts = found["facts"] or {}
    withheld = facts.get("withheld_entries") or facts.get("withheld_files")
    paper.line(found["outcome"].upper() + (", parts of it withheld" if withheld else ""))
    paper.line()
    paper.table(
        ("check", "result", "found", "where"),
        [
            (c["name"], "passed" if c["passed"] else "failed", c["detail"], c["where"])
            for c in found["checks"]
        ],
        empty="",
    )
    if found["facts"]:
        passed = all(check["passed"] for check in found["checks"])
        paper.heading("The bundle says of itself" + ("" if passed else ", not to be relied on"))
        paper.facts({name.replace("_", " "): value for name, value in found["facts"].items()})
    for title, sentences in (("Proven", found["proven"]), ("Not proven", found["not_proven"])):
        if sentences:
            paper.heading(title)
            for each in sentences:
                paper.line(f"- {each}")


@evidence.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY",
    help="A key you trust, of the server or of a witness, got on another way than the file.",
)
@answers(_show_report, remote=False)
def verify(_cli: Invocation, file: Path, keys: tuple[str, ...]) -> Any:
    """Verify the bundle FILE, offline. The report says what is proven and what is not."""
    from stopwork.ledger.offline.broken import Broken
    from stopwork.ledger.verify import verify_bundle

    if not file.exists():
        raise NotFound(
            f"there is no file {file}", hint="Give the .zip file as it was exported.", file=str(file)
        )
    try:
        report = verify_bundle(file, keys).as_json()
    except Broken as error:
        raise click.UsageError(f"--key: {error}") from error
    return Answer(value={"file": str(file), **report}, exit=_EXITS[report["outcome"]])


def _show_redacted(paper: Paper, found: Any) -> None:
    paper.line(
        f"{found['file']} is written: {count_of(found['entries'], 'entry')} and {count_of(len(found['files']), 'file')} are withheld."
    )
    paper.line(f"What is left is proven as before. See: stopwork evidence verify {found['file']}")


def _many(name: str, metavar: str, help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(f"--{name}", f"{name}s", multiple=True, metavar=metavar, help=help_text)


@evidence.command("redact")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The new file.",
)
@_many("call", "CALL", "Withhold the entries of this call.")
@_many("run", "RUN", "Withhold the entries of this run.")
@click.option(
    "--entry", "entries", type=int, multiple=True, metavar="SEQ", help="Withhold the entry with this number."
)
@_many("event", "NAME", "Withhold the entries of this kind, for example call.decided.")
@_many("field", "NAME", "Withhold the entries that have a field of this name, at any depth.")
@_many("text", "TEXT", "Withhold the entries in which this text stands.")
@click.option(
    "--keep",
    multiple=True,
    metavar="FILE",
    help="Pass this file of the payload on; all but journal and proofs are withheld otherwise, because they retell the entries.",
)
@answers(_show_redacted, remote=False)
def redact(
    _cli: Invocation, bundle: Path, out: Path, entries: tuple[int, ...], keep: tuple[str, ...], **named: Any
) -> Any:
    """Write BUNDLE anew without what must not be passed on; the proofs of what is left stay as they are."""
    import msgspec

    from stopwork.ledger.redaction import Rules
    from stopwork.ledger.redaction import redact as write

    texts = named.pop("texts")
    rules = Rules(
        entries=frozenset(entries),
        keep=frozenset(keep),
        texts=texts,
        **{name: frozenset(values) for name, values in named.items()},
    )
    return {"file": str(out), **msgspec.to_builtins(write(bundle, out, rules))}
