"""What happens to the items of a containment, as changes of the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold.change import Change, Put, Update, on, replace, to
from stopwork.ledger.records.containment import standing_of

_STATE = w.ContainmentState


@on(e.ContainmentProposed)
def _proposed(entry: e.Entry, event: e.ContainmentProposed) -> Iterator[Change]:
    yield from (Put(item) for item in event.items)


@on(e.ContainmentRecorded)
def _recorded(entry: e.Entry, event: e.ContainmentRecorded) -> Iterator[Change]:
    def evolve(item: r.ContainmentItem) -> r.ContainmentItem:
        places = item.places
        if event.state is _STATE.FAILED:  # whoever looked says so: what was in doubt may be tried again
            places = tuple(
                replace(each, state=_STATE.FAILED) if each.state is _STATE.IN_DOUBT else each
                for each in places
            )
        return replace(
            item,
            state=event.state,
            verified_how=event.verified_how,
            proof=event.proof,
            places=places,
            by=entry.actor,
            at=entry.at,
        )

    yield Update(r.ContainmentItem, event.item, evolve)
    yield from _contained(entry, event)


@on(e.ContainmentAssigned)
def _assigned(entry: e.Entry, event: e.ContainmentAssigned) -> Iterator[Change]:
    def evolve(item: r.ContainmentItem) -> r.ContainmentItem:
        state = _STATE.IN_PROGRESS if item.state is _STATE.PROPOSED else item.state
        # Whoever takes it themselves knows.
        told_at = entry.at if entry.actor.id == event.to else None
        return replace(item, assignee=event.to, due_at=event.due_at, state=state, told_at=told_at)

    yield Update(r.ContainmentItem, event.item, evolve)


@on(e.HookStarted)
def _hook_started(entry: e.Entry, event: e.HookStarted) -> Iterator[Change]:
    def evolve(place: r.ContainmentPlace) -> r.ContainmentPlace:
        return replace(
            place,
            state=_STATE.IN_PROGRESS,
            hook=event.kind,
            has_probe=event.has_probe,
            tries=event.number,
            until=event.until,
            note="",
            by=entry.actor,
            at=entry.at,
            before_capture=event.before_capture or place.before_capture,
        )

    yield Update(r.ContainmentItem, event.item, lambda item: _with(item, entry, event.hook, evolve))


@on(e.HookEnded)
def _hook_ended(entry: e.Entry, event: e.HookEnded) -> Iterator[Change]:
    def evolve(place: r.ContainmentPlace) -> r.ContainmentPlace:
        proof = w.ContainmentProof.PROBE if event.state is _STATE.DONE else None
        return replace(
            place,
            state=event.state,
            until=None,
            spared=place.spared + (event.looked and place.running),
            probed=event.probed,
            proof=proof,
            note=event.note,
            at=entry.at,
        )

    yield Update(r.ContainmentItem, event.item, lambda item: _with(item, entry, event.hook, evolve))
    yield from _contained(entry, event)


@on(e.ContainmentLooked)
def _looked(entry: e.Entry, event: e.ContainmentLooked) -> Iterator[Change]:
    def evolve(item: r.ContainmentItem) -> r.ContainmentItem:
        hooks = (each for each in item.places if each.kind is w.PlaceKind.HOOK)
        return _standing(item, entry, (*hooks, *event.places))

    yield Update(r.ContainmentItem, event.item, evolve)
    yield from _contained(entry, event)


def _with(item: r.ContainmentItem, entry: e.Entry, hook: str, evolve: Any) -> r.ContainmentItem:
    """Answer the item with the place of this hook changed, or made."""
    known = item.place(w.PlaceKind.HOOK, hook)
    changed = evolve(known or r.ContainmentPlace(kind=w.PlaceKind.HOOK, name=hook))
    if known is None:
        return _standing(item, entry, (*item.places, changed))
    return _standing(item, entry, tuple(changed if each is known else each for each in item.places))


def _standing(
    item: r.ContainmentItem, entry: e.Entry, places: tuple[r.ContainmentPlace, ...]
) -> r.ContainmentItem:
    state = standing_of(places)
    if state is _STATE.PROPOSED and item.assignee:
        state = _STATE.IN_PROGRESS
    if state is not _STATE.DONE:
        return replace(item, places=places, state=state, proof=None, verified_how="")
    proofs = {each.proof for each in places}
    return replace(
        item,
        places=places,
        state=state,
        proof=w.ContainmentProof.PROBE if w.ContainmentProof.PROBE in proofs else w.ContainmentProof.RECORDS,
        verified_how=" ".join(dict.fromkeys(each.note for each in places if each.note)),
        automatic=True,
        by=entry.actor,
        at=entry.at,
    )


def _contained(
    entry: e.Entry, event: e.ContainmentRecorded | e.HookEnded | e.ContainmentLooked
) -> Iterator[Change]:
    if event.complete:
        yield to(r.Incident, event.incident, contained_at=entry.at)
