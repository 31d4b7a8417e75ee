"""Reports by mail: a message as it came (RFC 5322) becomes a report.

The workflow is named by the tag of the address that it was sent to (``reports+weekly-renewal-risk@acme.test``) or in square brackets in
the subject. Who a mail is from is what the mail says: it is kept as unverified. Attachments are named and counted, and not kept.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from html.parser import HTMLParser
from typing import Final

from stopwork.kernel.errors import Malformed
from stopwork.ledger.words import SignalKind
from stopwork.operations.reporting import MAX_SUMMARY, MAX_TEXT, Report, shortened

MAX_PARTS: Final = 200
MAX_NAMES: Final = 20
MAX_HTML: Final = 1_000_000
#: Where mail servers say whom a message is for, the one that delivered it first.
_RECIPIENTS: Final = ("delivered-to", "x-original-to", "envelope-to", "to", "cc")
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_TAGGED: Final = re.compile(rf"[^+@]{{1,64}}\+({_NAME})@")
_IN_SUBJECT: Final = re.compile(rf"\[({_NAME})\]")
_UNSEEN: Final = frozenset({"script", "style", "head", "title", "template"})
_BLOCKS: Final = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "blockquote", "table"})


def report_of(raw: bytes) -> Report:
    """Answer what a mail reports; ``Malformed`` for what is no mail, or says nothing at all."""
    message = _parsed(raw)
    subject = _header(message, "subject")
    text, attached = _content(message)
    seen = text or subject
    if not seen:
        raise Malformed(
            "the mail has neither a subject nor text", hint="Send the message as it came, with its headers."
        )
    sender = _header(message, "from")
    facts = {
        "seen": shortened(seen, MAX_TEXT),
        "subject": subject,
        "by": sender or "nobody named",
        "by_is": "what the mail says, and unverified",
        "when": _header(message, "date"),
    }
    workflow, name = _workflow(message, subject), _header(message, "message-id")
    if attached:
        facts["attachments"] = f"{len(attached)}, not kept: " + ", ".join(attached[:MAX_NAMES])
    return Report(
        source="mail",
        kind=SignalKind.USER_REPORT,
        summary=shortened(_IN_SUBJECT.sub("", subject).strip() or seen, MAX_SUMMARY),
        workflow=workflow,
        occurred_at=_date(message),
        facts={name: value for name, value in facts.items() if value},
        verified=False,
        # One mail to the addresses of two workflows is a report of each.
        delivery=f"{name}/{workflow}" if name else "",
    )


def _parsed(raw: bytes) -> EmailMessage:
    try:
        message = BytesParser(policy=policy.default).parsebytes(raw)
    # The standard library answers broken mail with errors of many kinds.
    except Exception as error:
        raise Malformed(f"this is no mail: {error}", hint="Send the message as it came.") from error
    if not message.keys():
        raise Malformed("this is no mail: it has no headers", hint="Send the message as it came.")
    return message


def _header(message: EmailMessage, name: str) -> str:
    """Answer a header's text in one line; empty where there is none, or none that can be read."""
    try:
        return shortened(" ".join(str(message.get(name, "")).split()), 500)
    except Exception:  # noqa: BLE001 - a broken header loses no report
        return ""


def _date(message: EmailMessage) -> datetime | None:
    try:
        found = parsedate_to_datetime(_header(message, "date"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _workflow(message: EmailMessage, subject: str) -> str:
    for name in _RECIPIENTS:
        for _, address in getaddresses([_header(message, name)]):
            if found := _TAGGED.match(address):
                return found[1].lower()
    named = _IN_SUBJECT.search(subject)
    return named[1].lower() if named else ""


def _content(message: EmailMessage) -> tuple[str, list[str]]:
    """Answer what the mail says, plain text before HTML, and the names of what is attached to it."""
    plain, html, attached = "", "", list[str]()
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            attached.append("more parts than are read")
            break
        if part.is_multipart():
            continue
        if part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text":
            attached.append(shortened(part.get_filename() or part.get_content_type(), 100))
        elif part.get_content_subtype() == "html":
            html = html or _text(part)
        else:
            plain = plain or _text(part)
    return _tidy(plain) or _tidy(_stripped(html)), attached


def _text(part: object) -> str:
    try:
        return str(part.get_content()) if isinstance(part, EmailMessage) else ""
    except (LookupError, UnicodeError, ValueError):  # an encoding that nobody knows
        payload = part.get_payload(decode=True) if isinstance(part, EmailMessage) else b""
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _tidy(text: str) -> str:
    """Answer the text without control characters and without empty lines in a row."""
    shown = "".join(each for each in text[:MAX_HTML] if each == "\n" or each.isprintable() or each == "\t")
    return re.sub(r"\n\s*\n+", "\n\n", shown).strip()


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the library's signature
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.said.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.said.append(data)


def _stripped(html: str) -> str:
    stripper = _Stripper()
    stripper.feed(html[:MAX_HTML])
    stripper.close()
    return "".join(stripper.said)
