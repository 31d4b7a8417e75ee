"""What telling people and their answers do to the records."""

from __future__ import annotations

from collections.abc import Iterator

from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.fold.change import Change, Put, Update, on, replace, same_fields, to
from stopwork.ledger.words import TellingState


@on(e.ResponseBegan)
def _response_began(entry: e.Entry, event: e.ResponseBegan) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Response,
            event,
            id=event.incident,
            began_at=entry.at,
            stepped_at=entry.at,
            acknowledged_by=event.taken_by,
            acknowledged_at=entry.at if event.taken_by else None,
        )
    )


@on(e.ResponseRaised)
def _response_raised(_entry: e.Entry, event: e.ResponseRaised) -> Iterator[Change]:
    yield to(r.Response, event.incident, severity=event.severity, told=event.told, due_at=event.due_at)


@on(e.IncidentAcknowledged)
def _incident_acknowledged(entry: e.Entry, event: e.IncidentAcknowledged) -> Iterator[Change]:
    yield to(
        r.Response,
        event.incident,
        acknowledged_by=event.person,
        acknowledged_at=entry.at,
        lapsed_at=None,
        late_from=None,
    )


@on(e.AcknowledgementLapsed)
def _acknowledgement_lapsed(entry: e.Entry, event: e.AcknowledgementLapsed) -> Iterator[Change]:
    yield to(
        r.Response,
        event.incident,
        acknowledged_by="",
        acknowledged_at=None,
        lapsed_at=entry.at,
        late_from=None,
        due_at=event.due_at,
        step=0,
        role="",
        stepped_at=entry.at,
    )


@on(e.CommandHandedOver)
def _command_handed_over(entry: e.Entry, event: e.CommandHandedOver) -> Iterator[Change]:
    def awaiting(response: r.Response) -> r.Response:
        return replace(
            response,
            acknowledged_by="",
            acknowledged_at=None,
            lapsed_at=entry.at,
            due_at=event.due_at,
            step=0,
            role="",
            stepped_at=entry.at,
            told=tuple(dict.fromkeys((*response.told, event.person))),
        )

    yield Update(r.Response, event.incident, awaiting)


@on(e.ResponseEscalated)
def _response_escalated(entry: e.Entry, event: e.ResponseEscalated) -> Iterator[Change]:
    def escalated(response: r.Response) -> r.Response:
        return replace(
            response,
            step=event.step,
            role=event.role,
            told=tuple(dict.fromkeys((*response.told, *event.to))),
            due_at=event.due_at,
            stepped_at=entry.at,
            late_from=response.late_from or response.due_at,
        )

    yield Update(r.Response, event.incident, escalated)


@on(e.TellingPlanned)
def _telling_planned(entry: e.Entry, event: e.TellingPlanned) -> Iterator[Change]:
    yield Put(
        same_fields(
            r.Telling,
            event,
            id=event.telling,
            state=TellingState.DUE,
            planned_at=entry.at,
            next_at=entry.at,
        )
    )
    if event.item:
        yield to(r.ContainmentItem, event.item, told_at=entry.at)


@on(e.TellingAttempted)
def _telling_attempted(entry: e.Entry, event: e.TellingAttempted) -> Iterator[Change]:
    yield to(
        r.Telling,
        event.telling,
        state=TellingState.SENDING,
        attempts=event.attempt,
        attempted_at=entry.at,
        next_at=event.again_at,
    )


@on(e.TellingSucceeded)
def _telling_succeeded(entry: e.Entry, event: e.TellingSucceeded) -> Iterator[Change]:
    yield _ended(entry, event.telling, TellingState.TOLD, event.said)


@on(e.TellingFailed)
def _telling_failed(entry: e.Entry, event: e.TellingFailed) -> Iterator[Change]:
    if event.again_at is None:
        yield _ended(entry, event.telling, TellingState.GIVEN_UP, event.error)
    else:
        yield to(r.Telling, event.telling, state=TellingState.DUE, next_at=event.again_at, said=event.error)


@on(e.TellingDropped)
def _telling_dropped(entry: e.Entry, event: e.TellingDropped) -> Iterator[Change]:
    yield _ended(entry, event.telling, TellingState.DROPPED, event.why)


def _ended(entry: e.Entry, telling: str, state: TellingState, said: str) -> Update:
    return to(r.Telling, telling, state=state, said=said, ended_at=entry.at, next_at=None)
