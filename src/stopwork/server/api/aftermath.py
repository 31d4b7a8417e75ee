"""The phases after recovery: messages, the postmortem, the return and the end."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from stopwork.incidents.prepare import Preparedness
from stopwork.incidents.reenable import CheckView, StageStep, checks, next_step
from stopwork.incidents.report import OnePage, markdown, one_page
from stopwork.kernel.errors import NotFound
from stopwork.ledger import records as r
from stopwork.ledger.words import (
    ReenableCheck,
    Stage,
)
from stopwork.operations import (
    messages,
    postmortems,
    preparedness,
    returning,
)
from stopwork.server import timelines
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import Act, Endpoint, Given, Read, Rendered, Write
from stopwork.server.api.incidents import Text, case_of, incident_of, known_incident, of_incident
from stopwork.server.api.looking import looking_into
from stopwork.storage.view import View


class EditMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    recipients: Annotated[tuple[str, ...], Meta(max_length=500)]
    subject: Annotated[str, Meta(max_length=500)]
    body: Text


class ApproveMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``digest`` is that of the text which was read."""

    digest: str


class SettleMessage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``arrived`` is what was found out about a message whose sending has no end."""

    arrived: bool
    note: Reason


class WithReason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class SavePostmortem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fields: dict[str, Text]
    follow_ups: Annotated[tuple[r.FollowUp, ...], Meta(max_length=200)] = ()


class AnswerCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    note: Reason


class RaisedStage(Struct, frozen=True, kw_only=True):
    stage: Stage


class Return(Struct, frozen=True, kw_only=True):
    """The eleven checks and the next step of the return."""

    checks: tuple[CheckView, ...]
    next: StageStep


def _return(view: View, given: Given) -> Return:
    case = case_of(view, given)
    return Return(checks=checks(case), next=next_step(case))


class Format(StrEnum):
    JSON = "json"
    MARKDOWN = "markdown"


class ReportFormat(Struct, frozen=True, kw_only=True):
    """Markdown is for wikis and issue trackers."""

    format: Format = Format.JSON


def _report(view: View, given: Given) -> OnePage | Rendered:
    page = one_page(case_of(view, given), given.installation.store.clock.now())
    if given.query.format is Format.MARKDOWN:
        return Rendered(content=markdown(page), media_type="text/markdown; charset=utf-8")
    return page


ENDPOINTS = (
    of_incident(
        "POST",
        "/messages",
        "draft_messages",
        "Draft a message for everyone who must be told",
        Write(lambda tx, g: messages.draft(tx, g.installation.manifests, incident=incident_of(g))),
        list[r.Message],
        status=201,
    ),
    of_incident(
        "GET",
        "/messages",
        "list_messages",
        "The incident's messages",
        looking_into(
            "its messages",
            lambda view, g: list(view.each(r.Message, incident=known_incident(view, g), order="drafted_at")),
        ),
        list[r.Message],
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}",
        name="edit_message",
        summary="Change a draft; an approval of the old text is void",
        does=Write(
            lambda tx, g: messages.edit(
                tx,
                message=g.path["message"],
                recipients=g.body.recipients,
                subject=g.body.subject,
                body=g.body.body,
            )
        ),
        body=EditMessage,
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/approve",
        name="approve_message",
        summary="Approve the exact text",
        does=Write(lambda tx, g: messages.approve(tx, message=g.path["message"], digest=g.body.digest)),
        body=ApproveMessage,
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/send",
        name="send_message",
        summary="Send an approved message",
        does=Act(lambda g: messages.send(g.installation, g.actor, message=g.path["message"])),
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/settle",
        name="settle_message",
        summary="Say what became of a message whose sending has no end",
        does=Write(
            lambda tx, g: messages.settle(
                tx,
                g.installation.manifests,
                message=g.path["message"],
                arrived=g.body.arrived,
                note=g.body.note,
            )
        ),
        body=SettleMessage,
        answer=r.Message,
        tag="messages",
    ),
    Endpoint(
        method="POST",
        path="/v1/messages/{message}/discard",
        name="discard_message",
        summary="Drop a message that will not be sent",
        does=Write(lambda tx, g: messages.discard(tx, message=g.path["message"], reason=g.body.reason)),
        body=WithReason,
        answer=r.Message,
        tag="messages",
    ),
    of_incident(
        "GET",
        "/postmortem",
        "get_postmortem",
        "The postmortem, pre-filled from records until it is saved",
        looking_into(
            "its postmortem",
            lambda view, g: postmortems.proposed(
                view,
                g.installation.manifests,
                incident=incident_of(g),
                now=g.installation.store.clock.now(),
                pinned=timelines.pinned(view, incident_of(g)),
            ),
        ),
        r.Postmortem,
    ),
    of_incident(
        "PUT",
        "/postmortem",
        "save_postmortem",
        "Save the postmortem",
        Write(
            lambda tx, g: postmortems.save(
                tx, incident=incident_of(g), fields=g.body.fields, follow_ups=g.body.follow_ups
            )
        ),
        r.Postmortem,
        body=SavePostmortem,
    ),
    of_incident(
        "POST",
        "/postmortem/close",
        "close_postmortem",
        "Close the postmortem; the incident stays as it is",
        Write(lambda tx, g: postmortems.close(tx, g.installation.manifests, incident=incident_of(g))),
        r.Postmortem,
    ),
    of_incident(
        "GET",
        "/return",
        "get_return",
        "The eleven checks and the next stage",
        Read(_return),
        Return,
    ),
    of_incident(
        "POST",
        "/checks/{check}",
        "answer_check",
        "Attest a check, take an exception, or sign as the owner",
        Write(
            lambda tx, g: returning.answer(
                tx,
                g.installation.manifests,
                incident=incident_of(g),
                check=_check(g.path["check"]),
                note=g.body.note,
            )
        ),
        CheckView,
        body=AnswerCheck,
    ),
    of_incident(
        "POST",
        "/raise",
        "raise_stage",
        "Give one stage of autonomy back, as the business owner",
        Write(
            lambda tx, g: RaisedStage(
                stage=returning.raise_stage(tx, g.installation.manifests, incident=incident_of(g))
            )
        ),
        RaisedStage,
    ),
    of_incident(
        "POST",
        "/preparedness",
        "review_preparedness",
        "Review how ready the workflow is for its next incident, and record it",
        Write(
            lambda tx, g: preparedness.record(
                tx,
                g.installation.manifests,
                workflow=tx.need(r.Incident, incident_of(g)).workflow,
                incident=incident_of(g),
            )
        ),
        Preparedness,
    ),
    of_incident(
        "POST",
        "/close",
        "close_incident",
        "Close the incident",
        Write(lambda tx, g: returning.close(tx, incident=incident_of(g), reason=g.body.reason)),
        r.Incident,
        body=WithReason,
    ),
    of_incident(
        "GET",
        "/report",
        "get_report",
        "The one-page report",
        looking_into("its report", _report),
        OnePage,
        query=ReportFormat,
        also=("text/markdown",),
    ),
)


def _check(name: str) -> ReenableCheck:
    try:
        return ReenableCheck(name)
    except ValueError:
        raise NotFound(f"there is no check {name!r}", hint=f"One of: {', '.join(ReenableCheck)}.") from None
