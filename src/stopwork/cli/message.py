"""Messages of an incident: drafted from records, approved word for word, then sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.exits import Exit
from stopwork.cli.group import Group
from stopwork.cli.invocation import Answer, Invocation, answers, reason_option, yes_option
from stopwork.kernel.errors import NotFound

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_INCIDENT = click.argument("incident")
_MESSAGE = click.argument("message_id", metavar="MESSAGE")


@click.group(cls=Group)
def message() -> None:
    """What people are told about an incident."""


def _show_messages(paper: Paper, found: Any) -> None:
    paper.table(
        ("message", "to", "recipients", "subject", "state", "approved by", "sent", "problem"),
        [
            (
                each["id"],
                each["audience"],
                ", ".join(each["recipients"]),
                each["subject"],
                each["state"],
                each["approved_by"],
                paper.when(each["sent_at"]),
                each["error"],
            )
            for each in found
        ],
        empty="No message is drafted. Draft them with: stopwork message draft INCIDENT",
    )


@message.command("draft")
@_INCIDENT
@answers(_show_messages)
def draft_messages(cli: Invocation, incident: str) -> Any:
    """Draft a message for everyone who must be told about INCIDENT and has none yet."""
    return cli.server.post("/v1/incidents/{incident}/messages", incident=incident)


@message.command("list")
@_INCIDENT
@answers(_show_messages)
def list_messages(cli: Invocation, incident: str) -> Any:
    """List the messages of INCIDENT."""
    return cli.server.get("/v1/incidents/{incident}/messages", incident=incident)


def _show_message(paper: Paper, found: Any) -> None:
    paper.facts(
        {
            "message": found["id"],
            "state": found["state"],
            "to": f"{found['audience']}: {', '.join(found['recipients'])}",
            "approved by": found["approved_by"],
            "approved": paper.when(found["approved_at"]) if found["approved_at"] else None,
            "sent": paper.when(found["sent_at"]) if found["sent_at"] else None,
            "problem": found["error"],
            "digest": found["digest"],
            "subject": found["subject"],
        }
    )
    paper.line()
    paper.line(found["body"])
    if found["delivery"]:
        paper.heading("Delivery")
        paper.table(("recipient", "what became of it"), list(found["delivery"].items()), empty="")


@message.command("show")
@_INCIDENT
@_MESSAGE
@answers(_show_message)
def show_message(cli: Invocation, incident: str, message_id: str) -> Any:
    """Show one message of INCIDENT, word for word."""
    return _find(cli, incident, message_id)


@message.command("edit")
@_INCIDENT
@_MESSAGE
@click.option(
    "--to", "recipients", multiple=True, metavar="ADDRESS", help="A recipient; give it once for each."
)
@click.option("--subject", metavar="TEXT", help="Another subject.")
@click.option("--body", metavar="TEXT", help="Another text; - reads it from standard input.")
@answers(_show_message)
def edit_message(
    cli: Invocation,
    incident: str,
    message_id: str,
    recipients: tuple[str, ...],
    subject: str | None,
    body: str | None,
) -> Any:
    """Change a message; an approval of its old text is void.

    Without --to, --subject and --body the text is opened in your editor.
    """
    known = _find(cli, incident, message_id)
    if body == "-":
        body = sys.stdin.read()
    if not recipients and subject is None and body is None:
        body = cli.edit(known["body"], option="--body")
    changed = {
        "recipients": list(recipients) or known["recipients"],
        "subject": known["subject"] if subject is None else subject,
        "body": known["body"] if body is None else body,
    }
    return cli.server.post("/v1/messages/{message}", changed, message=message_id)


def _show_approved(paper: Paper, found: Any) -> None:
    paper.line(
        f"{found['id']} is approved by {found['approved_by']}. Send it with: stopwork message send {found['id']}"
    )


@message.command("approve")
@_INCIDENT
@_MESSAGE
@yes_option
@answers(_show_approved)
def approve_message(cli: Invocation, incident: str, message_id: str, *, yes: bool) -> Any:
    """Approve exactly the text that is shown. Nothing is sent yet."""
    known = _find(cli, incident, message_id)
    if not cli.as_json:
        cli.show(_show_message, known)
    cli.confirm("Approve exactly this text?", yes=yes)
    return cli.server.post("/v1/messages/{message}/approve", {"digest": known["digest"]}, message=message_id)


def _show_sent(paper: Paper, found: Any) -> None:
    if found["state"] != "sent":
        paper.line(f"{found['id']} was not sent: {found['error']}")
    else:
        paper.line(f"{found['id']} was sent {paper.when(found['sent_at'])}.")
    paper.table(("recipient", "what became of it"), list(found["delivery"].items()), empty="")


@message.command("send")
@_MESSAGE
@answers(_show_sent)
def send_message(cli: Invocation, message_id: str) -> Any:
    """Send an approved message. What failed can be sent again."""
    found = cli.server.post("/v1/messages/{message}/send", message=message_id)
    return found if found["state"] == "sent" else Answer(value=found, exit=Exit.UNAVAILABLE)


def _show_discarded(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} is discarded; it will not be sent.")


@message.command("discard")
@_MESSAGE
@reason_option("Why nobody is told this; asked for when it is left out.")
@answers(_show_discarded)
def discard_message(cli: Invocation, message_id: str, reason: str | None) -> Any:
    """Drop a message that will not be sent."""
    body = {"reason": cli.ask(reason, "Why is it not sent?", option="--reason")}
    return cli.server.post("/v1/messages/{message}/discard", body, message=message_id)


def _find(cli: Invocation, incident: str, message_id: str) -> Any:
    known = cli.server.get("/v1/incidents/{incident}/messages", incident=incident)
    for each in known:
        if each["id"] == message_id:
            return each
    raise NotFound(
        f"{incident} has no message {message_id}", hint=f"List them: stopwork message list {incident}"
    )
