"""The form of an audit: which calls it is about."""

from __future__ import annotations

from datetime import UTC, datetime

from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import count_of
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import audits
from stopwork.server.pages.sent import Landed, Sent


def audit(sent: Sent) -> Landed:
    """Compute the twelve answers about the calls that the form asks for."""
    scope = r.AuditScope(
        runs=tuple(_words(sent.get("runs"))),
        tools=tuple(filter(None, sent.all("tool"))),
        objects=tuple(map(_object, sent.get("objects").splitlines())),
        versions=tuple(map(_number, _words(sent.get("versions")))),
        since=_moment(sent, "since"),
        until=_moment(sent, "until"),
        followed=bool(sent.get("followed")),
    )
    found = audits.audit(sent.installation, sent.person, incident=sent.incident, scope=scope)
    return Landed(f"Audited: {count_of(found.objects, 'object')} changed.", sent.at(w.Phase.AUDIT))


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise Invalid(f"{text!r:.80} is no version", hint="Give whole numbers.", field="versions")
    return int(text)


def _object(line: str) -> r.ObjectRef:
    parts = line.strip().split("/", 2)
    if len(parts) < 3 or not all(parts):
        raise Invalid(f"{line!r:.80} is no object", hint="Write system/type/id, one a line.", field="objects")
    return r.ObjectRef(system=parts[0], type=parts[1], id=parts[2])


def _moment(sent: Sent, name: str) -> datetime | None:
    text = sent.get(name)
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r:.80} is no time", hint="Write 2026-03-02T08:14+01:00.", field=name) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
