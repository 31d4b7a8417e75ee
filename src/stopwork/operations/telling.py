"""Telling: who has to hear of an incident is written down, step by step, as time passes; :mod:`stopwork.operations.outgoing` delivers it.

What is due is looked for in a snapshot, and looked at again in the transaction that records it, so that nobody is told of one step twice,
however many servers look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Final

from stopwork.incidents import routing
from stopwork.incidents.routing import Due, Rung
from stopwork.ledger.events import (
    AcknowledgementLapsed,
    CommandHandedOver,
    ResponseBegan,
    ResponseEscalated,
    ResponseRaised,
    StatusChanged,
    TellingPlanned,
)
from stopwork.ledger.records import Incident, Principal, Response, Telling, Workflow
from stopwork.ledger.words import UNENDED, IncidentStatus, PrincipalKind, TellingState, TellingStep
from stopwork.manifest.model import Response as Times
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import administrators
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

AS_TELLING: Final = Principal(kind=PrincipalKind.SYSTEM, id="telling")
#: Among so many of an incident's newest entries a person's deed is looked for.
LATEST: Final = 200
MAX_STEP: Final = 100


def plan_due(installation: Installation, *, url: str = "") -> int:
    """Record whom the time has come to tell of what; answer of how many incidents. ``url`` is where people reach the console."""
    store, manifests = installation.store, installation.manifests
    found = store.read(lambda view: _all_due(view, manifests, store.clock.now()))
    plan = partial(_plan, manifests=manifests, url=url)
    return sum(store.write(partial(plan, name=name), actor=AS_TELLING) for name in found)


def way_up(view: View, manifests: Manifests, incident: Incident, admins: tuple[str, ...]) -> tuple[Rung, ...]:
    """Answer whom the incident goes to when nobody takes it, one after the other."""
    owners = view.need(Workflow, incident.workflow).owners
    roles = _times(view, manifests, incident).escalate_to
    return routing.ladder(roles, owners, admins, seen_by=_seeing(incident, admins))


def may_hear(view: View, incident: Incident, person: str, now: datetime) -> bool:
    """Answer whether a person may be told of the incident still."""
    seen_by = _seeing(incident, administrators(view, now))
    return seen_by is None or person in seen_by


def _seeing(incident: Incident, admins: tuple[str, ...]) -> tuple[str, ...] | None:
    return (*incident.readers, *admins) if incident.private else None


def _all_due(view: View, manifests: Manifests, now: datetime) -> list[str]:
    # All credentials are gone through for them: once for all the incidents that nobody takes, and not at all where there is none.
    admins = cache(partial(administrators, view, now))
    return [
        each.id
        for each in view.each(Incident, status=UNENDED, order="opened_at")
        if _due(view, manifests, each, now, admins) is not None
    ]


def _due(
    view: View,
    manifests: Manifests,
    incident: Incident,
    now: datetime,
    admins: Callable[[], tuple[str, ...]],
) -> Due | None:
    response = view.get(Response, incident.id)
    waiting = response is not None and not response.acknowledged_by
    what = routing.due(
        incident,
        response,
        now=now,
        last_deed=_last_deed(view, incident, response, now) if response and not waiting else None,
        unheard=response is not None and waiting and _unheard(view, response),
    )
    if what is Due.ESCALATE and response is not None:
        rung = next_asked(view, manifests, incident, response, admins())
        if rung is None or (rung.step <= response.step and response.due_at > now):
            return None
    return what


def next_asked(
    view: View, manifests: Manifests, incident: Incident, response: Response, admins: tuple[str, ...]
) -> Rung | None:
    """Answer who is asked when those who were told do not take the incident; ``None`` where nobody is."""
    return routing.next_rung(
        way_up(view, manifests, incident, admins),
        step=response.step,
        told=response.told,
        again=response.lapsed_at is not None,
        repeats=routing.repeats(incident),
    )


def _last_deed(view: View, incident: Incident, response: Response, now: datetime) -> datetime | None:
    """Answer when a person did something in the incident last; not looked for before it matters."""
    lapses = routing.LAPSES.get(incident.severity)
    if lapses is None or response.acknowledged_at is None or response.acknowledged_at + lapses > now:
        return None
    latest = view.entries(incident=incident.id, newest_first=True, limit=LATEST)
    return next((entry.at for entry in latest if entry.actor.kind is PrincipalKind.PERSON), None)


def _unheard(view: View, response: Response) -> bool:
    """Answer whether everybody who was asked at this step could not be told."""
    tellings = view.find(Telling, incident=response.incident, order="-planned_at", limit=MAX_STEP)
    asked = [
        each
        for each in tellings
        if not each.item and response.stepped_at and each.planned_at >= response.stepped_at
    ]
    return bool(asked) and all(each.state is TellingState.GIVEN_UP for each in asked)


def _plan(tx: Tx, *, manifests: Manifests, name: str, url: str) -> bool:
    incident = tx.need(Incident, name)
    admins = partial(administrators, tx, tx.now)
    what, response = _due(tx, manifests, incident, tx.now, admins), tx.get(Response, name)
    if what is None:
        return False
    if response is None:
        _begin(tx, manifests, incident, url)
    elif what is Due.RAISE:
        _raise(tx, manifests, incident, response, url)
    elif what is Due.HAND_OVER:
        _hand_over(tx, manifests, incident, url)
    elif what is Due.LAPSE:
        _lapse(tx, manifests, incident, response, url)
    else:
        _escalate(tx, manifests, incident, response, url)
    return True


def _begin(tx: Tx, manifests: Manifests, incident: Incident, url: str) -> None:
    told = _told_of(tx, manifests, incident)
    taken_by = _taken_by(tx, incident)
    due_at = routing.due_at(_times(tx, manifests, incident), incident.severity, incident.opened_at)
    tx.record(
        ResponseBegan(
            incident=incident.id,
            workflow=incident.workflow,
            severity=incident.severity,
            told=tuple(told),
            due_at=due_at,
            taken_by=taken_by,
        )
    )
    others = {person: why for person, why in told.items() if person != taken_by}
    _tell(tx, manifests, incident, TellingStep.OPENED, others, due_at, url)


def _raise(tx: Tx, manifests: Manifests, incident: Incident, response: Response, url: str) -> None:
    told = _told_of(tx, manifests, incident)
    sooner = routing.due_at(_times(tx, manifests, incident), incident.severity, tx.now)
    due_at = min(response.due_at, sooner)
    tx.record(
        ResponseRaised(
            incident=incident.id,
            workflow=incident.workflow,
            severity=incident.severity,
            told=tuple(dict.fromkeys((*response.told, *told))),
            due_at=due_at,
        )
    )
    everybody = dict.fromkeys(
        (each for each in response.told if may_hear(tx, incident, each, tx.now)), "you were told of it before"
    )
    _tell(tx, manifests, incident, TellingStep.RAISED, told | everybody, due_at, url)


def _lapse(tx: Tx, manifests: Manifests, incident: Incident, response: Response, url: str) -> None:
    due_at = routing.due_at(_times(tx, manifests, incident), incident.severity, tx.now)
    since = _last_deed(tx, incident, response, tx.now) or response.acknowledged_at or tx.now
    tx.record(
        AcknowledgementLapsed(
            incident=incident.id,
            workflow=incident.workflow,
            person=response.acknowledged_by,
            since=max(since, response.acknowledged_at or since),
            due_at=due_at,
        )
    )
    told = _told_of(tx, manifests, incident)
    told.setdefault(response.acknowledged_by, "you had taken it")
    _tell(tx, manifests, incident, TellingStep.LAPSED, told, due_at, url)


def _hand_over(tx: Tx, manifests: Manifests, incident: Incident, url: str) -> None:
    due_at = routing.due_at(_times(tx, manifests, incident), incident.severity, tx.now)
    tx.record(
        CommandHandedOver(
            incident=incident.id, workflow=incident.workflow, person=incident.commander, due_at=due_at
        )
    )
    _tell(
        tx,
        manifests,
        incident,
        TellingStep.HANDED_OVER,
        {incident.commander: "you command it now"},
        due_at,
        url,
    )


def _escalate(tx: Tx, manifests: Manifests, incident: Incident, response: Response, url: str) -> None:
    rung = next_asked(tx, manifests, incident, response, administrators(tx, tx.now))
    if rung is None:
        return
    due_at = routing.due_at(_times(tx, manifests, incident), incident.severity, tx.now)
    again, in_time = rung.step <= response.step, response.due_at > tx.now
    why = "nobody before them could be told" if in_time else "nobody has taken it in time"
    tx.record(
        ResponseEscalated(
            incident=incident.id,
            workflow=incident.workflow,
            step=rung.step,
            role=rung.role,
            to=rung.people,
            due_at=due_at,
            why="nobody has taken it yet, and nobody is left to ask" if again else why,
        )
    )
    nobody = "nobody has taken it yet" if again else "nobody before you took it"
    told = dict.fromkeys(rung.people, f"as {rung.role.removesuffix('s')}, because {nobody}")
    _tell(tx, manifests, incident, TellingStep.ESCALATED, told, due_at, url)


def _tell(
    tx: Tx,
    manifests: Manifests,
    incident: Incident,
    step: TellingStep,
    told: Mapping[str, str],
    due_at: datetime,
    url: str,
) -> None:
    response = tx.need(Response, incident.id)
    after = next_asked(tx, manifests, incident, response, administrators(tx, tx.now))
    for person, why in told.items():
        tx.record(
            TellingPlanned(
                telling=tx.new_id("tell"),
                incident=incident.id,
                workflow=incident.workflow,
                person=person,
                step=step,
                subject=routing.subject(incident, step),
                body=routing.body(
                    incident,
                    step,
                    person=person,
                    why=why,
                    due_at=due_at,
                    after=after,
                    link=f"{url}/incidents/{incident.id}" if url else "",
                ),
            )
        )


def _told_of(tx: Tx, manifests: Manifests, incident: Incident) -> dict[str, str]:
    seen_by = _seeing(incident, administrators(tx, tx.now))
    return routing.told_of(gather(tx, manifests, incident.id), seen_by=seen_by)


def _times(view: View, manifests: Manifests, incident: Incident) -> Times:
    return manifests.current(view, incident.workflow).manifest.response


def _taken_by(tx: Tx, incident: Incident) -> str:
    """Answer who has taken the incident by opening or accepting it, before anybody was told."""
    if incident.opened_by.kind is PrincipalKind.PERSON and incident.opened_by.id == incident.commander:
        return incident.opened_by.id
    changed = tx.entries(incident=incident.id, kinds=("incident.status_changed",), limit=1)
    accepted = [
        entry.actor
        for entry in changed
        if isinstance(entry.event, StatusChanged) and entry.event.before is IncidentStatus.PROPOSED
    ]
    return accepted[0].id if accepted and accepted[0].kind is PrincipalKind.PERSON else ""
