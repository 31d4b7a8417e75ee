"""Drafted calls: what people do with calls that were stored instead of run."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from stopwork.kernel.errors import Denied
from stopwork.ledger import records as r
from stopwork.ledger.words import DraftState, PrincipalKind
from stopwork.operations import draft_standing, drafts
from stopwork.server.api.controls import Reason, page_of
from stopwork.server.api.endpoint import Access, Endpoint, Given, Page, Read, Write
from stopwork.server.api.looking import looking_at

Digest = Annotated[str, Meta(max_length=100)]


class DraftFilter(Page, frozen=True, kw_only=True):
    workflow: str | None = None
    run: str | None = None
    state: DraftState | None = None


class EditDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``args`` are all of the arguments as they will run; ``digest`` is that of those which the person was shown."""

    args: dict[str, Any]
    digest: Digest
    reason: Reason


class ReleaseDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``digest`` is that of the arguments which the person was shown: these run, and no others."""

    digest: Digest
    reason: Reason


class DiscardDraft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


def _own(given: Given, draft: r.Draft) -> r.Draft:
    if given.actor.kind is PrincipalKind.AGENT and given.actor.id != draft.workflow:
        raise Denied(
            f"{given.actor} sees what is about its own workflow only",
            hint="Ask as a person, or with a token of that workflow.",
            found=given.actor.id,
        )
    return draft


ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path="/v1/drafts",
        name="list_drafts",
        summary="List drafted calls, newest first",
        does=looking_at(
            "drafts",
            lambda view, g: view.find(
                r.Draft,
                order="-requested_at",
                **page_of(g.query, workflow=g.query.workflow, run=g.query.run, state=g.query.state),
            ),
        ),
        query=DraftFilter,
        answer=list[r.Draft],
        tag="drafts",
    ),
    Endpoint(
        method="GET",
        path="/v1/drafts/{draft}",
        name="get_draft",
        summary="One drafted call, with what was asked and what would run",
        does=looking_at("draft", lambda view, g: _own(g, view.need(r.Draft, g.path["draft"]))),
        answer=r.Draft,
        access=Access.ANY,
        tag="drafts",
    ),
    Endpoint(
        method="GET",
        path="/v1/drafts/{draft}/standing",
        name="get_draft_standing",
        summary="How a draft stands: what it waits for, what would keep it from running, and what its object holds now",
        does=Read(
            lambda view, g: draft_standing.standing(
                view,
                g.installation.manifests,
                g.installation.systems,
                draft=g.path["draft"],
                now=g.installation.store.clock.now(),
            )
        ),
        answer=draft_standing.Standing,
        tag="drafts",
    ),
    Endpoint(
        method="POST",
        path="/v1/drafts/{draft}/edit",
        name="edit_draft",
        summary="Change what a draft would run; what was asked stays on record",
        does=Write(
            lambda tx, g: drafts.edit(
                tx,
                g.installation.manifests,
                draft=g.path["draft"],
                args=g.body.args,
                digest=g.body.digest,
                reason=g.body.reason,
            )
        ),
        body=EditDraft,
        answer=r.Draft,
        tag="drafts",
    ),
    Endpoint(
        method="POST",
        path="/v1/drafts/{draft}/release",
        name="release_draft",
        summary="Permit exactly what a draft would run, once; a guard carries it out",
        does=Write(
            lambda tx, g: drafts.release(
                tx,
                g.installation.manifests,
                draft=g.path["draft"],
                digest=g.body.digest,
                reason=g.body.reason,
            )
        ),
        body=ReleaseDraft,
        answer=r.Draft,
        tag="drafts",
    ),
    Endpoint(
        method="POST",
        path="/v1/drafts/{draft}/discard",
        name="discard_draft",
        summary="Decide that a draft does not run",
        does=Write(lambda tx, g: drafts.discard(tx, draft=g.path["draft"], reason=g.body.reason)),
        body=DiscardDraft,
        answer=r.Draft,
        tag="drafts",
    ),
)
