"""Learn: the postmortem is pre-filled from records, completed by people, and closed once it holds a real remedy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stopwork.incidents.case import Case
from stopwork.incidents.learn import check_closing, prefill, proposed_follow_ups
from stopwork.incidents.lifecycle import require_before
from stopwork.incidents.timeline import Line
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import PostmortemClosed, PostmortemSaved
from stopwork.ledger.records import FollowUp, Incident, Postmortem, Principal
from stopwork.ledger.words import Phase, PrincipalKind
from stopwork.operations.cases import gather
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import require_person
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

PREFILLED = Principal(kind=PrincipalKind.SYSTEM, id="records")


def proposed(
    view: View, manifests: Manifests, *, incident: str, now: datetime, pinned: Sequence[Line] = ()
) -> Postmortem:
    """Answer the saved postmortem, or, before there is one, what the records fill in, with what is ``pinned`` in the timeline."""
    saved = view.get(Postmortem, incident)
    if saved is not None:
        return saved
    return prefilled(gather(view, manifests, incident), now, pinned)


def prefilled(case: Case, now: datetime, pinned: Sequence[Line] = ()) -> Postmortem:
    """Answer what the records and the pins fill in."""
    incident = case.incident.id
    return Postmortem(
        id=incident,
        incident=incident,
        fields=prefill(case, now, pinned=[(line.occurred_at, line.text) for line in pinned]),
        follow_ups=proposed_follow_ups(case, now),
        at=now,
        by=PREFILLED,
    )


def save(tx: Tx, *, incident: str, fields: dict[str, str], follow_ups: tuple[FollowUp, ...]) -> Postmortem:
    """Save the postmortem as it stands. After it is closed it does not change."""
    require_person(tx, "write the postmortem")
    known = tx.need(Incident, incident)
    saved = tx.get(Postmortem, incident)
    if saved is not None and saved.closed_at is not None:
        raise Conflict(
            "the postmortem is closed", hint="Add a note to the incident instead.", incident=incident
        )
    tx.record(
        PostmortemSaved(incident=incident, workflow=known.workflow, fields=fields, follow_ups=follow_ups)
    )
    return tx.need(Postmortem, incident)


def close(tx: Tx, manifests: Manifests, *, incident: str) -> Postmortem:
    """Close the postmortem; that never closes the incident. ``Conflict`` names what is missing or too shallow."""
    require_person(tx, "close the postmortem")
    known = tx.need(Incident, incident)
    saved = tx.get(Postmortem, incident)
    if saved is None:
        raise Conflict("there is no postmortem yet", hint="Save it first.", incident=incident)
    if known.status.ended or saved.closed_at is not None:
        return saved
    require_before(gather(tx, manifests, incident), Phase.LEARN)
    check_closing(saved, known)
    tx.record(PostmortemClosed(incident=incident, workflow=known.workflow))
    return tx.need(Postmortem, incident)
