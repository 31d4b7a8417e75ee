"""Backfills: what people order for runs that were missed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import backfills
from stopwork.server.api.controls import Reason, page_of
from stopwork.server.api.endpoint import Endpoint, Page, Read, Write

Occasion = Annotated[str, Meta(min_length=1, max_length=200)]
Why = Annotated[str, Meta(max_length=2_000)]


class BackfillFilter(Page, frozen=True, kw_only=True):
    workflow: str | None = None
    state: w.BackfillState | None = None
    incident: str | None = None


class CheckBackfill(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``as_of`` is how old sources are, by their name; ``why`` is why it may go ahead although of others nobody recorded it."""

    occasion: Occasion
    why: Why = ""
    as_of: dict[str, datetime] = {}


class OrderBackfill(CheckBackfill, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason
    incident: str | None = None


class WithdrawBackfill(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path="/v1/backfills",
        name="list_backfills",
        summary="List orders to make up for missed runs, newest first",
        does=Read(
            lambda view, g: view.find(
                r.Backfill,
                order="-ordered_at",
                **page_of(g.query, workflow=g.query.workflow, state=g.query.state, incident=g.query.incident),
            )
        ),
        query=BackfillFilter,
        answer=list[r.Backfill],
        tag="backfills",
    ),
    Endpoint(
        method="GET",
        path="/v1/backfills/{backfill}",
        name="get_backfill",
        summary="One order, with what its checks found",
        does=Read(lambda view, g: view.need(r.Backfill, g.path["backfill"])),
        answer=r.Backfill,
        tag="backfills",
    ),
    Endpoint(
        method="POST",
        path="/v1/workflows/{workflow}/backfills/check",
        name="check_backfill",
        summary="Whether a missed occasion could be made up for now, check by check; nothing is recorded",
        does=Read(
            lambda view, g: backfills.check(
                view,
                g.installation.manifests,
                workflow=g.path["workflow"],
                occasion=g.body.occasion,
                why=g.body.why,
                as_of=g.body.as_of,
                now=g.installation.store.clock.now(),
            )
        ),
        body=CheckBackfill,
        answer=backfills.Checked,
        tag="backfills",
    ),
    Endpoint(
        method="POST",
        path="/v1/workflows/{workflow}/backfills",
        name="order_backfill",
        summary="Order that a missed occasion is made up for, once; an agent's process carries it out",
        does=Write(
            lambda tx, g: backfills.order(
                tx,
                g.installation.manifests,
                workflow=g.path["workflow"],
                occasion=g.body.occasion,
                reason=g.body.reason,
                incident=g.body.incident,
                why=g.body.why,
                as_of=g.body.as_of,
            )
        ),
        body=OrderBackfill,
        answer=r.Backfill,
        tag="backfills",
    ),
    Endpoint(
        method="POST",
        path="/v1/backfills/{backfill}/withdraw",
        name="withdraw_backfill",
        summary="Take an order back; a run that carries it out changes nothing more",
        does=Write(lambda tx, g: backfills.withdraw(tx, backfill=g.path["backfill"], reason=g.body.reason)),
        body=WithdrawBackfill,
        answer=r.Backfill,
        tag="backfills",
    ),
)
