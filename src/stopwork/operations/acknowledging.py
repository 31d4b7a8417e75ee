"""Acknowledging: one of those who were told says that they have taken the incident, and it goes to nobody else."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from stopwork.incidents import routing
from stopwork.incidents.lifecycle import require_open
from stopwork.kernel.errors import Denied, Unavailable
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import IncidentAcknowledged
from stopwork.ledger.records import Incident, Response, Telling, Workflow
from stopwork.ledger.words import TellingState
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import administrators, require_person
from stopwork.operations.telling import next_asked
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

MAX_TELLINGS: Final = 200


class Answering(Struct, frozen=True, kw_only=True):
    """How an incident is answered: ``next`` is who is asked when nobody takes it by ``response.due_at``, ``late_from`` since when it is late."""

    response: Response | None
    late_from: datetime | None
    next: routing.Rung | None
    tellings: tuple[Telling, ...]

    @property
    def unheard(self) -> tuple[Telling, ...]:
        """Answer for those who were asked to take it and whose last message has not left what is known of that message."""
        last = {each.person: each for each in self.tellings}
        asked = self.response.told if self.response else ()
        return tuple(
            last[person] for person in asked if person in last and last[person].state is not TellingState.TOLD
        )


def acknowledge(tx: Tx, *, incident: str, note: str = "") -> Response:
    """Say in one's own name that one has taken the incident; it is not escalated while that holds.

    Whoever was told may, the commander, the workflow's owners, and administrators. To say it again, or after somebody else, changes nothing.
    """
    person = require_person(tx, "acknowledge an incident")
    known = tx.need(Incident, incident)
    require_open(known)
    response = tx.get(Response, incident)
    if response is None:
        raise Unavailable(f"nobody is told of {incident} yet", hint="Try again in a few seconds.")
    owners = tx.need(Workflow, known.workflow).owners.values()
    may = tuple(dict.fromkeys((*response.told, known.commander, *owners, *administrators(tx, tx.now))))
    if person not in may:
        raise Denied(
            f"{person} was not told of {incident} and cannot acknowledge it",
            hint=f"{listed(response.told)} can. Or take the command first: stopwork incident handover.",
            expected=list(may),
            found=person,
        )
    if not response.acknowledged_by:
        taken(tx, known, person, note=note)
    return tx.need(Response, incident)


def taken(tx: Tx, incident: Incident, person: str, *, note: str) -> None:
    """Record that a person has taken the incident, once somebody was told of it."""
    response = tx.get(Response, incident.id)
    if response is not None and response.acknowledged_by != person:
        tx.record(
            IncidentAcknowledged(
                incident=incident.id, workflow=incident.workflow, person=person, note=note.strip()
            )
        )


def answering(view: View, manifests: Manifests, incident: str, now: datetime) -> Answering:
    """Answer how an incident is answered, and what became of each notification, oldest first."""
    known, response = view.need(Incident, incident), view.get(Response, incident)
    waits = response is not None and not response.acknowledged_by and not known.status.ended
    return Answering(
        response=response,
        late_from=routing.late_from(response, now) if waits else None,
        next=next_asked(view, manifests, known, response, administrators(view, now))
        if response is not None and waits
        else None,
        tellings=tuple(view.find(Telling, incident=incident, order="planned_at", limit=MAX_TELLINGS)),
    )
