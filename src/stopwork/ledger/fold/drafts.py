"""What happens to drafted calls, as changes of the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold.change import Change, Update, Upsert, on, replace, same_fields, to

_ENDED: Final = {
    w.Outcome.SUCCEEDED: w.DraftState.DONE,
    w.Outcome.FAILED: w.DraftState.FAILED,
    w.Outcome.UNKNOWN: w.DraftState.UNKNOWN,
}


def drafted(entry: e.Entry, event: e.CallDecided) -> Upsert:
    """Answer the change by which a call that was not run becomes a draft; drafted once more it stays as it is."""

    def evolve(known: r.Draft | None) -> r.Draft:
        return known or same_fields(
            r.Draft,
            event,
            id=event.call,
            asked=event.args,
            digest=event.args_digest,
            has_business_key=event.business_key is not None,
            requested_at=entry.at,
            requested_by=entry.actor,
            state=w.DraftState.OPEN,
        )

    return Upsert(r.Draft, event.call, evolve)


def ended(entry: e.Entry, event: e.CallFinished, draft: str) -> Update:
    """Answer the change by which a draft ends as the call did that carried it out."""
    return to(
        r.Draft,
        draft,
        state=_ENDED[event.outcome],
        note=event.error or "",
        closed_at=entry.at,
        closed_by=entry.actor,
        claim=None,
    )


@on(e.DraftEdited)
def _draft_edited(entry: e.Entry, event: e.DraftEdited) -> Iterator[Change]:
    edit = r.Edit(person=entry.actor.id, at=entry.at, before=event.before, after=event.after)
    yield Update(
        r.Draft,
        event.call,
        lambda draft: replace(draft, args=event.after, digest=event.digest, edits=(*draft.edits, edit)),
    )


@on(e.DraftReleased)
def _draft_released(entry: e.Entry, event: e.DraftReleased) -> Iterator[Change]:
    release = r.Release(
        person=entry.actor.id,
        at=entry.at,
        reason=event.reason,
        approval=event.approval,
        call=event.becomes,
    )
    yield to(
        r.Draft,
        event.call,
        state=w.DraftState.RELEASED,
        release=release,
        claim=None,
        note="",
        closed_at=None,
        closed_by=None,
    )


@on(e.DraftClaimed)
def _draft_claimed(entry: e.Entry, event: e.DraftClaimed) -> Iterator[Change]:
    yield to(r.Draft, event.call, claim=same_fields(r.Claim, event, at=entry.at))


@on(e.DraftReturned)
def _draft_returned(entry: e.Entry, event: e.DraftReturned) -> Iterator[Change]:
    yield to(r.Draft, event.call, state=w.DraftState.OPEN, claim=None, note=event.why)


@on(e.DraftDiscarded)
def _draft_discarded(entry: e.Entry, event: e.DraftDiscarded) -> Iterator[Change]:
    yield _closed(entry, event.call, state=w.DraftState.DISCARDED, note=event.reason)


@on(e.DraftSuperseded)
def _draft_superseded(entry: e.Entry, event: e.DraftSuperseded) -> Iterator[Change]:
    yield _closed(entry, event.call, state=w.DraftState.SUPERSEDED, note=event.why, superseded_by=event.by)


def _closed(entry: e.Entry, draft: str, **fields: object) -> Update:
    return to(r.Draft, draft, closed_at=entry.at, closed_by=entry.actor, claim=None, **fields)
