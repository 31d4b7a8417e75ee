"""Feeds: what systems of record tell of the changes in them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from stopwork.ledger import records as r
from stopwork.operations import feeds
from stopwork.server.api.controls import page_of
from stopwork.server.api.endpoint import Access, Endpoint, Page, Read, Write

MAX_BODY_BYTES: Final = 4 * 1024 * 1024


class Changes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In any order; a change that was told before is taken once."""

    changes: Annotated[tuple[feeds.Told, ...], Meta(min_length=1, max_length=feeds.MAX_CHANGES)]


class ChangeFilter(Page, frozen=True, kw_only=True):
    at_from: datetime | None = None
    at_before: datetime | None = None


ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/feeds/{system}/changes",
        name="feed_changes",
        summary="Tell what changed in a system of record; told twice is taken once",
        does=Write(
            lambda tx, g: feeds.feed(
                tx, g.installation.manifests, system=g.path["system"], changes=g.body.changes
            )
        ),
        body=Changes,
        answer=feeds.Fed,
        access=Access.FEED,
        max_body_bytes=MAX_BODY_BYTES,
        tag="feeds",
    ),
    Endpoint(
        method="GET",
        path="/v1/feeds/{system}/changes",
        name="list_changes",
        summary="What a system has told of the changes in it, newest first, with the guarded call that made each",
        does=Read(
            lambda view, g: view.find(
                r.FeedChange,
                order="-at",
                **page_of(
                    g.query,
                    system=g.path["system"],
                    at_from=g.query.at_from,
                    at_before=g.query.at_before,
                ),
            )
        ),
        query=ChangeFilter,
        answer=list[r.FeedChange],
        tag="feeds",
    ),
)
