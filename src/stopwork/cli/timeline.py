"""The timeline of an incident at the command line: read, pinned, corrected, attached to, taken out; and who has taken the incident."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.invocation import Invocation, answers, reason_option
from stopwork.kernel.errors import Invalid, Unavailable
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.words import Phase

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_INCIDENT = click.argument("incident_id", metavar="INCIDENT")
_ENTRY = click.argument("entry", metavar="ENTRY", type=click.IntRange(min=1))
_FORMS: Final = ("jsonl", "md", "csv")


def moment(text: str) -> str:
    """Answer a moment in ISO 8601 with its zone; without one it is a moment of this machine's zone."""
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time; write 2026-03-02T08:14 or 2026-03-02T08:14+01:00"
        ) from error


def _show_timeline(paper: Paper, found: Any) -> None:
    paper.table(
        ("entry", "happened", "recorded", "who", "what"),
        [
            (
                f"{line['seq']}{' ★' if line['pinned_by'] else ''}",
                paper.when(line["occurred_at"]),
                paper.when(line["at"]) if line["at"] != line["occurred_at"] else "",
                line["actor"]["id"],
                f"{line['text']}{_corrected(line)}",
            )
            for line in found
        ],
        empty="Nothing fits.",
    )
    paper.line(count_of(len(found), "entry", "entries"))


def _corrected(line: Any) -> str:
    if not line["corrections"]:
        return ""
    newest = line["corrections"][-1]
    first = f", at first: {line['said']}" if line["said"] else ""
    return f" (corrected by {newest['by']['id']}: {newest['reason']}{first})"


@click.command("timeline")
@_INCIDENT
@click.option("--person", metavar="WHO", help="Only what this person or duty did.")
@click.option("--kind", metavar="KIND", help="Only entries of this kind: hold, or incident.note_added.")
@click.option("--phase", type=click.Choice([each.value for each in Phase]), help="Only of this phase.")
@click.option("--pinned", is_flag=True, help="Only what is pinned.")
@click.option("--text", metavar="TEXT", help="Only what says this.")
@click.option(
    "--order",
    type=click.Choice(["recorded", "occurred"]),
    default="recorded",
    show_default=True,
    help="By when it was recorded, or by when it happened.",
)
@answers(_show_timeline)
def timeline(cli: Invocation, incident_id: str, pinned: bool, **filters: Any) -> Any:
    """Show what happened in INCIDENT, oldest first."""
    return cli.server.get(
        "/v1/incidents/{incident}/timeline", incident=incident_id, pinned=pinned or None, **filters
    )


def _show_mark(paper: Paper, found: Any) -> None:
    state = f"pinned by {found['pinned_by']}" if found["pinned_by"] else "not pinned"
    corrections = found["corrections"]
    paper.line(
        f"Entry {found['entry']} is {state}"
        + (f", and corrected {count_of(len(corrections), 'time')}." if corrections else ".")
    )


@click.command("pin")
@_INCIDENT
@_ENTRY
@answers(_show_mark)
def pin(cli: Invocation, incident_id: str, entry: int) -> Any:
    """Pin ENTRY, by its number: it stands out in the timeline, and in the postmortem."""
    return cli.server.post("/v1/incidents/{incident}/timeline/pin", {"entry": entry}, incident=incident_id)


@click.command("unpin")
@_INCIDENT
@_ENTRY
@answers(_show_mark)
def unpin(cli: Invocation, incident_id: str, entry: int) -> Any:
    """Take the pin of ENTRY away."""
    return cli.server.post("/v1/incidents/{incident}/timeline/unpin", {"entry": entry}, incident=incident_id)


@click.command("correct")
@_INCIDENT
@_ENTRY
@click.option("--text", metavar="TEXT", help="What a note is to say instead.")
@click.option("--occurred-at", type=moment, metavar="TIME", help="When it really happened.")
@reason_option("What was wrong; asked for when it is left out.")
@answers(_show_mark)
def correct(cli: Invocation, incident_id: str, entry: int, reason: str | None, **new: Any) -> Any:
    """Correct ENTRY: another text for a note, or another time for any entry.

    The entry itself stays, and is shown with its correction.
    """
    body = {"entry": entry, "reason": cli.ask(reason, "What was wrong?", option="--reason"), **new}
    return cli.server.post("/v1/incidents/{incident}/timeline/correct", body, incident=incident_id)


def _show_export(paper: Paper, found: Any) -> None:
    paper.line(f"{found['file']} holds {found['size_bytes']} bytes. That you took it out is recorded.")


