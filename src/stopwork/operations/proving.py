"""Proving: what our own records show of a containment item: that it is held, that every guard knows, that nothing goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from stopwork.control.holds import Retrieval, answer, covers
from stopwork.incidents.contain import MOST_PLACES
from stopwork.ledger.events import ContainmentLooked
from stopwork.ledger.records import (
    Approval,
    Call,
    ContainmentItem,
    ContainmentPlace,
    Hold,
    Incident,
    Run,
    Scope,
)
from stopwork.ledger.records.containment import standing_of
from stopwork.ledger.words import (
    ApprovalState,
    ContainmentProof,
    ContainmentState,
    EffectKind,
    Outcome,
    PlaceKind,
    RunStatus,
    ScopeKind,
    Verdict,
)
from stopwork.manifest.model import Manifest
from stopwork.operations import holds, points
from stopwork.operations.manifests import Manifests
from stopwork.operations.points import PointState
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

_STATE = ContainmentState
_GOES_ON: Final = (ApprovalState.PENDING, ApprovalState.APPROVED)


def seen(tx: Tx, item: ContainmentItem, manifest: Manifest) -> ContainmentItem:
    """Answer a newly proposed item as the records show it now: what is held, but not by every guard yet, is done in part."""
    found = tuple(_places(tx, item, manifest, tx.now))
    if not found:
        return item
    hooks = tuple(each for each in item.places if each.kind is PlaceKind.HOOK)
    state = standing_of((*hooks, *found))
    done = state is _STATE.DONE
    return replace(
        item,
        places=(*hooks, *found),
        state=state,
        automatic=done,
        verified_how=" ".join(dict.fromkeys(each.note for each in found if each.note)) if done else "",
        proof=ContainmentProof.RECORDS if done else None,
    )


def look(
    view: View, manifests: Manifests, item: ContainmentItem, *, now: datetime
) -> tuple[ContainmentPlace, ...] | None:
    """Answer the item's places as the records show them, or nothing where that is known already or they show nothing."""
    workflow = view.need(Incident, item.incident).workflow
    found = tuple(_places(view, item, manifests.current(view, workflow).manifest, now))
    known = tuple(each for each in item.places if each.kind is not PlaceKind.HOOK)
    return found if found and _said(found) != _said(known) else None


def shows(item: ContainmentItem) -> bool:
    """Answer whether the records, as they were last looked at, show that the item is safe."""
    of_records = [each for each in item.places if each.kind is not PlaceKind.HOOK]
    return bool(of_records) and standing_of(of_records) is _STATE.DONE


def looked(tx: Tx, item: ContainmentItem, places: tuple[ContainmentPlace, ...], *, complete: bool) -> None:
    """Record what the records show."""
    tx.record(
        ContainmentLooked(
            incident=item.incident,
            workflow=tx.need(Incident, item.incident).workflow,
            item=item.id,
            places=places,
            complete=complete,
        )
    )


def _said(places: tuple[ContainmentPlace, ...]) -> list[tuple[str, str, str, str]]:
    return [(each.kind, each.name, each.state, each.note) for each in places]


def _places(
    view: View, item: ContainmentItem, manifest: Manifest, now: datetime
) -> Iterator[ContainmentPlace]:
    if item.scope is not None:
        yield from _held(view, item.scope, manifest, now)
    for each in item.places:
        if each.kind in _SHOWN and item.scope is None:
            state, note = _SHOWN[each.kind](view, each.name)
            yield _place(each.kind, each.name, state, note)


def _place(kind: PlaceKind, name: str, state: ContainmentState, note: str) -> ContainmentPlace:
    proof = ContainmentProof.RECORDS if state is _STATE.DONE else None
    return ContainmentPlace(kind=kind, name=name, state=state, note=note, proof=proof)


def _held(view: View, scope: Scope, manifest: Manifest, now: datetime) -> Iterator[ContainmentPlace]:
    """Yield the hold of a scope, each guard that has to know of it, and each call that it is too late for."""
    subject = _subject(scope, manifest)
    covering = [
        hold
        for hold in view.each(Hold, active=True)
        if covers(hold.scope, subject) and answer(hold.mode, subject.effect) is not Verdict.ALLOW
    ]
    if not covering:
        yield _place(PlaceKind.HOLD, str(scope), _STATE.PROPOSED, "Nothing holds it.")
        return
    # Whichever most guards know of: the oldest.
    hold = min(covering, key=lambda each: each.epoch)
    status = holds.status(view, hold, now=now)
    yield _place(
        PlaceKind.HOLD,
        str(scope),
        _STATE.DONE,
        f"Hold {hold.id} on {hold.scope} refuses it; no call is in flight."
        if not status.in_flight
        else f"Hold {hold.id} on {hold.scope} refuses it.",
    )
    silent = {each.point: each for each in status.unconfirmed}
    reads = subject.effect is EffectKind.READ
    for point in points.live(view, now=now, workflow=scope.workflow)[:MOST_PLACES]:
        late = silent.get(point.point)
        still = late is not None and (
            late.state is PointState.REQUESTED or (reads and late.lease_left_s is not None)
        )
        note = f"{point.name} has not confirmed." if still else "Every guard has confirmed it, or has to ask."
        yield _place(PlaceKind.POINT, point.point, _STATE.IN_PROGRESS if still else _STATE.DONE, note)
    for call in [each for each in status.in_flight if covers(scope, each)][:MOST_PLACES]:
        yield _place(PlaceKind.CALL, call.id, _STATE.IN_PROGRESS, f"{call.id} is in flight.")


def _subject(scope: Scope, manifest: Manifest) -> Retrieval:
    """Answer what such a scope is about, as a call that holds are compared with."""
    tool = manifest.tools.get(scope.name) if scope.kind is ScopeKind.TOOL else None
    source = scope.name if scope.kind is ScopeKind.SOURCE else None
    declared = manifest.sources.get(source) if source else None
    return Retrieval(
        workflow=scope.workflow or "",
        trigger=scope.name if scope.kind is ScopeKind.TRIGGER else "",
        source=source,
        source_class=declared.trust.value if declared else None,
        args={"item": scope.item} if scope.item else {},
        tool=scope.name if scope.kind is ScopeKind.TOOL else "",
        effect=EffectKind.READ if source else tool.effect if tool else EffectKind.UPDATE,
        permission=tool.permission if tool else None,
    )


def _call(view: View, name: str) -> tuple[ContainmentState, str]:
    call = view.need(Call, name)
    if call.in_flight:
        return _STATE.IN_PROGRESS, f"{name} is in flight."
    if call.outcome is Outcome.UNKNOWN:
        return _STATE.IN_DOUBT, f"Nobody knows how {name} ended."
    return _STATE.DONE, "Every call has ended."


def _run(view: View, name: str) -> tuple[ContainmentState, str]:
    going = view.need(Run, name).status is RunStatus.RUNNING
    return (_STATE.IN_PROGRESS, f"{name} goes on.") if going else (_STATE.DONE, "Every run has ended.")


def _approval(view: View, name: str) -> tuple[ContainmentState, str]:
    goes_on = view.need(Approval, name).state in _GOES_ON
    return (_STATE.PROPOSED, f"{name} is open.") if goes_on else (_STATE.DONE, "No approval is open.")


_SHOWN: Final[dict[PlaceKind, Callable[[View, str], tuple[ContainmentState, str]]]] = {
    PlaceKind.CALL: _call,
    PlaceKind.RUN: _run,
    PlaceKind.APPROVAL: _approval,
}
