"""Reports by mail: a message as it came (RFC 5322) becomes a report.

The workflow is named by the tag of the address that it was sent to (``reports+weekly-renewal-risk@acme.test``) or in square brackets in
the subject. Who a mail is from is what the mail says: it is kept as unverified. Attachments are named and counted, and not kept.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import EmailPolicy
from email.utils import parsedate_to_datetime
from html import unescape
from itertools import islice
from typing import Any, Final

from stopwork.kernel.errors import Malformed
from stopwork.ledger.words import SignalKind
from stopwork.operations.reporting import MAX_SUMMARY, MAX_TEXT, Report, shortened

MAX_PARTS: Final = 200
MAX_NAMES: Final = 20
#: So much of a mail is read: what it says comes first, what is attached to it after that.
MAX_READ_BYTES: Final = 262_144
#: So much of a header is read, and so many parts of a mail may have parts themselves: the standard library takes time by the square of both.
MAX_HEADER_CHARS: Final = 2_000
MAX_MULTIPARTS: Final = 20
#: A mail that says it is of another time has a broken clock: it counts as of when it came.
FIRST_YEAR: Final = 1971
LAST_YEAR: Final = 9998
#: Where mail servers say whom a message is for, the one that delivered it first.
_RECIPIENTS: Final = ("delivered-to", "x-original-to", "envelope-to", "to", "cc")
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_TAGGED: Final = re.compile(rf"[^\s<>,;:\"+@]\+({_NAME})@")
_IN_SUBJECT: Final = re.compile(rf"\[({_NAME})\]")
#: What mail servers put in front of a subject by themselves.
_GATEWAYS: Final = frozenset({"external", "extern", "ext", "spam", "suspected-spam"})
_BOUNDARY: Final = re.compile(rb"boundary[0-9*]{0,4}\s{0,4}=", re.IGNORECASE)
_ELEMENT: Final = re.compile(r"/?([a-z][a-z0-9]{0,20})", re.IGNORECASE)
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


class _Bounded(EmailPolicy):
    """Reads the beginning of each header, and as it stands where it is broken: the standard library answers that with errors of many kinds."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        beginning = value[:MAX_HEADER_CHARS]
        try:
            return super().header_fetch_parse(name, beginning)
        except Exception:  # noqa: BLE001 - a broken header loses no report
            return " ".join(beginning.split())


def _parsed(raw: bytes) -> EmailMessage:
    raw = raw[:MAX_READ_BYTES]
    nested = sum(1 for _ in islice(_BOUNDARY.finditer(raw), MAX_MULTIPARTS + 1))
    try:
        message = BytesParser(policy=_Bounded()).parsebytes(raw, headersonly=nested > MAX_MULTIPARTS)
    except Exception as error:
        raise Malformed(f"this is no mail: {error}", hint="Send the message as it came.") from error
    if not isinstance(message, EmailMessage) or not message.keys():
        raise Malformed("this is no mail: it has no headers", hint="Send the message as it came.")
    return message


def _header(message: EmailMessage, name: str) -> str:
    """Answer a header's text in one line; empty where there is none, or none that can be read."""
    return shortened(" ".join(str(message.get(name, "")).split()), 500)


def _date(message: EmailMessage) -> datetime | None:
    try:
        found = parsedate_to_datetime(_header(message, "date"))
    except ValueError:
        return None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _workflow(message: EmailMessage, subject: str) -> str:
    for name in _RECIPIENTS:
        if found := _TAGGED.search(_header(message, name)):
            return found[1].lower()
    named = (each.lower() for each in _IN_SUBJECT.findall(subject))
    return next((each for each in named if each not in _GATEWAYS), "")


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
            attached.append(_name(part))
        elif part.get_content_subtype() == "html":
            html = html or _text(part)
        else:
            plain = plain or _text(part)
    return _tidy(plain) or _tidy(_stripped(html)), attached


def _name(part: Message) -> str:
    try:
        return shortened(part.get_filename() or part.get_content_type(), 100)
    except Exception:  # noqa: BLE001 - as of a header
        return "a part without a name that can be read"


def _text(part: Message) -> str:
    try:
        return str(part.get_content()) if isinstance(part, EmailMessage) else ""
    except Exception:  # noqa: BLE001 - an encoding that nobody knows, or a header that is broken
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _tidy(text: str) -> str:
    """Answer the text without control characters and without empty lines in a row."""
    shown = "".join(
        each for each in text[:MAX_READ_BYTES] if each == "\n" or each.isprintable() or each == "\t"
    )
    return re.sub(r"\n\s*\n+", "\n\n", shown).strip()


def _stripped(html: str) -> str:
    """Answer what HTML shows. Every search begins where the last one ended, and the first without an end is the last: broken HTML costs no more."""
    said: list[str] = []
    at = 0
    while (start := html.find("<", at)) >= 0:
        said.append(html[at:start])
        element = _ELEMENT.match(html, start + 1)
        name = element[1].lower() if element else ""
        closing = (
            "-->"
            if html.startswith("<!--", start)
            else f"</{name}"
            if name in _UNSEEN and html[start + 1] != "/"
            else ">"
        )
        end = html.find(closing, start + 1)
        if end < 0:
            return unescape("".join(said))
        if name in _BLOCKS:
            said.append("\n")
        at = end + (0 if closing.startswith("</") else len(closing))
    return unescape("".join((*said, html[at:])))
