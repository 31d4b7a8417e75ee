"""Backfills as guards and the verdict see them: a run that makes up for a missed one changes something by a person's order only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta

from stopwork.control.protocol import Answer, Id, Request
from stopwork.ledger.records import Reason, Record, Run
from stopwork.ledger.words import ReasonKind, Verdict

#: The trigger of a run that makes up for a missed one.
BACKFILL: Final = "backfill"


class BackfillStanding(Record):
    """The order that a run carries out, and what stands in its way by now."""

    order: str
    against: tuple[str, ...] = ()


def reasons(run: Run, standing: BackfillStanding | None) -> Iterator[Reason]:
    """Answer why a backfill may not change anything; none where it is ordered and every check still passes."""
    if standing is None:
        text = f"run {run.id} is a backfill that nobody has ordered, or whose order is over"
        yield Reason(kind=ReasonKind.REGISTRATION, verdict=Verdict.DENY, text=text, source=run.id)
        return
    for against in standing.against:
        yield Reason(
            kind=ReasonKind.REGISTRATION,
            verdict=Verdict.DENY,
            text=f"{standing.order} may not go on: {against}",
            source=standing.order,
        )


class ClaimedBackfill(Answer):
    """An order to make up for a missed run that is this guard's to carry out, as ``run``: with this ``trigger_id``, so that keys hold."""

    backfill: str
    run: str
    occasion: str
    trigger_id: str
    reason: str = ""
    due: datetime | None = None


class BackfillsClaimed(Answer):
    """The orders that nobody else carries out, and that nothing stands in the way of."""

    backfills: tuple[ClaimedBackfill, ...] = ()


class ClaimBackfills(Request[BackfillsClaimed]):
    """Take orders to make up for missed runs. Each is this session's for a minute, to begin its run; the same session gets the same ones."""

    path = "/v1/backfills/claim"
    answer = BackfillsClaimed

    workflow: str
    session: Id
    limit: Annotated[int, Meta(ge=1, le=10)] = 1
