"""Signals in: what people and other tools say is wrong, and who says which workflow it is about."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool

from stopwork.ledger import records as r
from stopwork.ledger.records import Credential
from stopwork.ledger.words import DetectedBy, IncidentType, Severity, SignalKind
from stopwork.operations import mail_in, reporting
from stopwork.operations.reporting import Received, Report
from stopwork.server.api.endpoint import Access, Attend, Endpoint, Given, Write
from stopwork.server.intake import intake_of

#: A report is a few sentences, a signal a few facts.
MAX_BODY_BYTES: Final = 64 * 1024
#: What people attach is counted and not kept, but it has to come in with the mail.
MAX_MAIL_BYTES: Final = 10 * 1024 * 1024

Short = Annotated[str, Meta(max_length=300)]


class NewReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person has seen; ``text`` is all that is needed. ``request`` names this report: sent twice it is one."""

    text: Annotated[str, Meta(min_length=1, max_length=reporting.MAX_TEXT)]
    workflow: Short = ""
    type: IncidentType | None = None
    where: Short = ""
    when: datetime | None = None
    by: Short = ""
    noticed_by: DetectedBy | None = None
    run: Short | None = None
    request: Short = ""


class NewSignal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tool noticed. ``key`` names the cause, ``delivery`` this message: the same again changes nothing."""

    kind: SignalKind
    summary: Annotated[str, Meta(min_length=1, max_length=reporting.MAX_TEXT)]
    workflow: Short = ""
    type: IncidentType | None = None
    key: Short = ""
    severity: Severity | None = None
    occurred_at: datetime | None = None
    facts: dict[str, Any] = {}
    run: Short | None = None
    delivery: Short = ""


class AssignSignal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which workflow it is about, and what kind of thing happened where that is known better now."""

    workflow: Short
    type: IncidentType | None = None


def of_person(
    text: str,
    *,
    by: str,
    source: str,
    where: str = "",
    when: datetime | None = None,
    **more: Any,
) -> Report:
    """Answer what a person has seen as a report: what, where, when, by whom."""
    facts = {"seen": text, "where": where, "when": when.isoformat() if when else "", "by": by}
    return Report(
        source=source,
        kind=SignalKind.USER_REPORT,
        summary=text,
        occurred_at=when,
        facts={name: value for name, value in facts.items() if value},
        **more,
    )


async def _report(g: Given, credential: Credential | None) -> Received:
    body: NewReport = g.body
    said = of_person(
        body.text,
        by=body.by or g.actor.id,
        source="report",
        where=body.where,
        when=body.when,
        workflow=body.workflow,
        type=body.type,
        noticed_by=body.noticed_by,
        run=body.run,
        delivery=f"{g.actor}\0{body.request}" if body.request else "",
    )
    return await _taken(g, credential, said)


async def _signal(g: Given, credential: Credential | None) -> Received:
    body: NewSignal = g.body
    said = Report(
        source=f"signal {g.actor.id}",
        kind=body.kind,
        summary=body.summary,
        workflow=body.workflow,
        type=body.type,
        key=body.key,
        severity=body.severity,
        occurred_at=body.occurred_at,
        facts=body.facts,
        run=body.run,
        delivery=body.delivery,
    )
    return await _taken(g, credential, said)


async def _mail(g: Given, credential: Credential | None) -> Received:
    said = await run_in_threadpool(mail_in.report_of, g.body.content)
    return await _taken(g, credential, said)


async def _taken(g: Given, credential: Credential | None, said: Report) -> Received:
    [received] = await intake_of(g.installation).take((said,), g.actor, credential)
    return received


ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/reports",
        name="report",
        summary="Report what somebody has seen; one sentence is enough",
        does=Attend(_report),
        body=NewReport,
        answer=Received,
        access=Access.REPORT,
        max_body_bytes=MAX_BODY_BYTES,
        tag="signals",
    ),
    Endpoint(
        method="POST",
        path="/v1/signals",
        name="raise_signal",
        summary="Say what a tool noticed",
        does=Attend(_signal),
        body=NewSignal,
        answer=Received,
        access=Access.REPORT,
        max_body_bytes=MAX_BODY_BYTES,
        tag="signals",
    ),
    Endpoint(
        method="POST",
        path="/v1/inbox/mail",
        name="report_by_mail",
        summary="Report by a mail as it came (RFC 5322); a mail server's pipe sends it here",
        does=Attend(_mail),
        raw=("message/rfc822", "text/plain", "application/octet-stream"),
        answer=Received,
        access=Access.REPORT,
        max_body_bytes=MAX_MAIL_BYTES,
        tag="signals",
    ),
    Endpoint(
        method="POST",
        path="/v1/signals/{signal}/assign",
        name="assign_signal",
        summary="Say which workflow a signal is about that came in without one",
        does=Write(
            lambda tx, g: reporting.assign(
                tx,
                g.installation.manifests,
                signal=g.path["signal"],
                workflow=g.body.workflow,
                type=g.body.type,
            )
        ),
        body=AssignSignal,
        answer=r.Signal,
        tag="signals",
    ),
)
