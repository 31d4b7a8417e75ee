"""The audit of an incident: completed in a scope, the objects it lists, and past calls that are like the bad ones."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from stopwork.incidents.affected import AffectedObject, Narrowed, affected_objects, narrowed, page_of
from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger.words import Operation
from stopwork.operations import audits, similarities
from stopwork.server.api.endpoint import Act, Endpoint, Given, Page, Read
from stopwork.server.api.incidents import incident_of, known_incident, of_incident
from stopwork.server.api.looking import looking_into
from stopwork.storage.view import View

MAX_NAMED: Final = 1_000
MAX_OBJECTS: Final = 100_000
_Ids = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=MAX_NAMED)]
_Version = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class CompleteAudit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls the audit is about; without anything every call of the incident's runs.

    ``runs``, ``versions``, ``since`` and ``until`` ask all runs of the workflow instead; ``tools`` and ``objects`` leave of those calls
    the ones by these tools, and the ones that changed one of these objects. ``followed`` asks also for what followed from them.
    """

    runs: _Ids = ()
    tools: _Ids = ()
    objects: Annotated[tuple[r.ObjectRef, ...], Meta(max_length=MAX_NAMED)] = ()
    versions: Annotated[tuple[_Version, ...], Meta(max_length=MAX_NAMED)] = ()
    since: datetime | None = None
    until: datetime | None = None
    followed: bool = False

    def scope(self) -> r.AuditScope:
        """Answer the scope; ``Invalid`` for a time without its zone."""
        for name in ("since", "until"):
            at = getattr(self, name)
            if at is not None and at.tzinfo is None:
                raise Invalid(f"{name} has no time zone", hint="Write 2026-03-02T08:14:00Z.", field=name)
        return r.AuditScope(**{name: getattr(self, name) for name in self.__struct_fields__})


class ObjectFilter(Struct, frozen=True, kw_only=True):
    """Which of the affected objects; ``after`` is the last one that was seen, as ``system/type/id``."""

    limit: Annotated[int, Meta(ge=1, le=MAX_OBJECTS)] = MAX_OBJECTS
    after: str | None = None
    system: str | None = None
    type: str | None = None
    operation: Operation | None = None
    call: str | None = None
    reversible: bool | None = None


class SimilarFilter(Page, frozen=True, kw_only=True):
    """``after`` is the call that the page before ended with."""


class SimilarToCalls(SimilarFilter, frozen=True, kw_only=True):
    """``others`` are further calls to compare with, separated by commas."""

    others: str = ""


def _objects(view: View, given: Given) -> tuple[AffectedObject, ...]:
    query: ObjectFilter = given.query
    case = audits.audited(view, given.installation.manifests, incident_of(given))
    chosen = Narrowed(
        system=query.system or "",
        type=query.type or "",
        operation=query.operation,
        call=query.call or "",
        reversible=query.reversible,
    )
    found = narrowed(affected_objects(case), chosen)
    return page_of(found, after=query.after or "", limit=query.limit)


ENDPOINTS = (
    of_incident(
        "POST",
        "/audit",
        "complete_audit",
        "Compute the twelve answers in a scope and record them",
        Act(lambda g: audits.audit(g.installation, g.actor, incident=incident_of(g), scope=g.body.scope())),
        r.Audit,
        body=CompleteAudit,
        body_needed=False,
        status=201,
    ),
    of_incident(
        "GET",
        "/audit",
        "get_audit",
        "The newest audit; null before there is one",
        looking_into(
            "its audit",
            lambda view, g: view.first(r.Audit, incident=known_incident(view, g), order="-at"),
        ),
        r.Audit | None,
    ),
    of_incident(
        "GET",
        "/objects",
        "list_affected_objects",
        "The objects that the calls in the newest audit's scope changed",
        looking_into("its objects", _objects),
        tuple[AffectedObject, ...],
        query=ObjectFilter,
    ),
    of_incident(
        "GET",
        "/similar",
        "list_similar_to_incident",
        "Past calls that are like those of the incident's signals, the most similar first",
        looking_into(
            "its similar calls",
            lambda view, g: similarities.similar_calls(
                view,
                similarities.bad_calls(view, incident_of(g)),
                limit=g.query.limit,
                after=g.query.after or "",
            ),
        ),
        similarities.SimilarCalls,
        query=SimilarFilter,
    ),
    Endpoint(
        method="GET",
        path="/v1/calls/{call}/similar",
        name="list_similar_calls",
        summary="Past calls of the workflow that are like this one, the most similar first",
        does=Read(
            lambda view, g: similarities.similar_calls(
                view,
                (g.path["call"], *filter(None, g.query.others.split(","))),
                limit=g.query.limit,
                after=g.query.after or "",
            )
        ),
        query=SimilarToCalls,
        answer=similarities.SimilarCalls,
        tag="records",
    ),
)
