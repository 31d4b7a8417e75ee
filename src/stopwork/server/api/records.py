"""What can be looked up: runs, calls, effects, signals, the journal, health, credentials."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from stopwork.ledger import records as r
from stopwork.ledger.events import Entry, name_of
from stopwork.ledger.words import Outcome, PrincipalKind, RunStatus, SignalKind, SignalState, Verdict
from stopwork.operations import credentials, points, signals
from stopwork.server.api.controls import Reason, page_of
from stopwork.server.api.endpoint import MAX_NUMBER, Access, Endpoint, Given, Page, Read, Write
from stopwork.server.api.looking import looking_at
from stopwork.storage.view import View

MAX_LINES: Final = 1000


class RunFilter(Page, frozen=True, kw_only=True):
    workflow: str | None = None
    status: RunStatus | None = None


class CallFilter(Page, frozen=True, kw_only=True):
    run: str | None = None
    workflow: str | None = None
    tool: str | None = None
    verdict: Verdict | None = None
    outcome: Outcome | None = None
    in_flight: bool | None = None


class SignalFilter(Page, frozen=True, kw_only=True):
    """``state`` is what became of it; every word of ``text`` stands in what it says. An empty ``workflow`` asks for those about none."""

    workflow: str | None = None
    incident: str | None = None
    kind: SignalKind | None = None
    state: SignalState | None = None
    text: Annotated[str, Meta(max_length=signals.MAX_ASKED)] = ""


class JournalFilter(Struct, frozen=True, kw_only=True):
    """``after`` is the ``seq`` of the last entry that was seen."""

    limit: Annotated[int, Meta(ge=1, le=MAX_LINES)] = 100
    after: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] = 0
    incident: str | None = None
    run: str | None = None
    workflow: str | None = None


class JournalLine(Struct, frozen=True, kw_only=True):
    seq: int
    at: datetime
    actor: r.Principal
    kind: str
    event: dict[str, Any]


class NewToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For an agent ``id`` is its workflow, for a person an address, for a feed the system that it tells of, for a reporter any name."""

    kind: PrincipalKind
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    valid_for_s: Annotated[int, Meta(ge=60, le=366 * 86_400)] | None = None
    administrator: bool = False


class NewLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Annotated[str, Meta(min_length=3, max_length=200)]
    administrator: bool = False