@click.command("export")
@_INCIDENT
@click.option(
    "--form",
    type=click.Choice(_FORMS),
    default="jsonl",
    show_default=True,
    help="JSON lines, Markdown or CSV.",
)
@click.option(
    "--zone", metavar="ZONE", help="The zone of the times in Markdown and CSV, such as Europe/Berlin."
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Otherwise a file here with the incident's name.",
)
@answers(_show_export)
def export(cli: Invocation, incident_id: str, form: str, zone: str | None, out: Path | None) -> Any:
    """Take the whole timeline of INCIDENT out as a file."""
    to = out or Path(f"{incident_id}-timeline.{form}")
    size = cli.server.download(
        "/v1/incidents/{incident}/timeline/export", to, incident=incident_id, form=form, zone=zone
    )
    return {"file": str(to), "size_bytes": size}


def _show_attached(paper: Paper, found: Any) -> None:
    paper.line(f"{found['name']} is kept: {found['media_type']}, {found['size_bytes']} bytes.")
    paper.line(found["digest"])


@click.command("attach")
@_INCIDENT
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--why", metavar="TEXT", help="What it shows.")
@answers(_show_attached)
def attach(cli: Invocation, incident_id: str, file: Path, why: str | None) -> Any:
    """Keep FILE with the evidence of INCIDENT. It may be anything, up to 32 MiB."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}", hint="Name another file.") from error
    if not content:
        raise Invalid(f"{file} is empty", hint="Name a file with something in it.", field="file")
    return cli.server.post_raw(
        "/v1/incidents/{incident}/attachments",
        content,
        media_type="application/octet-stream",
        incident=incident_id,
        name=file.name,
        why=why,
    )


def _show_attachments(paper: Paper, found: Any) -> None:
    paper.table(
        ("name", "type", "bytes", "digest"),
        [(each["name"], each["media_type"], each["size_bytes"], each["digest"]) for each in found],
        empty="Nothing is attached.",
    )


@click.command("attachments")
@_INCIDENT
@answers(_show_attachments)
def attachments(cli: Invocation, incident_id: str) -> Any:
    """List what people attached to INCIDENT. The type is told from the content."""
    return cli.server.get("/v1/incidents/{incident}/attachments", incident=incident_id)


@click.command("take")
@_INCIDENT
@click.argument("digest")
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write. Mind what you open: nobody has looked into it.",
)
@answers(_show_export)
def take(cli: Invocation, incident_id: str, digest: str, out: Path) -> Any:
    """Save the attachment with this DIGEST."""
    size = cli.server.download(
        "/v1/incidents/{incident}/attachments/{digest}", out, incident=incident_id, digest=digest
    )
    return {"file": str(out), "size_bytes": size}


def _show_taken(paper: Paper, found: Any) -> None:
    paper.line(f"{found['incident']} is acknowledged by {found['acknowledged_by']}.")


@click.command("acknowledge")
@_INCIDENT
@click.option("--note", metavar="TEXT", help="What you do about it.")
@answers(_show_taken)
def acknowledge(cli: Invocation, incident_id: str, note: str | None) -> Any:
    """Say that you have taken INCIDENT, so that it goes to nobody else."""
    return cli.server.post("/v1/incidents/{incident}/acknowledge", {"note": note}, incident=incident_id)


def acknowledged(paper: Paper, found: Any) -> str:
    """Answer who has taken an incident, or by when somebody is to; empty before anybody was told."""
    response = found["response"]
    if response is None:
        return ""
    if response["acknowledged_by"]:
        return f"{response['acknowledged_by']}, {paper.when(response['acknowledged_at'])}"
    if found["late_from"]:
        return f"by nobody; OVERDUE, it was due {paper.when(found['late_from'])}"
    return f"by nobody; due {paper.when(response['due_at'])}"


def _show_told(paper: Paper, found: Any) -> None:
    response = found["response"]
    if response is None:
        paper.line("Nobody has been told yet.")
        return
    paper.facts(
        {
            "told": listed(response["told"], most=20),
            "acknowledged": acknowledged(paper, found),
            "escalated to": response["role"],
            "next": listed(found["next"]["people"]) if found["next"] else "",
        }
    )
    paper.heading("Notifications")
    paper.table(
        ("who", "why", "state", "when", "tries", "said"),
        [
            (
                each["person"],
                each["step"],
                each["state"],
                paper.when(each["ended_at"] or each["next_at"]),
                each["attempts"],
                each["said"],
            )
            for each in found["tellings"]
        ],
        empty="None.",
    )


@click.command("told")
@_INCIDENT
@answers(_show_told)
def told(cli: Invocation, incident_id: str) -> Any:
    """Show who was told of INCIDENT, who has taken it, and who is asked next."""
    return cli.server.get("/v1/incidents/{incident}/response", incident=incident_id)


COMMANDS: Final = (
    timeline,
    pin,
    unpin,
    correct,
    export,
    attach,
    attachments,
    take,
    acknowledge,
    told,
)