class SpendLink(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret at the end of a one-time sign-in link."""

    secret: Annotated[str, Meta(min_length=1, max_length=200)]


class CredentialView(Struct, frozen=True, kw_only=True):
    """A credential without its secret."""

    id: str
    principal: r.Principal
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    once: bool
    administrator: bool


class IssuedSecret(Struct, frozen=True, kw_only=True):
    """The secret is shown this once."""

    credential: CredentialView
    secret: str


class Revoke(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class WhoAmI(Struct, frozen=True, kw_only=True):
    principal: r.Principal


def line_of(entry: Entry) -> JournalLine:
    """Answer a journal entry as the API shows it."""
    event = msgspec.to_builtins(entry.event)
    return JournalLine(seq=entry.seq, at=entry.at, actor=entry.actor, kind=name_of(entry.event), event=event)


def _journal(view: View, given: Given) -> list[JournalLine]:
    query: JournalFilter = given.query
    keys = {
        name: value for name in ("incident", "run", "workflow") if (value := getattr(query, name)) is not None
    }
    return [line_of(entry) for entry in view.entries(after=query.after, limit=query.limit, **keys)]


def _shown(credential: r.Credential) -> CredentialView:
    return CredentialView(**{name: getattr(credential, name) for name in CredentialView.__struct_fields__})


def _issued(found: credentials.Issued) -> IssuedSecret:
    return IssuedSecret(credential=_shown(found.credential), secret=found.secret)


def _filtered(query: Page, *names: str) -> dict[str, Any]:
    return page_of(query, **{name: getattr(query, name) for name in names})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/runs",
        name="list_runs",
        summary="List runs, newest first",
        does=Read(
            lambda view, g: view.find(r.Run, order="-started_at", **_filtered(g.query, "workflow", "status"))
        ),
        query=RunFilter,
        answer=list[r.Run],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/runs/{run}",
        name="get_run",
        summary="One run",
        does=Read(lambda view, g: view.need(r.Run, g.path["run"])),
        answer=r.Run,
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/runs/{run}/steps",
        name="list_steps",
        summary="What a run did besides tool calls",
        does=looking_at(
            "steps of runs",
            lambda view, g: view.find(
                r.Step, order="at", **page_of(g.query, run=view.need(r.Run, g.path["run"]).id)
            ),
        ),
        query=Page,
        answer=list[r.Step],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/calls",
        name="list_calls",
        summary="List calls, newest first",
        does=looking_at(
            "calls",
            lambda view, g: view.find(
                r.Call,
                order="-requested_at",
                **_filtered(g.query, "run", "workflow", "tool", "verdict", "outcome", "in_flight"),
            ),
        ),
        query=CallFilter,
        answer=list[r.Call],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/calls/{call}",
        name="get_call",
        summary="One call",
        does=looking_at("call", lambda view, g: view.need(r.Call, g.path["call"])),
        answer=r.Call,
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/calls/{call}/effects",
        name="list_effects",
        summary="What a call changed, with the content before and after",
        does=looking_at(
            "what calls changed",
            lambda view, g: view.find(
                r.Effect, **page_of(g.query, call=view.need(r.Call, g.path["call"]).id)
            ),
        ),
        query=Page,
        answer=list[r.Effect],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/signals",
        name="list_signals",
        summary="List signals, newest first",
        does=Read(
            lambda view, g: signals.look_up(
                view, text=g.query.text, **_filtered(g.query, "workflow", "incident", "kind", "state")
            )
        ),
        query=SignalFilter,
        answer=list[r.Signal],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/signals/{signal}",
        name="get_signal",
        summary="One signal",
        does=Read(lambda view, g: view.need(r.Signal, g.path["signal"])),
        answer=r.Signal,
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/points",
        name="list_points",
        summary="The enforcement points that are alive",
        does=Read(lambda view, g: points.live(view, now=g.installation.store.clock.now())),
        answer=list[points.PointView],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/journal",
        name="read_journal",
        summary="The journal, oldest first",
        does=looking_at("the journal", _journal),
        query=JournalFilter,
        answer=list[JournalLine],
        tag="records",
    ),
    Endpoint(
        method="GET",
        path="/v1/me",
        name="who_am_i",
        summary="Who this token speaks for",
        does=Read(lambda _view, g: WhoAmI(principal=g.actor)),
        answer=WhoAmI,
        access=Access.ANY,
        tag="people",
    ),
    Endpoint(
        method="GET",
        path="/v1/tokens",
        name="list_tokens",
        summary="List credentials, without their secrets",
        does=Read(lambda view, g: [_shown(each) for each in view.find(r.Credential, **page_of(g.query))]),
        query=Page,
        answer=list[CredentialView],
        tag="people",
    ),
    Endpoint(
        method="POST",
        path="/v1/tokens",
        name="create_token",
        summary="Make a token for an agent, a person, a feed or a reporter",
        does=Write(
            lambda tx, g: _issued(
                credentials.issue(
                    tx,
                    principal=r.Principal(kind=g.body.kind, id=g.body.id),
                    valid_for=timedelta(seconds=g.body.valid_for_s) if g.body.valid_for_s else None,
                    administrator=g.body.administrator,
                )
            )
        ),
        body=NewToken,
        answer=IssuedSecret,
        status=201,
        tag="people",
    ),
    Endpoint(
        method="POST",
        path="/v1/links",
        name="create_link",
        summary="Make a one-time sign-in link for a person",
        does=Write(
            lambda tx, g: _issued(
                credentials.issue(
                    tx,
                    principal=r.Principal(kind=PrincipalKind.PERSON, id=g.body.address),
                    valid_for=credentials.LINK_VALID_FOR,
                    once=True,
                    administrator=g.body.administrator,
                )
            )
        ),
        body=NewLink,
        answer=IssuedSecret,
        status=201,
        tag="people",
    ),
    Endpoint(
        method="POST",
        path="/v1/sessions",
        name="spend_link",
        summary="Turn a one-time sign-in link into a session of the same person",
        does=Write(lambda tx, g: _issued(credentials.spend_link(tx, g.body.secret))),
        body=SpendLink,
        answer=IssuedSecret,
        access=Access.PUBLIC,
        status=201,
        tag="people",
    ),
    Endpoint(
        method="POST",
        path="/v1/tokens/{credential}/revoke",
        name="revoke_token",
        summary="End a credential at once",
        does=Write(
            lambda tx, g: _shown(
                credentials.revoke(tx, credential=g.path["credential"], reason=g.body.reason)
            )
        ),
        body=Revoke,
        answer=CredentialView,
        tag="people",
    ),
)
